//! One operation per way into the reservation code. Each is small, leaves the filesystem usable for the next, and may run at
//! the same time as all others.
//!
//! What a correct kernel may return under load (no space, over quota, read-only, another worker was faster) is an
//! [`OpOutcome`]; everything else is an error. Only `quota` works in the subvolume with a qgroup limit, and it writes only
//! through the page cache and only to ordinary files: see the policy in [`crate`].
mod balance;
mod buffered;
mod compress;
mod defrag;
mod direct;
mod fallocate;
mod files;
mod fill;
mod inline;
mod layout;
mod mapped;
mod names;
mod nodatacow;
mod orphan;
mod quota;
mod reflink;
mod remount;
mod small;
mod snapshot;
mod sparse;
mod subvol;
mod sync;
mod truncate;
mod twins;

use std::io;

use nix::errno::Errno;

use crate::error::{Error, Result};
use crate::rng::Rng;
pub use layout::{Abilities, Ctx, Layout, MAX_FILE, QUOTA_LIMIT, SHARED_FILES, TWINS, shared_name};

/// How an operation ended on a correct kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum OpOutcome {
    /// It did what it set out to do.
    Done,
    /// ENOSPC.
    NoSpace,
    /// EDQUOT.
    OverQuota,
    /// EROFS: another worker has remounted the filesystem read-only, or the kernel has made it read-only.
    ReadOnly,
    /// Another worker took, removed or holds what it needed (ENOENT, EEXIST, EBUSY and the like).
    Raced,
    /// A write through a mapping was refused (EFAULT): no space, read-only, or the file was cut meanwhile.
    FaultRefused,
    /// EIO: direct I/O raced with a mapping or buffered writes of the same pages, which the next fsync reports.
    IoError,
    /// ECANCELED: a balance was cancelled.
    Cancelled,
    /// This kernel does not have the call.
    Unsupported,
    /// Another worker holds the lock for the filesystem as a whole.
    Skipped,
}

impl OpOutcome {
    /// All outcomes, in the order in which they are counted.
    pub const ALL: [Self; 10] = [
        Self::Done,
        Self::NoSpace,
        Self::OverQuota,
        Self::ReadOnly,
        Self::Raced,
        Self::FaultRefused,
        Self::IoError,
        Self::Cancelled,
        Self::Unsupported,
        Self::Skipped,
    ];

    /// A short name for tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::NoSpace => "ENOSPC",
            Self::OverQuota => "EDQUOT",
            Self::ReadOnly => "EROFS",
            Self::Raced => "raced",
            Self::FaultRefused => "EFAULT",
            Self::IoError => "EIO",
            Self::Cancelled => "cancelled",
            Self::Unsupported => "unsupported",
            Self::Skipped => "skipped",
        }
    }

    /// The outcome of an error that a correct kernel may return under load; `None` for any other error.
    pub fn of_error(error: &io::Error) -> Option<Self> {
        Some(match Errno::from_raw(error.raw_os_error()?) {
            Errno::ENOSPC => Self::NoSpace,
            Errno::EDQUOT => Self::OverQuota,
            Errno::EROFS => Self::ReadOnly,
            Errno::ENOENT
            | Errno::EEXIST
            | Errno::EBUSY
            | Errno::ENOTEMPTY
            | Errno::ESTALE
            | Errno::ETXTBSY
            | Errno::EAGAIN
            | Errno::EINPROGRESS => Self::Raced,
            Errno::EFAULT => Self::FaultRefused,
            Errno::EIO => Self::IoError,
            Errno::ECANCELED => Self::Cancelled,
            Errno::EOPNOTSUPP => Self::Unsupported,
            _ => return None,
        })
    }
}

/// What the filesystem must allow for an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Nothing special.
    Nothing,
    /// [`Abilities::quota`].
    Quota,
    /// [`Abilities::balance`].
    Balance,
    /// [`Abilities::remount`].
    Remount,
    /// [`Abilities::fill`].
    Fill,
}

/// An operation.
#[derive(Debug)]
pub struct Op {
    /// Its name, as in the counts.
    pub name: &'static str,
    /// What it does, in a few words.
    pub about: &'static str,
    /// How often the mix chooses it, relative to the others.
    pub weight: u32,
    /// What the filesystem must allow.
    pub need: Need,
    body: fn(&Ctx<'_>, &mut Rng) -> io::Result<OpOutcome>,
}

impl Op {
    /// The operation called `name`.
    pub fn named(name: &str) -> Option<&'static Self> {
        OPS.iter().find(|op| op.name == name)
    }

    /// True if it may run on a filesystem with these abilities.
    pub fn allowed(&self, abilities: Abilities) -> bool {
        let Abilities { quota, balance, remount, fill } = abilities;
        match self.need {
            Need::Nothing => true,
            Need::Quota => quota,
            Need::Balance => balance,
            Need::Remount => remount,
            Need::Fill => fill,
        }
    }

