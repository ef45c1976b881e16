//! What one thread holds, as far as its calls show it.
use super::{extents::Removed, node::Node};
use crate::vocabulary::{
    account::Account,
    failed_reservations::FailedReservations,
    finding::{Origin, StackRef},
    keys::InodeKey,
};

/// Most operations of one thread; the kernel never has more than one.
const MAX_OPERATIONS: usize = 8;

/// What is known of one thread since `epoch`.
#[derive(Debug, Default)]
pub(crate) struct Thread {
    pub epoch: u32,
    /// An operation began since `epoch`. From then on everything that the thread holds is known, because no caller begins an
    /// operation while it holds another.
    pub known: bool,
    /// A data reservation began since `epoch`.
    pub data_known: bool,
    pub operations: Vec<Operation>,
    pub data: Vec<DataReservation>,
    pub allocated: Allocated,
    pub failure: Option<FailedReservation>,
    pub published: Option<Published>,
    pub handle: Option<Handle>,
    /// What its handle has reserved in `chunk_block_rsv`.
    pub chunk: Option<ChunkHeld>,
    /// A ticket of the thread was granted, so another task raised `bytes_may_use` for it. Until its next reservation returns.
    pub granted: bool,
    /// What it said it gives back of delayed nodes; its next call must do that.
    pub items_due: Vec<ItemsDue>,
    /// A release of more than its pool had claimed, inside a call that has not returned.
    pub pool_over: Option<PoolOver>,
    /// Prealloc of qgroups that it holds outside of all hooked calls.
    pub prealloc: Vec<HeldPrealloc>,
    /// `delalloc` events that no call has taken yet.
    pub events: Vec<DelallocEvent>,
    /// It had such an event since `epoch`.
    pub has_events: bool,
    pub waiting: Vec<Node>,
    /// An ordered extent that the thread is removing had this left.
    pub removed: Option<Removed>,
    /// The return of a call was missed since its last system call ended.
    pub missed: bool,
    /// Some calls were dropped because `waiting` was full.
    pub crowded: bool,
    /// The thread is in `Calls::holders`.
    pub listed: bool,
}

impl Thread {
    /// Something may have been missed, so nothing is known of the thread any more.
    pub(crate) fn restart(&mut self, epoch: u32, failed: &mut FailedReservations) {
        if let Some(failure) = self.failure.take() {
            failure.undecided(failed);
        }
        self.epoch = epoch;
        self.known = false;
        self.data_known = false;
        self.published = None;
        self.operations.clear();
        self.data.clear();
        self.allocated = Allocated::default();
        self.handle = None;
        self.chunk = None;
        self.granted = false;
        self.items_due.clear();
        self.pool_over = None;
        self.prealloc.clear();
        self.events.clear();
        self.has_events = false;
        self.waiting.clear();
        self.removed = None;
        self.missed = false;
        self.crowded = false;
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.waiting.is_empty()
            && self.failure.is_none()
            && self.published.is_none()
            && self.handle.is_none()
            && self.chunk.is_none()
            && self.prealloc.is_empty()
            && self.data.iter().all(|data| data.kept() == 0)
            && self.operations.iter().all(Operation::is_closed)
    }

    /// True if the thread has data, an open operation or a failed reservation on this inode.
    pub(crate) fn holds(&self, fs: u32, key: InodeKey) -> bool {
        self.operations.iter().any(|operation| operation.is_open_on(fs, key))
            || self.data.iter().any(|data| data.fs == fs && data.key == key && data.kept() > 0)
            || self.failure.as_ref().is_some_and(|failure| failure.is_of(fs, key))
    }

    /// Data of a filesystem that the thread has neither handed on nor freed, bytes at least.
    pub(crate) fn data_in_hands(&self, fs: u32) -> i64 {
        let own = self.data.iter().filter(|data| data.fs == fs);
        own.fold(0, |sum: i64, data| sum.saturating_add_unsigned(data.left.saturating_sub(data.spent)))
    }

