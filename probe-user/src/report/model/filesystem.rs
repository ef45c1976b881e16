//! One filesystem: its pools, its space_infos, and the inodes that hold something.
use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AccountName, Draws, Flushes, Holders, Task, Waits};

/// One filesystem.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Filesystem {
    /// `fs_devices->fsid`
    pub uuid: String,
    /// Devices, as far as they are known.
    pub devices: Vec<String>,
    /// Where it was mounted when the session looked.
    pub mounts: Vec<String>,
    /// It was mounted while the session watched, so every opening balance is zero.
    pub born: bool,
    /// Its unmount was seen.
    pub ended: bool,
    /// It was aborted; rules over the whole filesystem hold no more from there on.
    pub aborted: bool,
    /// Pools and totals by account id.
    pub accounts: BTreeMap<String, AccountState>,
    /// Its space_infos by type: `data`, `metadata`, `system`, `mixed`; a second one of a type has `#2` behind it.
    pub space: BTreeMap<String, SpaceState>,
    /// Who holds them; null if their levels were never read, and after the unmount.
    #[serde(default)]
    pub holders: Option<Holders>,
    /// Counters whose every change was checked against the one before.
    pub chains: Vec<ChainState>,
    /// Comparison of the books with `/sys/fs/btrfs/UUID/allocation`.
    pub audit: Audit,
    /// Reservation tickets.
    pub tickets: Tickets,
    /// `space_info:enospc` events; a part of them are routine tries that then fall back to the global reserve.
    pub enospc: u64,
    /// Waits for space.
    pub waits: Waits,
    /// What was done to get space back.
    pub flushes: Flushes,
    /// Who drew on which reserve; null if nothing moved.
    pub draws: Option<Draws>,
    /// Live inodes with an account.
    pub inodes: u64,
    /// Inodes whose end of life was checked.
    pub inodes_closed: u64,
}

/// What an account holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AccountState {
    /// `bytes` or `count`.
    pub unit: String,
    /// Balance in the books, in `unit`; null where the books do not follow it.
    pub balance: Option<i64>,
    /// The kernel's `block_rsv->size` in bytes when it was last read; null for what is no block_rsv.
    pub size: Option<i64>,
    /// The kernel's `block_rsv->reserved` in bytes when it was last read; null for what is no block_rsv.
    pub reserved: Option<i64>,
    /// Whether it was judged at its end.
    pub closing: ClosingName,
    /// Why it was not judged, as the rest of a sentence that begins with the account; null if it was, or is still open.
    pub not_judged: Option<String>,
}

/// What became of an account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ClosingName {
    /// It was judged at its end: that of the inode, the qgroup or the filesystem.
    Closed,
    /// Its end was not seen, since the filesystem is still there.
    #[default]
    Open,
    /// No rule judged it.
    NotJudged,
}

/// The kernel's own levels of a space_info when they were last read; `bytes_may_use` and `bytes_pinned` as a later change of
/// them showed, if there was one. Bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SpaceState {
    /// `total_bytes`
    pub total: i64,
    /// `bytes_used`
    pub used: i64,
    /// `bytes_may_use`
    pub bytes_may_use: i64,
    /// `bytes_reserved`
    pub bytes_reserved: i64,
    /// `bytes_pinned`
    pub bytes_pinned: i64,
}

/// A counter whose every change was checked against the one before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChainState {
    /// Account of the counter.
    pub account: AccountName,
    /// The space_info's type, or the qgroup id as `level/id`.
    pub object: String,
    /// Links checked.
    pub links: u64,
    /// Links that did not fit.
    pub breaks: u64,
    /// Last known value in bytes.
    pub value: i64,
    /// Highest known value in bytes.
    pub peak: i64,
}

/// Comparison of the books with sysfs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Audit {
    /// Comparisons that were possible: the counter stood still while sysfs was read.
    pub compared: u64,
    /// Comparisons that agreed.
    pub equal: u64,
    /// Comparisons that were not possible, because the counter kept moving.
    pub moving: u64,
    /// The last comparison of each account.
    pub last: Vec<AuditedAccount>,
}

/// One comparison. Bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AuditedAccount {
    /// The account.
    pub account: AccountName,
    /// What sysfs said.
    pub sysfs: i64,
    /// What the books said.
    pub books: i64,
}

/// Outcomes of reservation tickets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tickets {
    /// Granted.
    pub granted: u64,
    /// Failed.
    pub failed: u64,
}

/// An inode that holds something.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InodeHolder {
    /// Filesystem uuid; null where it is not known.
    pub filesystem: Option<String>,
    /// Subvolume (root objectid), signed as in the kernel's headers.
    pub root: i64,
    /// Inode number.
    pub inode: u64,
    /// Inode generation; null where it is not known.
    pub generation: Option<u64>,
    /// Path below the mount; null where it is not known.
    pub path: Option<String>,
    /// True if the path is known in part: `…` stands for what is missing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub path_truncated: bool,
    /// The known bytes of the path as base64, if they are not UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path_bytes: Option<String>,
    /// `inode.meta_rsv` in the books, bytes.
    pub meta_rsv: i64,
    /// False: the inode was first met in the middle of its life, and `meta_rsv` counts from there.
    pub opening_known: bool,
    /// The kernel's `block_rsv.reserved` when last read, bytes; null if it never was.
    pub rsv_reserved: Option<i64>,
    /// The kernel's `block_rsv.size` when last read, bytes.
    pub rsv_size: Option<i64>,
    /// `csum_bytes` when last read.
    pub csum_bytes: Option<i64>,
    /// `delalloc_bytes` when last read.
    pub delalloc_bytes: Option<i64>,
    /// `outstanding_extents` when last read, a count.
    pub outstanding_extents: Option<i64>,
    /// Bytes reserved for it so far.
    pub reserved_total: u64,
    /// Reservations for it so far.
    pub reservations: u64,
    /// The thread that reserved last; null if none was seen.
    pub task: Option<Task>,
}
