//! What pictures should show.
use std::time::Duration;

use super::inode_sort::InodeSort;
use crate::tui::{filter::Filter, picture::InodeId};

/// What the screen wants to see.
#[derive(Clone, Debug, PartialEq)]
pub struct Wish {
    /// Time between two pictures.
    pub refresh: Duration,
    /// Order of inodes.
    pub sort: InodeSort,
    /// Which inodes.
    pub filter: Filter,
    /// Rows at most.
    pub rows: usize,
    /// The inode of the page Inode.
    pub focus: Option<InodeId>,
    /// The run time of our own programs is asked for, which costs them a little.
    pub program_time: bool,
}

impl Default for Wish {
    fn default() -> Self {
        Self {
            refresh: Duration::from_secs(1),
            sort: InodeSort::default(),
            filter: Filter::default(),
            rows: 1000,
            focus: None,
            program_time: false,
        }
    }
}