    /// True if the thread has data, an open operation or a failed reservation on any inode.
    pub(crate) fn may_hold(&self) -> bool {
        self.failure.is_some()
            || self.data.iter().any(|data| data.kept() > 0)
            || !self.operations.iter().all(Operation::is_closed)
    }

    /// The inode that the thread has last reserved for since its system call began.
    pub(crate) fn works_on(&self, fs: u32) -> Option<InodeKey> {
        let data = self.data.iter().rev().find(|data| data.fs == fs).map(|data| data.key);
        let open = self.operations.iter().rev().find(|of| of.fs == fs && !of.is_closed());
        data.or_else(|| open.map(|operation| operation.key))
    }

    pub(crate) fn make_room(&mut self) {
        if self.operations.len() >= MAX_OPERATIONS {
            self.operations.remove(0);
        }
    }
}

/// A successful delalloc metadata reservation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operation {
    pub fs: u32,
    pub key: InodeKey,
    /// Extents that the task has not released yet.
    pub extents: i64,
    /// Data bytes whose metadata the task may still release itself. Bytes that go to dirty pages or an ordered extent stay
    /// included.
    pub bytes: u64,
    /// Metadata bytes that were reserved.
    pub reserved: u64,
    /// Return address of the last call of the task on the inode.
    pub exit: u64,
    /// A call was missed that may have released it.
    pub doubtful: bool,
    pub stack: StackRef,
}

impl Operation {
    pub(crate) const fn is_closed(&self) -> bool {
        self.extents == 0
    }

    pub(crate) fn is_open_on(&self, fs: u32, key: InodeKey) -> bool {
        self.extents != 0 && self.fs == fs && self.key == key
    }

    pub(crate) const fn origin(&self) -> Origin {
        Origin { bytes: self.reserved, count: 1, stack: self.stack }
    }
}

/// Data reserved by a thread for an inode.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DataReservation {
    pub fs: u32,
    pub key: InodeKey,
    /// Bytes that the thread may still give back: those that it did not free, and of which no range became dirty.
    pub left: u64,
    pub bytes: u64,
    /// Bytes of `left` that may have become an extent. What the thread spends may also be data that was dirty before, so this
    /// is an upper bound.
    pub spent: u64,
    /// Reserved by `btrfs_alloc_data_chunk_ondemand`, which both preallocation and an encoded write call.
    pub chunk: bool,
    /// No metadata was reserved for this data yet.
    pub fresh: bool,
    /// The metadata reservation for this data failed.
    pub failed: bool,
    /// Return address of the last call of the task on the inode.
    pub exit: u64,
    /// Bytes that this reservation marked as reserved in the qgroup and whose marks the task did not free.
    pub marked: u64,
    pub stack: StackRef,
}

impl DataReservation {
    /// Bytes that were neither freed nor handed on. What a failed reservation keeps is judged with the failure.
    pub(crate) const fn kept(&self) -> u64 {
        if self.failed { 0 } else { self.left.saturating_sub(self.spent) }
    }

    /// True if a failed metadata reservation must give back this data. A direct write with `IOCB_NOWAIT` reserves no data
    /// itself, so the data left by a preallocation is not its own.
    pub(crate) const fn belongs_to(&self, node: &Node, disk_bytes: u64) -> bool {
        self.fresh && self.left > 0 && (!self.chunk || (node.args[2] == 0 && disk_bytes == self.bytes))
    }
}

/// What a task has allocated for dirty ranges that it has not cleared yet.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Allocated {
    pub fs: u32,
    pub bytes: u64,
    /// Of these, bytes that were surely not for data that the task had reserved itself.
    pub sure: u64,
    /// Bytes of ranges that were cleared and freed meanwhile, and the last such call.
    pub freed: u64,
    pub at: Option<Node>,
}

/// A failed reservation whose task has not moved on yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FailedReservation {
    pub node: Node,
    /// Data that the caller had reserved before, bytes.
    pub held: u64,
    pub raced: u32,
    /// The task gave all of it back.
    pub done: bool,
    pub counted: bool,
    /// A finding reports this failure, so it counts neither as balanced nor as undecided.
    pub wrong: bool,
}

