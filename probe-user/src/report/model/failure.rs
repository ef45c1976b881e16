//! Reservations that failed for lack of space, and why. They are no findings: the books balance.
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Frame, GlobalDraws, SpaceHolders, Task};
use crate::explain::model::Filesystem as Explanation;

/// Failures of one kind, with one errno, on one space_info or qgroup of a filesystem.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    /// Filesystem uuid; null if it is not known.
    pub filesystem: Option<String>,
    /// What failed.
    pub kind: FailureKind,
    /// Negative errno.
    pub error: i32,
    /// Name of the errno, for example `ENOSPC`; the number if it has none here.
    pub errno: String,
    /// `data`, `metadata`, `system` or `mixed`; null if none is concerned.
    pub space_info: Option<String>,
    /// The qgroup whose limit refused; null if none is concerned.
    pub qgroup: Option<String>,
    /// How often.
    pub count: u64,
    /// Of `count`, those whose state was read; a burst of failures has few.
    pub with_state: u64,
    /// Bytes of the largest request; 0 if none is known.
    pub largest_bytes: u64,
    /// When the first came, ns since the start.
    pub first_seen_ns: u64,
    /// When the last came, ns since the start.
    pub last_seen_ns: u64,
    /// The tasks that failed, most often first.
    pub tasks: Vec<FailedTask>,
    /// Failures of tasks that are not listed.
    pub other_tasks: u64,
    /// The first, the one that asked for most, and the last, as far as they differ.
    pub instances: Vec<FailureInstance>,
}

/// What failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FailureKind {
    /// A reservation that had waited (a ticket).
    Ticket,
    /// A reservation that may not wait; its caller has another way.
    NoWait,
    /// The limit of a qgroup refused a reservation.
    Qgroup,
    /// A transaction was aborted.
    Abort,
}

impl FailureKind {
    /// Name in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ticket => "ticket",
            Self::NoWait => "no-wait",
            Self::Qgroup => "qgroup",
            Self::Abort => "abort",
        }
    }
}

/// Tasks of one name that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FailedTask {
    /// Name of the thread, not escaped; empty if it is not known.
    pub comm: String,
    /// How often.
    pub count: u64,
}

/// One failure, with the kernel's figures of that moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FailureInstance {
    /// When, ns since the start.
    pub time_ns: u64,
    /// Who; null if it is not known.
    pub task: Option<Task>,
    /// The system call, or the worker; null if the stack does not show it.
    pub call: Option<String>,
    /// Bytes that were asked for; null if they are not known.
    pub bytes: Option<u64>,
    /// `enum btrfs_reserve_flush_enum` without its prefix; null if it is not known.
    pub flush: Option<String>,
    /// Subvolume, signed; null if it is not known.
    pub root: Option<i64>,
    /// Inode number; null if it is not known.
    pub inode: Option<u64>,
    /// Path, not escaped; null if it is not known.
    pub path: Option<String>,
    /// True if the path is known in part: `…` stands for what is missing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub path_truncated: bool,
    /// The known bytes of the path as base64, if they are not UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path_bytes: Option<String>,
    /// Function and line that the kernel's log names; null if it is no abort.
    pub aborted_at: Option<String>,
    /// Who asked for what and got which error, as a sentence.
    pub who: String,
    /// Why it failed: one sentence, the causes, and the figures; null without a state.
    pub why: Option<Explanation>,
    /// The draws on the global reserve that were largest since it was last seen full; empty if it was full or none was seen.
    pub drained_by: Vec<GlobalDraws>,
    /// Who held `bytes_may_use` of that space_info then; null if that was not found out. What was dirty was not read.
    #[serde(default)]
    pub holders: Option<SpaceHolders>,
    /// The limit that refused, and what the qgroup held; null if it was none.
    pub limit: Option<QgroupLimit>,
    /// Where; innermost frame first, empty if no stack was taken.
    pub stack: Vec<Frame>,
}

/// A qgroup at the moment at which its limit refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct QgroupLimit {
    /// Its id, `0/257`.
    pub qgroup: String,
    /// Limit of `rfer`, bytes; null if there is none.
    pub max_rfer: Option<u64>,
    /// Limit of `excl`, bytes; null if there is none.
    pub max_excl: Option<u64>,
    /// Referenced bytes.
    pub rfer: u64,
    /// Exclusive bytes.
    pub excl: u64,
    /// Bytes reserved for data.
    pub reserved_data: u64,
    /// Bytes reserved for metadata of the running transaction.
    pub reserved_meta_pertrans: u64,
    /// Bytes reserved for metadata in advance.
    pub reserved_meta_prealloc: u64,
    /// What was asked for: `data`, `metadata`, or `metadata for the running transaction`.
    pub asked_for: String,
    /// The inodes of the subvolume that held most, as far as the books know; most bytes first.
    pub holders: Vec<QgroupHolder>,
}

/// An inode of a subvolume whose limit refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct QgroupHolder {
    /// Inode number.
    pub inode: u64,
    /// Path, not escaped; null if it is not known.
    pub path: Option<String>,
    /// True if the path is known in part: `…` stands for what is missing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub path_truncated: bool,
    /// The known bytes of the path as base64, if they are not UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path_bytes: Option<String>,
    /// Dirty bytes.
    pub delalloc_bytes: u64,
    /// Bytes of its block_rsv.
    pub meta_rsv: i64,
}
