//! What the columns of each table show, and how rows are sorted by them.
mod draws;
mod failures;
mod findings;
mod inodes;
mod pools;
mod tickets;
mod windows;

pub use self::{
    draws::draw_columns,
    failures::failure_columns,
    findings::finding_columns,
    inodes::{column_of, inode_columns, inode_sort},
    pools::{PARTS, pool_columns},
    tickets::ticket_columns,
    windows::window_columns,
};
