//! Who draws on what: bytes that moved between reserves, and draws on the global block_rsv. No finding: the books balance.
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Frame, Task};

/// Who drew on what in a filesystem.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Draws {
    /// `calls`: moves are read from calls of block_rsv functions (functions tier). `tracepoints`: from tree blocks, reservations of inodes
    /// and claims; where released bytes went, refills of `fs.delayed_refs_rsv` and steals are not visible.
    pub source: String,
    /// The cells of the matrix that are not empty, most bytes first.
    pub moves: Vec<DrawMove>,
    /// Releases of which it is not known where the bytes went; they are not in `moves`.
    pub unknown_releases: Moved,
    /// The block_rsvs of the filesystem between the first and the last reading of their levels; empty if not all moves are seen.
    pub reserves: Vec<ReserveBalance>,
    /// Draws on `fs.global_rsv`, by stack and tree; most bytes first.
    pub global: Vec<GlobalDraws>,
    /// Draws that found no room in `global`.
    pub global_left_out: Moved,
    /// The lowest level of `fs.global_rsv` that was seen; null if none was.
    pub global_lowest: Option<GlobalLevel>,
    /// Pools that grew while no task was at work: a hint, no finding, and without effect on the verdict.
    pub idle_growth: Vec<IdleGrowth>,
}

/// How often, and how many bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Moved {
    /// How often.
    pub count: u64,
    /// Bytes.
    pub bytes: u64,
}

/// One cell of the matrix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DrawMove {
    /// Where the bytes came from: an account id, `fs.treelog_rsv`, `fs.remap_rsv`, `fs.empty_rsv`, `space_info` (free bytes), `tree_blocks`,
    /// `tickets` or `unknown`.
    pub from: String,
    /// Where they went.
    pub to: String,
    /// `reserve`, `release`, `surplus`, `use`, `on-the-spot`, `fall-back`, `put-back`, `migrate`, `steal` or `resize`.
    pub kind: String,
    /// The reserve that should have paid, where another one did; null elsewhere, and where it is not known.
    pub instead_of: Option<String>,
    /// Moves.
    pub count: u64,
    /// Bytes.
    pub bytes: u64,
    /// The trees that the blocks are for, most bytes first.
    pub roots: Vec<RootMoved>,
    /// Moves for trees that are not in `roots`.
    pub other_roots: Moved,
    /// Who moved, most bytes first.
    pub callers: Vec<Mover>,
    /// Moves of callers that are not in `callers`.
    pub other_callers: Moved,
}

/// What was moved for a tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RootMoved {
    /// Root objectid, signed.
    pub root: i64,
    /// Moves.
    pub count: u64,
    /// Bytes.
    pub bytes: u64,
}

/// Who moved bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mover {
    /// The function that made the call; null if it is not known.
    pub caller: Option<String>,
    /// Moves.
    pub count: u64,
    /// Bytes.
    pub bytes: u64,
    /// The stack of one of the moves; empty if none was taken.
    pub stack: Vec<Frame>,
}

/// A block_rsv of the filesystem between two readings. Bytes; `first + came - went + not_attributed = last`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReserveBalance {
    /// Account id.
    pub reserve: String,
    /// `reserved` at the first reading.
    pub first: u64,
    /// What went in.
    pub came: u64,
    /// What went out.
    pub went: u64,
    /// `reserved` at the last reading.
    pub last: u64,
    /// What no record explains. `fs.global_rsv` gets bytes of extents that a commit unpins, which no call shows.
    pub not_attributed: i64,
}

/// Draws on the global block_rsv by one stack for one tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GlobalDraws {
    /// `use`: a tree whose block_rsv it is. `fall-back`: in place of another one. `migrate`: into another block_rsv. `steal`: for a ticket.
    pub kind: String,
    /// The tree, signed; null if it was for no tree block.
    pub root: Option<i64>,
    /// Draws.
    pub count: u64,
    /// Bytes.
    pub bytes: u64,
    /// Of `bytes`, those since the reserve was last seen full.
    pub bytes_since_full: u64,
    /// When the first came, ns since the start.
    pub first_seen_ns: u64,
    /// When the last came, ns since the start.
    pub last_seen_ns: u64,
    /// The tasks, most bytes first.
    pub tasks: Vec<TaskDraws>,
    /// Draws of tasks that are not in `tasks`.
    pub other_tasks: Moved,
    /// Where; innermost frame first, empty if no stack was taken.
    pub stack: Vec<Frame>,
}

/// Draws of one task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TaskDraws {
    /// Who.
    pub task: Task,
    /// Draws.
    pub count: u64,
    /// Bytes.
    pub bytes: u64,
}

/// A level of the global block_rsv.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GlobalLevel {
    /// When, ns since the start.
    pub time_ns: u64,
    /// `reserved`, bytes.
    pub reserved: u64,
    /// `size`, bytes.
    pub size: u64,
}

/// A pool that grew while no task was at work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IdleGrowth {
    /// The space_info whose `bytes_may_use`, without the global block_rsv, grew: `data`, `metadata`, `system` or `mixed`.
    pub space_info: String,
    /// Intervals of five seconds or more in which it grew and no task reserved anything. It fell in no interval.
    pub intervals: u64,
    /// By how much, bytes.
    pub bytes: u64,
}
