//! The one table of all pages.
mod column;
mod draw;
mod state;
mod widths;

pub use self::{
    column::{Column, next_sort, sort},
    draw::draw,
    state::TableState,
};
