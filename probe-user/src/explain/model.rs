//! What `explain` prints, as types: the JSON document, schema version 1.
//!
//! `docs/schema/explain.json` is generated from these types and checked in. Amounts are bytes. The rows add up:
//! `total = used + pinned + reserved + may_use + readonly + zone_unusable + free`, and `may_use` is the sum of what its
//! holders have. Fields are only added within a schema version.
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Version of the layout.
pub const SCHEMA_VERSION: u32 = 1;

/// Everything that the text says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Explanation {
    /// Version of this layout: 1.
    pub schema_version: u32,
    /// Version of the tool.
    pub tool_version: String,
    /// Lines that were read.
    pub lines: u64,
    /// Lines that say something about space.
    pub lines_recognised: u64,
    /// The filesystems, each with its reason.
    pub filesystems: Vec<Filesystem>,
    /// Lines of filesystems beyond the first 64, which are left out.
    pub lines_left_out: u64,
}

/// One filesystem, and why it has no space.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "ExplainedFilesystem")]
pub struct Filesystem {
    /// The device by which the kernel names it, or the first one that btrfs-progs lists; null if the text names none.
    pub device: Option<String>,
    /// One sentence: why.
    pub sentence: String,
    /// Names of the causes, the first one first; empty if the figures show none. Each has a page in `docs/enospc/`.
    pub causes: Vec<String>,
    /// What helps, the first thing first.
    pub help: Vec<String>,
    /// What the figures do not prove, and what would.
    pub not_proven: Vec<String>,
    /// Figures that a correct kernel cannot print: they hint at a bug of the accounting.
    pub impossible: Vec<String>,
    /// Whether an aborted transaction made it read-only.
    pub forced_readonly: bool,
    /// Dumps of this filesystem in the text; one of them is explained.
    pub dumps: u64,
    /// What made the kernel print the dump; null without a dump.
    pub trigger: Option<Trigger>,
    /// Bytes that were asked for, if the text says so.
    pub request: Option<i64>,
    /// The space_infos of the dump.
    pub space_infos: Vec<SpaceInfo>,
    /// The block_rsvs of the dump.
    pub block_rsvs: Vec<BlockRsv>,
    /// What btrfs-progs says.
    pub usage: Option<Usage>,
}

/// Why the kernel printed a dump.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Trigger {
    /// A reservation failed; it may have had another way.
    Reservation,
    /// A block group should become read-only and could not.
    MakeReadonly,
    /// An unmount found bytes that nobody gave back.
    Unmount,
    /// The allocator found no extent.
    Allocation,
    /// All flushing was done, and waiting reservations failed.
    Tickets,
    /// A transaction was aborted.
    Abort,
}

/// A space_info. Negative numbers are counters that wrapped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SpaceInfo {
    /// `data`, `metadata`, `system`, `mixed` or `unknown`.
    pub kind: String,
    /// Sub-group of a zoned filesystem.
    pub subgroup: i64,
    /// Whether the last try to allocate a chunk failed; null if the text does not say.
    pub full: Option<bool>,
    /// Bytes in block groups.
    pub total: i64,
    /// Bytes in extents.
    pub used: i64,
    /// Freed, usable after the commit.
    pub pinned: i64,
    /// Allocated and not written yet.
    pub reserved: i64,
    /// Promised to reservations.
    pub may_use: i64,
    /// Free bytes of read-only block groups.
    pub readonly: i64,
    /// Bytes that a zone gives back when it is reset.
    pub zone_unusable: i64,
    /// What is left; negative if more is promised than there is.
    pub free: i64,
    /// Part of `may_use` that no block_rsv of the dump holds; null if the dump has no block_rsvs of this space_info.
    pub may_use_other: Option<i64>,
}

/// A block_rsv.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BlockRsv {
    /// Its name in the kernel.
    pub name: String,
    /// What it should hold.
    pub size: i64,
    /// What it holds.
    pub reserved: i64,
    /// The space_info of whose `may_use` it is part; null if the dump does not have it.
    pub space_info: Option<String>,
}

/// `btrfs filesystem usage`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Usage {
    /// Whether all amounts are exact (`-b`).
    pub exact: bool,
    /// Size of all devices; null if the text does not say.
    pub device_size: Option<i64>,
    /// Unallocated bytes of all devices; null if the text does not say.
    pub unallocated: Option<i64>,
    /// Size of the global reserve; null if the text does not say.
    pub global_reserve: Option<i64>,
    /// Block groups by kind and profile.
    pub allocations: Vec<Allocation>,
    /// Unallocated bytes by device.
    pub devices: Vec<Device>,
}

/// Block groups of one kind and profile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Allocation {
    /// `data`, `metadata`, `system` or `mixed`.
    pub kind: String,
    /// As btrfs-progs prints it: `single`, `DUP`, `RAID1`.
    pub profile: String,
    /// Bytes in block groups.
    pub size: i64,
    /// Bytes in extents.
    pub used: i64,
    /// What is left.
    pub free: i64,
}

/// A device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Device {
    /// Its path.
    pub path: String,
    /// Unallocated bytes.
    pub unallocated: i64,
}

impl Explanation {
    /// Whether at least one filesystem has a reason: a cause, or figures that are impossible.
    #[must_use]
    pub fn is_explained(&self) -> bool {
        let explained =
            |filesystem: &Filesystem| !filesystem.causes.is_empty() || !filesystem.impossible.is_empty();
        self.filesystems.iter().any(explained)
    }
}
