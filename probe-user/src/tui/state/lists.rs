//! Where one is in a list.
use std::borrow::Cow;

use super::super::filter::{Fields, Word};
use crate::report::model::Finding;

/// Sort order, selection and position of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableState {
    /// Selected row, a position in the sorted rows.
    pub selected: usize,
    /// First row on screen, if the selected one is on it then.
    pub top: usize,
    /// Column that rows are sorted by.
    pub sort: usize,
    /// Highest first.
    pub descending: bool,
    /// The selection is shown.
    pub focused: bool,
}

impl Default for TableState {
    fn default() -> Self {
        Self { selected: 0, top: 0, sort: 0, descending: false, focused: true }
    }
}

impl TableState {
    /// Moves the selection; `page` rows are on screen.
    pub fn go(&mut self, by: isize, rows: usize, page: usize) {
        let last = rows.saturating_sub(1);
        self.selected = self.selected.saturating_add_signed(by).min(last);
        self.top = super::super::table::first_shown(self.selected, self.top, page, rows);
    }

    /// Back to what is there.
    pub fn bound(&mut self, rows: usize) {
        self.selected = self.selected.min(rows.saturating_sub(1));
    }
}

/// A finding as a filter sees it.
pub(super) struct FindingFields<'a>(pub &'a Finding);

impl Fields for FindingFields<'_> {
    fn number(&self, word: Word) -> Option<i128> {
        let Self(finding) = self;
        match word {
            Word::Subvol => finding.root.map(Into::into),
            Word::Inode => finding.inode.map(Into::into),
            Word::Generation => finding.generation.map(Into::into),
            Word::Amount => Some(finding.amount.into()),
            Word::Count => Some(finding.count.into()),
            Word::Tid => finding.task.as_ref().map(|task| task.tid.into()),
            _ => None,
        }
    }

    fn text(&self, word: Word) -> Option<Cow<'_, str>> {
        let Self(finding) = self;
        match word {
            Word::Fs => finding.filesystem.as_deref().map(Cow::Borrowed),
            Word::Path => finding.path.as_deref().map(Cow::Borrowed),
            Word::Task => finding.task.as_ref().map(|task| Cow::Borrowed(task.comm.as_str())),
            Word::Kind => Some(Cow::Borrowed(finding.kind.name())),
            Word::Account => Some(Cow::Borrowed(finding.account.name())),
            _ => None,
        }
    }
}
