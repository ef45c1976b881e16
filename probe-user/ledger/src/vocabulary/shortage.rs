//! Reservations that failed for lack of space, and aborted transactions: what was asked, by whom, and the kernel's figures of that
//! moment. They are no findings: the books balance.
use probe_common::shortage::{FailureDevices, FailureState, QgroupRefusal};

use super::{draws::GlobalDraw, finding::TaskRef, holders::PoolHolders, path::SeenPath};

/// What failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ShortageKind {
    /// A ticket: a reservation that had waited.
    Ticket,
    /// A reservation that may not wait. Its caller has another way.
    NoWait,
    /// The limit of a qgroup refused a reservation.
    Qgroup,
    /// A transaction was aborted.
    Abort,
}

impl ShortageKind {
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

/// The state at a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShortageState {
    /// Space_infos, block_rsvs and the request.
    pub state: FailureState,
    /// The devices; `None` if their record was lost.
    pub devices: Option<FailureDevices>,
    /// It is the state at `btrfs_fail_all_tickets`, which decided; something was freed before the task saw its outcome.
    pub decided: bool,
    /// Who held the pools then; `None` if that was not found out.
    pub holders: Option<Box<PoolHolders>>,
}

/// An inode that held bytes when a limit refused more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShortageHolder {
    /// Inode number.
    pub ino: u64,
    /// Path, if known.
    pub path: Option<SeenPath>,
    /// Dirty bytes, as last seen.
    pub delalloc_bytes: u64,
    /// Bytes of its block_rsv.
    pub meta_rsv: i64,
}

/// One failure.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShortageEvent {
    /// When, `CLOCK_MONOTONIC` ns.
    pub time: u64,
    /// Who.
    pub task: Option<TaskRef>,
    /// When the ticket was queued, `CLOCK_MONOTONIC` ns; 0 if it is not known.
    pub start: u64,
    /// Bytes that were asked for; 0 if they are not known.
    pub bytes: u64,
    /// `enum btrfs_reserve_flush_enum`; -1 if it is not known.
    pub flush: i32,
    /// Subvolume; 0 if it is not known.
    pub root: u64,
    /// Inode number; 0 if it is not known.
    pub ino: u64,
    /// Path of the inode, if known.
    pub path: Option<SeenPath>,
    /// Stack id; 0 if none was taken.
    pub stack: u64,
    /// The state; `None` if too many failed at a time.
    pub state: Option<Box<ShortageState>>,
    /// The qgroup, if its limit refused.
    pub qgroup: Option<Box<QgroupRefusal>>,
    /// The inodes of the subvolume that held most, if the limit of a qgroup refused.
    pub holders: Vec<ShortageHolder>,
    /// Who had drawn most on the global block_rsv since it was last seen full, if it held less than it should.
    pub drained_by: Vec<GlobalDraw>,
    /// Function and line, and what else the kernel's log says of an abort.
    pub line: Option<String>,
}

/// Failures of one kind, with one errno, on one space_info or qgroup of a filesystem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shortage {
    /// Filesystem id of the stream.
    pub fs: u32,
    /// `fs_devices->fsid`
    pub fsid: [u8; 16],
    /// `sb->s_id`, lossily decoded.
    pub device: String,
    /// What failed.
    pub kind: ShortageKind,
    /// Negative errno.
    pub error: i32,
    /// Block group type of the space_info, or the id of the qgroup.
    pub object: u64,
    /// How often.
    pub count: u64,
    /// Of `count`, those with a state.
    pub with_state: u64,
    /// Bytes of the largest request.
    pub largest_bytes: u64,
    /// Times of the first and last, `CLOCK_MONOTONIC` ns.
    pub seen: (u64, u64),
    /// Names of the tasks and how often each; the first ones.
    pub tasks: Vec<(String, u64)>,
    /// Failures of tasks that are not in `tasks`.
    pub other_tasks: u64,
    /// The first one.
    pub first: ShortageEvent,
    /// The one that asked for most, if it is not the first; of those with a state.
    pub largest: Option<ShortageEvent>,
    /// The last one with a state, if it is not the first.
    pub last: Option<ShortageEvent>,
}

impl Shortage {
    /// The events that were kept, each once, in the order of their time.
    #[must_use]
    pub fn events(&self) -> Vec<&ShortageEvent> {
        let mut events = vec![&self.first];
        events.extend(&self.largest);
        if self.last != self.largest {
            events.extend(&self.last);
        }
        events.sort_by_key(|event| event.time);
        events
    }
}
