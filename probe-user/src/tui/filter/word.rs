//! The words of the filter: account ids, and other fields of a row.

/// Something that rows have and a filter can compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is described in `ALL`, which the help shows")]
pub enum Word {
    MetaRsv,
    RsvReserved,
    RsvSize,
    OutstandingExtents,
    CsumBytes,
    DelallocBytes,
    Rate,
    ReservedTotal,
    Reservations,
    Idle,
    Subvol,
    Inode,
    Generation,
    Tid,
    Fs,
    Path,
    Task,
    Kind,
    Account,
    Amount,
    Count,
}

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Number,
    Text,
}

/// A word, how it is typed, what it is.
struct Entry(Word, &'static [&'static str], Value, &'static str);

const ALL: [Entry; 21] = {
    use Value::{Number, Text};
    [
        Entry(Word::MetaRsv, &["meta_rsv", "inode.meta_rsv"], Number, "bytes in the inode's block_rsv"),
        Entry(Word::RsvReserved, &["reserved"], Number, "the same by the kernel's own counter"),
        Entry(Word::RsvSize, &["size", "rsv_size"], Number, "bytes the block_rsv wants"),
        Entry(
            Word::OutstandingExtents,
            &["outstanding_extents", "inode.outstanding_extents", "extents"],
            Number,
            "outstanding extents",
        ),
        Entry(
            Word::CsumBytes,
            &["csum_bytes", "inode.csum_bytes", "csum"],
            Number,
            "bytes to be checksummed",
        ),
        Entry(
            Word::DelallocBytes,
            &["delalloc_bytes", "inode.delalloc_bytes", "delalloc"],
            Number,
            "dirty bytes not yet allocated",
        ),
        Entry(Word::Rate, &["rate"], Number, "bytes reserved a second"),
        Entry(Word::ReservedTotal, &["total", "reserved_total"], Number, "bytes reserved so far"),
        Entry(Word::Reservations, &["reservations"], Number, "reservations so far"),
        Entry(Word::Idle, &["idle"], Number, "seconds since the last record"),
        Entry(Word::Subvol, &["subvol", "root"], Number, "subvolume"),
        Entry(Word::Inode, &["inode", "ino"], Number, "inode number"),
        Entry(Word::Generation, &["generation", "gen"], Number, "inode generation"),
        Entry(Word::Tid, &["tid"], Number, "thread that reserved last"),
        Entry(Word::Fs, &["fs", "device"], Text, "device or UUID of the filesystem"),
        Entry(Word::Path, &["path"], Text, "path below the mount"),
        Entry(Word::Task, &["task", "comm"], Text, "name of the thread"),
        Entry(Word::Kind, &["kind"], Text, "kind of a finding"),
        Entry(Word::Account, &["account"], Text, "account of a finding"),
        Entry(Word::Amount, &["amount"], Number, "amount of a finding"),
        Entry(Word::Count, &["count"], Number, "how often a finding was made"),
    ]
};

impl Word {
    /// All words.
    pub const ALL: [Self; 21] = {
        let mut words = [Self::MetaRsv; 21];
        let mut at = 0;
        while at < words.len() {
            words[at] = ALL[at].0;
            at += 1;
        }
        words
    };

    /// Words that stand for text: a bare word is searched for in these.
    pub const TEXTS: [Self; 5] = [Self::Path, Self::Task, Self::Kind, Self::Account, Self::Fs];

    fn entry(self) -> &'static Entry {
        // The table has one entry for each word; a test says so.
        ALL.iter().find(|entry| entry.0 == self).unwrap_or(&ALL[0])
    }

    /// The usual way to type it.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.entry().1.first().copied().unwrap_or_default()
    }

    /// What it means, for the help.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        self.entry().3
    }

    pub(super) fn value(self) -> Value {
        self.entry().2
    }

    /// The word with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        ALL.iter().find(|entry| entry.1.contains(&name.as_str())).map(|entry| entry.0)
    }

    /// Whether the name of a word begins so.
    pub(super) fn begins_with(typed: &str) -> bool {
        let typed = typed.to_ascii_lowercase();
        ALL.iter().any(|entry| entry.1.iter().any(|name| name.starts_with(&typed)))
    }
}
