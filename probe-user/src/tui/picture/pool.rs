//! Pools of a filesystem on the screen.
use std::sync::Arc;

use probe_ledger::Account;

use super::inode::RecordLine;
use crate::{
    format,
    report::model::{Draws, Flushes, Holders, Waits},
};

/// A pool, and the name under which its history is kept.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PoolKey {
    /// A space_info, by its flags and its place among those of its type.
    Space(u64, u32),
    /// A block_rsv of the filesystem.
    Rsv(Account),
    /// The block_rsvs of all inodes.
    Inodes,
    /// A counter of a qgroup, by account and id.
    Qgroup(&'static str, u64),
}

/// A history: samples at one distance, newest last.
pub type History = Vec<u64>;

/// A pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolRow {
    /// Which.
    pub key: PoolKey,
    /// Account id or space type.
    pub name: String,
    /// Bytes held. Negative if the balance of the books, or a counter of the kernel, is.
    pub held: i64,
    /// What `held` is a part of, in bytes: `total_bytes` of a space_info, `size` of a block_rsv; 0 for other pools.
    pub whole: u64,
    /// `bytes_used`, `bytes_pinned`, `bytes_reserved`, `bytes_may_use`; all zero but the last for block_rsvs.
    pub parts: [i64; 4],
    /// What was held.
    pub history: History,
}

impl PoolRow {
    /// True for what has a size that `whole` says; of a qgroup's counter it is the highest value so far.
    #[must_use]
    pub const fn is_sized(&self) -> bool {
        self.whole > 0 && matches!(self.key, PoolKey::Space(..) | PoolKey::Rsv(_))
    }

    /// True for a space_info.
    #[must_use]
    pub const fn is_space(&self) -> bool {
        matches!(self.key, PoolKey::Space(..))
    }
}

/// How a ticket or a try ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TicketOutcome {
    /// Granted.
    Granted,
    /// Failed, with this errno (positive).
    Failed(i32),
    /// Failed without waiting.
    Enospc,
    /// A flush was begun.
    Flush,
    /// All waiting tickets were failed.
    AllFailed,
}

/// A ticket, a refusal or a flush: what explains a stall.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TicketLine {
    /// When and who; `text` holds the reason of a flush.
    pub at: RecordLine,
    /// What became of it.
    pub outcome: TicketOutcome,
    /// `space_info->flags`
    pub space: u64,
    /// Bytes asked for.
    pub bytes: u64,
    /// `enum btrfs_reserve_flush_enum` in words; empty if there is none.
    pub flush: &'static str,
    /// Time in the queue; `None` if it is not known or there was none.
    pub waited_ns: Option<u64>,
}

/// Comparisons of the books with `/sys/fs/btrfs/UUID/allocation` so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SysfsComparisons {
    /// That were possible, because the counter stood still while sysfs was read.
    pub compared: u64,
    /// That agreed.
    pub equal: u64,
    /// That were not possible, because the counter kept moving.
    pub moving: u64,
}

/// A filesystem.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FsView {
    /// Filesystem id of the stream.
    pub fs: u32,
    /// `fs_devices->fsid` as text.
    pub uuid: String,
    /// `sb->s_id`
    pub device: String,
    /// Where it is (or was) mounted.
    pub mounts: Vec<String>,
    /// Its unmount was seen.
    pub ended: bool,
    /// It was aborted.
    pub aborted: bool,
    /// Live inodes in the books.
    pub inodes: u64,
    /// Transaction generation as last seen; 0 if not.
    pub transid: u64,
    /// When the kernel's levels were last read, ns since the start of the session; `None` if never.
    pub levels_ns: Option<u64>,
    /// The pools.
    pub pools: Vec<PoolRow>,
    /// Who holds them; `None` if that is not known.
    pub holders: Option<Holders>,
    /// Time from the first to the last sample of the histories.
    pub span_ns: u64,
    /// Tickets granted and failed.
    pub tickets: (u64, u64),
    /// `space_info:enospc` events.
    pub enospc: u64,
    /// Flushes begun, and times that all tickets were failed.
    pub flushes: (u64, u64),
    /// The last tickets and flushes, newest first.
    pub lines: Vec<TicketLine>,
    /// Waits for space.
    pub waits: Waits,
    /// What was done to get space back.
    pub flush: Flushes,
    /// Who draws on what; `None` if nothing moved.
    pub draws: Option<Arc<Draws>>,
    /// Comparisons with sysfs.
    pub sysfs: SysfsComparisons,
}

impl FsView {
    /// The space_info of a pool, by name as in [`Holders::spaces`]; `None` for a counter of a qgroup.
    #[must_use]
    pub fn space_of(&self, key: &PoolKey) -> Option<String> {
        let metadata = || {
            let names = self.holders.as_ref()?.spaces.keys();
            names.into_iter().find(|name| matches!(name.as_str(), "metadata" | "mixed")).cloned()
        };
        match key {
            PoolKey::Space(flags, nth) => Some(format::space_name(*flags, *nth)),
            PoolKey::Rsv(Account::FsChunkRsv) => Some("system".to_owned()),
            PoolKey::Rsv(_) | PoolKey::Inodes => metadata(),
            PoolKey::Qgroup(..) => None,
        }
    }

    /// Short name: device, or the begin of the UUID.
    #[must_use]
    pub fn short(&self) -> &str {
        if self.device.is_empty() { self.uuid.get(..8).unwrap_or(&self.uuid) } else { &self.device }
    }
}
