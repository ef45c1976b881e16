//! What the screen asks of the thread that keeps the books.
mod inode_sort;
mod replay_order;
mod wish;

pub use self::{
    inode_sort::{InodeSort, SortValue},
    replay_order::ReplayOrder,
    wish::Wish,
};
