//! A finding as a filter sees it, with one of its instances.
use std::borrow::Cow;

use crate::{
    report::model::{Finding, Instance},
    tui::filter::{Fields, Word},
};

/// A finding as a filter sees it, with one of its instances.
pub struct FindingFields<'a> {
    pub finding: &'a Finding,
    pub instance: &'a Instance,
}

impl Fields for FindingFields<'_> {
    fn number(&self, word: Word) -> Option<i128> {
        let Self { finding, instance } = self;
        match word {
            Word::Subvol => instance.root.map(Into::into),
            Word::Inode => instance.inode.map(Into::into),
            Word::Generation => instance.generation.map(Into::into),
            Word::Amount => Some(finding.amount.into()),
            Word::Count => Some(finding.count.into()),
            Word::Tid => finding.task.as_ref().map(|task| task.tid.into()),
            _ => None,
        }
    }

    fn text(&self, word: Word) -> Option<Cow<'_, str>> {
        let Self { finding, instance } = self;
        match word {
            Word::Fs => finding.filesystem.as_deref().map(Cow::Borrowed),
            Word::Path => instance.path.as_deref().map(Cow::Borrowed),
            Word::Task => finding.task.as_ref().map(|task| Cow::Borrowed(task.comm.as_str())),
            Word::Kind => Some(Cow::Borrowed(finding.kind.name())),
            Word::Account => Some(Cow::Borrowed(finding.account.name())),
            _ => None,
        }
    }
}
