//! Who draws on what: bytes that moved from one reserve to another, and draws on the global reserve.
use probe_common::{claim::RsvType, fs::Rsv};

use super::finding::{StackRef, TaskRef};

/// Where bytes of metadata are: a kind of block_rsv, or a place outside of all block_rsvs.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reserve {
    /// No block_rsv: free bytes of the `space_info`. What comes from here raises `bytes_may_use`, what goes here lowers it.
    Space,
    /// `global_block_rsv`
    Global,
    /// Block_rsvs of inodes.
    Inodes,
    /// `trans_block_rsv`
    Trans,
    /// `delayed_rsv` of transaction handles, 6.12 on.
    Handles,
    /// `delayed_block_rsv`
    Delayed,
    /// `delayed_refs_rsv`
    DelayedRefs,
    /// `chunk_block_rsv`
    Chunk,
    /// Temporary block_rsvs.
    Temp,
    /// `treelog_rsv`, 6.18 on.
    TreeLog,
    /// `remap_block_rsv`, 7.3 on.
    Remap,
    /// `empty_block_rsv`, which holds nothing.
    Empty,
    /// Tree blocks that were allocated: the bytes are used.
    Blocks,
    /// Tickets that were granted; their owners put the bytes into a block_rsv.
    Tickets,
    /// Not known.
    Unknown,
}

/// Number of [`Reserve`]s.
pub(crate) const RESERVES: usize = 15;

impl Reserve {
    /// Name in JSON: the account's id where there is one.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Space => "space_info",
            Self::Global => "fs.global_rsv",
            Self::Inodes => "inode.meta_rsv",
            Self::Trans => "trans.rsv",
            Self::Handles => "trans.delayed_refs_rsv",
            Self::Delayed => "fs.delayed_rsv",
            Self::DelayedRefs => "fs.delayed_refs_rsv",
            Self::Chunk => "fs.chunk_rsv",
            Self::Temp => "temp.rsv",
            Self::TreeLog => "fs.treelog_rsv",
            Self::Remap => "fs.remap_rsv",
            Self::Empty => "fs.empty_rsv",
            Self::Blocks => "tree_blocks",
            Self::Tickets => "tickets",
            Self::Unknown => "unknown",
        }
    }

    pub(crate) const fn of(kind: RsvType) -> Self {
        match kind {
            RsvType::None => Self::Unknown,
            RsvType::Global => Self::Global,
            RsvType::Delalloc => Self::Inodes,
            RsvType::Trans => Self::Trans,
            RsvType::Chunk => Self::Chunk,
            RsvType::DelayedOps => Self::Delayed,
            RsvType::DelayedRefs => Self::DelayedRefs,
            RsvType::TreeLog => Self::TreeLog,
            RsvType::Remap => Self::Remap,
            RsvType::Empty => Self::Empty,
            RsvType::Temp => Self::Temp,
        }
    }
}

/// Why bytes moved.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MoveKind {
    /// Reserved from the `space_info`.
    Reserve,
    /// Given back to the `space_info`.
    Release,
    /// What a block_rsv had too much when it was released, and another one that was not full got (`block_rsv_release_bytes()`).
    Surplus,
    /// A block_rsv paid for a tree block (`btrfs_use_block_rsv()`).
    Use,
    /// The block_rsv that should have paid held too little; the bytes were reserved on the spot.
    OnTheSpot,
    /// The block_rsv that should have paid held too little, and the global one paid.
    FallBack,
    /// A tree block was not allocated after all (`btrfs_unuse_block_rsv()`).
    PutBack,
    /// `btrfs_block_rsv_migrate()`, or bytes of a handle that went to `delayed_refs_rsv`.
    Migrate,
    /// A ticket got bytes of the global block_rsv (`steal_from_global_rsv()`).
    Steal,
    /// `btrfs_update_global_block_rsv()` changed the size.
    Resize,
}

impl MoveKind {
    /// Name in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reserve => "reserve",
            Self::Release => "release",
            Self::Surplus => "surplus",
            Self::Use => "use",
            Self::OnTheSpot => "on-the-spot",
            Self::FallBack => "fall-back",
            Self::PutBack => "put-back",
            Self::Migrate => "migrate",
            Self::Steal => "steal",
            Self::Resize => "resize",
        }
    }
}