    /// Runs it once. Fails only with an error that a correct kernel must not return.
    ///
    /// # Errors
    /// [`Error::Op`].
    pub fn run(&self, ctx: &Ctx<'_>, rng: &mut Rng) -> Result<OpOutcome> {
        (self.body)(ctx, rng).or_else(|source| {
            OpOutcome::of_error(&source).ok_or_else(|| Error::Op {
                op: self.name,
                path: ctx.layout.root().to_path_buf(),
                source,
            })
        })
    }
}

macro_rules! ops {
    ($($name:literal $weight:literal $need:ident $body:path, $about:literal;)*) => {
        &[$(Op { name: $name, about: $about, weight: $weight, need: Need::$need, body: $body }),*]
    };
}

/// All operations. Cheap operations have a high weight; operations that block all others have a low one.
pub static OPS: &[Op] = ops![
    "buffered" 100 Nothing buffered::overwrite, "buffered overwrites of one file, of any size and offset";
    "small" 60 Nothing small::create_write_unlink, "create, write 16 KiB and unlink small files";
    "direct" 60 Nothing direct::write_and_read, "O_DIRECT writes and reads";
    "mapped" 40 Nothing mapped::store, "writes through a shared mapping";
    "fallocate" 40 Nothing fallocate::some_mode, "preallocate, punch holes, zero ranges";
    "truncate" 40 Nothing truncate::up_and_down, "truncate up and down between writes";
    "reflink" 30 Nothing reflink::clone_and_overwrite, "clone files and ranges, then overwrite the clone";
    "compress" 20 Nothing compress::write, "writes that compress, and some that do not";
    "inline" 30 Nothing inline::grow_and_shrink, "files that live in the metadata, grow out of it and go back";
    "nodatacow" 20 Nothing nodatacow::overwrite, "overwrites in place of files with chattr +C";
    "twins" 40 Nothing twins::write_both, "the same inode number in two subvolumes, written in turn";
    "snapshot" 6 Nothing snapshot::take_or_delete, "snapshot a dirty subvolume, write to both, delete it";
    "subvol" 6 Nothing subvol::create_fill_delete, "create a subvolume and delete it while dirty";
    "defrag" 10 Nothing defrag::fragment_and_defrag, "fragment a file and defragment it";
    "names" 30 Nothing names::storm, "storms of renames, exchanges, hard links and symlinks";
    "sync" 20 Nothing sync::some_kind, "fsync, fdatasync, syncfs and commits";
    "orphan" 30 Nothing orphan::unlink_while_dirty, "unlink an open file with dirty pages and write on";
    "sparse" 30 Nothing sparse::append_and_holes, "appends, and writes far behind the end";
    "quota" 4 Quota quota::until_limit, "write until EDQUOT, then give the space back";
    "balance" 2 Balance balance::some_chunks, "move chunks while the others work";
    "remount" 2 Remount remount::read_only_and_back, "remount read-only and back";
    "fill_metadata" 1 Fill fill::metadata, "fill the metadata with inline files until ENOSPC";
    "fill_data" 1 Fill fill::data, "fill the filesystem with data until ENOSPC";
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_unique_and_found() {
        let names: BTreeSet<_> = OPS.iter().map(|op| op.name).collect();
        assert_eq!(names.len(), OPS.len());
        assert!(OPS.iter().all(|op| Op::named(op.name).is_some_and(|found| found.about == op.about)));
        assert!(Op::named("nothing of the kind").is_none());
    }

    #[test]
    fn nothing_that_touches_the_whole_filesystem_runs_unasked() {
        let forbidden = ["fill_data", "fill_metadata", "quota", "balance", "remount"];
        for op in OPS {
            assert_eq!(op.allowed(Abilities::default()), !forbidden.contains(&op.name), "{}", op.name);
            let all = Abilities { quota: true, balance: true, remount: true, fill: true };
            assert!(op.allowed(all), "{}", op.name);
        }
    }

    #[test]
    fn outcomes_and_errors_are_told_apart() {
        let of = |errno: Errno| OpOutcome::of_error(&errno.into());
        assert_eq!(of(Errno::ENOSPC), Some(OpOutcome::NoSpace));
        assert_eq!(of(Errno::EDQUOT), Some(OpOutcome::OverQuota));
        assert_eq!(of(Errno::EINVAL), None);
        assert_eq!(of(Errno::EUCLEAN), None);
        assert_eq!(OpOutcome::of_error(&io::Error::other("no errno")), None);
    }

    #[test]
    fn outcomes_are_counted_in_declaration_order() {
        for (index, outcome) in OpOutcome::ALL.iter().enumerate() {
            assert_eq!(*outcome as usize, index);
        }
    }
}
