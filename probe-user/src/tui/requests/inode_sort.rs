//! The order of inodes: by a word of the filter, so that what can be compared can also be sorted.
use std::cmp::Ordering;

use crate::tui::filter::{Fields, Word};

/// Order of inodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InodeSort {
    /// The sort key.
    pub word: Word,
    /// Highest first.
    pub descending: bool,
}

impl Default for InodeSort {
    fn default() -> Self {
        Self { word: Word::MetaRsv, descending: true }
    }
}

/// What an inode is sorted by; unknown numbers are the lowest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SortValue {
    /// Not known.
    Nothing,
    /// A number.
    Number(i128),
    /// A text.
    Text(String),
}

impl InodeSort {
    /// What a row is sorted by.
    #[must_use]
    pub fn value(self, row: &impl Fields) -> SortValue {
        match (row.number(self.word), row.text(self.word)) {
            (Some(number), _) => SortValue::Number(number),
            (None, Some(text)) => SortValue::Text(text.into_owned()),
            (None, None) => SortValue::Nothing,
        }
    }

    /// Order of two values.
    #[must_use]
    pub fn order(self, left: &SortValue, right: &SortValue) -> Ordering {
        if self.descending { right.cmp(left) } else { left.cmp(right) }
    }

    /// Order of two rows.
    #[must_use]
    pub fn compare<F: Fields>(self, left: &F, right: &F) -> Ordering {
        let numbers = (left.number(self.word), right.number(self.word));
        let ordering = match numbers {
            (None, None) => left.text(self.word).cmp(&right.text(self.word)),
            (left, right) => left.cmp(&right),
        };
        if self.descending { ordering.reverse() } else { ordering }
    }
}