/// How often, and how many bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// How often.
    pub count: u64,
    /// Bytes.
    pub bytes: u64,
}

impl Moved {
    pub(crate) const fn add(&mut self, bytes: u64) {
        self.count = self.count.saturating_add(1);
        self.bytes = self.bytes.saturating_add(bytes);
    }

    pub(crate) const fn merge(&mut self, other: Self) {
        self.count = self.count.saturating_add(other.count);
        self.bytes = self.bytes.saturating_add(other.bytes);
    }
}

/// Who moved bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mover {
    /// Return address in the function that made the call; 0 if it is not known.
    pub caller: u64,
    /// A stack of one of the moves; id 0 if none was taken.
    pub stack: StackRef,
    /// What it moved.
    pub moved: Moved,
}

/// One cell of the matrix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DrawCell {
    /// Where the bytes came from.
    pub from: Reserve,
    /// Where they went.
    pub to: Reserve,
    /// Why.
    pub kind: MoveKind,
    /// The block_rsv that should have paid, where another one did.
    pub instead_of: Option<Reserve>,
    /// All moves.
    pub moved: Moved,
    /// The trees, most bytes first; only for tree blocks.
    pub roots: Vec<(u64, Moved)>,
    /// Moves for trees that found no room in `roots`.
    pub other_roots: Moved,
    /// Who moved, most bytes first.
    pub movers: Vec<Mover>,
    /// Moves of callers that found no room in `movers`.
    pub other_movers: Moved,
}

/// A block_rsv of the filesystem, its levels at two readings, and what went in and out between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReserveRow {
    /// The block_rsv.
    pub reserve: Reserve,
    /// `reserved` at the first reading, bytes.
    pub first: u64,
    /// Bytes that went in between the readings.
    pub came: u64,
    /// Bytes that went out between the readings.
    pub went: u64,
    /// `reserved` at the last reading, bytes.
    pub last: u64,
    /// `last - first - came + went`: what no record explains.
    pub not_attributed: i64,
}

/// Draws on the global block_rsv by one stack for one tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GlobalDraw {
    /// How: [`MoveKind::Use`] by a tree of its own, else in place of another block_rsv.
    pub kind: MoveKind,
    /// The tree; 0 if it was for no tree block.
    pub root: u64,
    /// Stack id; 0 if none was taken.
    pub stack: StackRef,
    /// All draws.
    pub moved: Moved,
    /// Of these, those since the reserve was last seen full.
    pub since_full: Moved,
    /// Times of the first and last, `CLOCK_MONOTONIC` ns.
    pub seen: (u64, u64),
    /// The tasks, most bytes first.
    pub tasks: Vec<(TaskRef, Moved)>,
    /// Draws of tasks that found no room in `tasks`.
    pub other_tasks: Moved,
}

/// A pool that only grew while no task was at work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdleGrowth {
    /// Block group type of the `space_info` whose `bytes_may_use` without the global block_rsv grew.
    pub space: u64,
    /// Quiet intervals in which it grew.
    pub intervals: u64,
    /// By how much in all, bytes.
    pub bytes: u64,
}

/// Who drew on what in one filesystem.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FsDraws {
    /// Moves were read from calls (functions tier); else from tree blocks and claims, which do not show all.
    pub by_calls: bool,
    /// The cells that are not empty, most bytes first.
    pub cells: Vec<DrawCell>,
    /// Releases of which it is not known where the bytes went; they are not in `cells`.
    pub unknown_releases: Moved,
    /// The block_rsvs of the filesystem, if their levels were read twice and nothing was lost in between.
    pub rows: Vec<ReserveRow>,
    /// Draws on the global block_rsv, most bytes first.
    pub global: Vec<GlobalDraw>,
    /// Draws that found no room in `global`.
    pub global_beyond: Moved,
    /// The lowest level of the global block_rsv that was seen, and when, ns.
    pub global_lowest: Option<(Rsv, u64)>,
    /// Pools that grew while no task was at work. A hint, no finding.
    pub idle_growth: Vec<IdleGrowth>,
}
