//! Inodes on the screen.
use std::{borrow::Cow, sync::Arc};

use super::inode_id::InodeId;
use crate::{
    report::model::{Frame, StackSource},
    tui::filter::{Fields, Word},
};

/// A row of the page Inodes. Texts are as the kernel has them, not escaped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InodeRow {
    /// Which.
    pub id: InodeId,
    /// Device of the filesystem, or the begin of its UUID.
    pub fs: Arc<str>,
    /// Path below the mount, if the kernel side sent it.
    pub path: Option<String>,
    /// Generation; 0 if not known.
    pub generation: u64,
    /// `inode.meta_rsv`
    pub meta_rsv: i64,
    /// `meta_rsv` is what the kernel must hold: all records that touch it were seen.
    pub exact: bool,
    /// The kernel's counters were seen.
    pub counted: bool,
    /// `block_rsv.reserved`
    pub reserved: u64,
    /// `block_rsv.size`
    pub size: u64,
    /// `inode.csum_bytes`
    pub csum_bytes: u64,
    /// `inode.delalloc_bytes`
    pub delalloc_bytes: u64,
    /// `inode.outstanding_extents`
    pub extents: u32,
    /// Bytes reserved a second.
    pub rate: u64,
    /// Bytes reserved so far.
    pub reserved_total: u64,
    /// Reservations so far.
    pub reservations: u32,
    /// ns since its last record; `None` if that is longer ago than is remembered.
    pub idle_ns: Option<u64>,
    /// Thread that reserved last.
    pub tid: u32,
    /// Name of it.
    pub comm: String,
    /// Bytes held, newest last.
    pub trend: Vec<u64>,
}

impl Fields for InodeRow {
    fn number(&self, word: Word) -> Option<i128> {
        let counter = |value: u64| self.counted.then_some(i128::from(value));
        match word {
            Word::MetaRsv => Some(self.meta_rsv.into()),
            Word::RsvReserved => counter(self.reserved),
            Word::RsvSize => counter(self.size),
            Word::OutstandingExtents => counter(self.extents.into()),
            Word::CsumBytes => counter(self.csum_bytes),
            Word::DelallocBytes => counter(self.delalloc_bytes),
            Word::Rate => Some(self.rate.into()),
            Word::ReservedTotal => Some(self.reserved_total.into()),
            Word::Reservations => Some(self.reservations.into()),
            Word::Idle => self.idle_ns.map(|ns| i128::from(ns / 1_000_000_000)),
            Word::Subvol => Some((self.id.root as i64).into()),
            Word::Inode => Some(self.id.ino.into()),
            Word::Generation => (self.generation != 0).then_some(self.generation.into()),
            Word::Tid => Some(self.tid.into()),
            _ => None,
        }
    }

    fn text(&self, word: Word) -> Option<Cow<'_, str>> {
        match word {
            Word::Fs => Some(Cow::Borrowed(&self.fs)),
            Word::Path => self.path.as_deref().map(Cow::Borrowed),
            Word::Task => Some(Cow::Borrowed(&self.comm)),
            _ => None,
        }
    }
}

/// What is known and not shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rest {
    /// Inodes.
    pub inodes: u64,
    /// What they hold together.
    pub bytes: i64,
}

/// The page Inodes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InodesView {
    /// The first in the order asked for.
    pub rows: Vec<InodeRow>,
    /// Live inodes in the books.
    pub known: u64,
    /// Of these, what the filter lets through.
    pub matched: u64,
    /// What all that match hold together.
    pub bytes: i64,
    /// What matches and is folded into one line.
    pub rest: Rest,
    /// When the books were walked, ns since the start of the session.
    pub as_of_ns: u64,
}

/// Who reserved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginView {
    /// Bytes reserved from here since the inode was last empty.
    pub bytes: u64,
    /// Reservations.
    pub count: u64,
    /// The stack, innermost frame first.
    pub stack: Vec<Frame>,
    /// What the stack is.
    pub source: StackSource,
}

/// One record in words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordLine {
    /// ns since the start of the session.
    pub time_ns: u64,
    /// Thread.
    pub tid: u32,
    /// Name of it, not escaped.
    pub comm: String,
    /// What it says.
    pub text: String,
}

/// The inode of the page Inode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InodeDetail {
    /// Its row; `None` if it is not in the books (any more).
    pub row: Option<InodeRow>,
    /// Which.
    pub id: InodeId,
    /// When this was taken, ns since the start of the session.
    pub as_of_ns: u64,
    /// Histories, newest value last: meta_rsv, delalloc_bytes, csum_bytes, outstanding_extents.
    pub histories: [Vec<u64>; 4],
    /// Time that the histories span.
    pub span_ns: u64,
    /// Who reserved, most bytes first.
    pub origins: Vec<OriginView>,
    /// Who reserved since it was opened, whatever became of it, most bytes first.
    pub reserved: Vec<OriginView>,
    /// Its last records, oldest first.
    pub records: Vec<RecordLine>,
}