impl FailedReservation {
    pub(crate) fn is_of(&self, fs: u32, key: InodeKey) -> bool {
        self.node.fs == fs && self.node.key == key
    }

    /// The thread cannot be followed any further: counts the failure as undecided.
    pub(crate) const fn undecided(&self, failed: &mut FailedReservations) {
        if !self.done && !self.wrong {
            failed.undecided += 1;
        }
    }

    /// What happened, as text for the explanation of a finding.
    pub(crate) fn story(&self) -> String {
        story(&self.node, self.held, self.raced)
    }

    pub(crate) const fn balanced(&mut self, failed: &mut FailedReservations) {
        self.done = true;
        if !self.wrong {
            self.counted = true;
            failed.balanced += 1;
        }
    }
}

pub(crate) fn story(node: &Node, held: u64, raced: u32) -> String {
    let taken = if held == 0 { "no data".to_owned() } else { format!("{held} bytes of data") };
    let race = match raced {
        0 => "no release on the inode raced with it".to_owned(),
        1 => "1 release on the inode raced with it".to_owned(),
        n => format!("{n} releases on the inode raced with it"),
    };
    format!(
        "The reservation for {} bytes failed with error {}; its task had taken {taken} before, and {race}.",
        node.args[0], node.ret
    )
}

/// Counters that a task published outside of a reservation. Judged when the task gives its data back or goes on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Published {
    pub node: Node,
    pub bytes: i64,
    pub undone: bool,
    /// Releases by other tasks on the inode since.
    pub raced: u32,
    /// Bytes of the block_rsv that the task itself released.
    pub released: i64,
}

impl Published {
    pub(crate) fn is_of(&self, fs: u32, key: InodeKey) -> bool {
        self.node.fs == fs && self.node.key == key
    }

    pub(crate) fn story(&self) -> String {
        let race = match self.raced {
            0 => "nobody released anything of the inode in between".to_owned(),
            1 => "1 release on the inode ran in between".to_owned(),
            n => format!("{n} releases on the inode ran in between"),
        };
        let undone = if self.undone { "undid that" } else { "left that" };
        format!(
            "The task published {} bytes of csum_bytes and their extents before anything was reserved, failed, {undone} \
             and released {} bytes of the block_rsv; {race}.",
            self.bytes, self.released
        )
    }
}

/// Bytes that a release left to a failing task, which did not take them. The destroy of the inode shows whether they are
/// there.
#[derive(Clone, Debug)]
pub(crate) struct RaceLeftover {
    pub epoch: u32,
    pub key: InodeKey,
    pub node: Node,
    pub story: String,
    /// True if a release is known to have run in between.
    pub raced: bool,
}

/// A release of more than was claimed of a pool.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PoolOver {
    pub node: Node,
    pub account: Account,
    pub bytes: u64,
    pub size: u64,
}

/// A `delayed_item` or `delayed_inode` event: bytes of a delayed node that are about to be released.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ItemsDue {
    pub fs: u32,
    /// Inode number of the node.
    pub ino: u64,
    pub bytes: u64,
    /// For items of a directory; the inode item has a function of its own, which is judged for itself.
    pub items: bool,
    pub stack: StackRef,
}

/// A transaction handle that still held bytes when one of its uses ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Handle {
    pub fs: u32,
    pub address: u64,
    pub bytes: u64,
    pub stack: StackRef,
}

/// Bytes of `chunk_block_rsv` that a transaction handle has reserved for a new chunk.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ChunkHeld {
    pub fs: u32,
    pub bytes: i64,
    pub stack: StackRef,
}

/// Prealloc of a qgroup that a task holds outside of all hooked calls, as in an operation on subvolumes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeldPrealloc {
    pub fs: u32,
    pub root: u64,
    pub origin: Origin,
}

/// A `delalloc` event of `btrfs_space_reservation`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DelallocEvent {
    pub reserve: bool,
    /// The subvolume may be unknown (0): the event does not name it.
    pub key: InodeKey,
    pub bytes: u64,
}
