//! What a trace shows besides what the report has: plain data, bounded by who collects it.
//!
//! All times are ns since the start of the session.
use std::collections::BTreeMap;

/// Levels, waits, flushes, commits, failures and losses of a session.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Timeline {
    /// Names of filesystems, by their position here.
    pub filesystems: Vec<String>,
    /// Process id and name by thread id.
    pub tasks: BTreeMap<u32, (u32, String)>,
    /// Counters over time.
    pub counters: Vec<Counter>,
    /// What lasted.
    pub slices: Vec<Slice>,
    /// What was at one moment.
    pub instants: Vec<Instant>,
    /// Names of `enum btrfs_flush_state` of this kernel.
    pub flush_states: BTreeMap<i32, String>,
    /// Slices that found no room, and the longest of them in ns.
    pub slices_left_out: (u64, u64),
    /// Instants that found no room.
    pub instants_left_out: u64,
    /// Counters that found no room.
    pub counters_left_out: u64,
    /// Changes of counters that were put together, and the longest interval over which they were, ns.
    pub coalesced_ns: u64,
}

/// A counter of a filesystem over time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counter {
    /// Position in [`Timeline::filesystems`].
    pub filesystem: usize,
    /// What has it: `metadata`, or a block_rsv.
    pub of: String,
    /// Its name.
    pub name: &'static str,
    /// Times and bytes, in the order of time.
    pub points: Vec<(u64, i64)>,
}

/// Whose track something is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Track {
    /// A thread.
    Thread(u32),
    /// The transactions of a filesystem, by its position.
    Transactions(usize),
    /// What was lost.
    Losses,
}

/// What lasted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slice {
    /// Where it is drawn.
    pub track: Track,
    /// Begin.
    pub from: u64,
    /// End.
    pub to: u64,
    /// Position of its filesystem, if it is known.
    pub filesystem: Option<usize>,
    /// What it is.
    pub what: SliceKind,
}

/// What lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SliceKind {
    /// A reservation waited.
    Wait {
        /// `space_info->flags`
        space_flags: u64,
        /// Bytes asked for.
        bytes: u64,
        /// `enum btrfs_reserve_flush_enum`
        flush: i32,
        /// Negative errno; 0 if it was granted.
        error: i32,
    },
    /// A call of `flush_space()`.
    Flush {
        /// `space_info->flags`
        space_flags: u64,
        /// Bytes to flush; all if `u64::MAX`.
        bytes: u64,
        /// `enum btrfs_flush_state`
        state: i32,
        /// What it returned.
        ret: i32,
        /// For reservations to come.
        preemptive: bool,
    },
    /// A transaction, from the end of the one before to the end of its commit.
    Transaction {
        /// Its generation.
        transid: u64,
    },
}

/// What was at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instant {
    /// Where it is drawn.
    pub track: Track,
    /// When.
    pub at: u64,
    /// Position of its filesystem, if it is known.
    pub filesystem: Option<usize>,
    /// What it is.
    pub what: InstantKind,
}

/// What is at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstantKind {
    /// A reservation failed.
    Failed {
        /// `space_info->flags`
        space_flags: u64,
        /// Bytes asked for.
        bytes: u64,
        /// errno
        error: i32,
    },
    /// A limit of a qgroup refused a reservation.
    Refused {
        /// `qgroup->qgroupid`
        qgroup: u64,
        /// Bytes asked for.
        bytes: u64,
    },
    /// A thread ended the commit of this transaction.
    Committed {
        /// Its generation.
        transid: u64,
    },
    /// A WARN of the kernel.
    Warned,
    /// Records were lost before this moment.
    Lost {
        /// `LossClass` as a number.
        class: u32,
        /// How many.
        count: u64,
    },
}
