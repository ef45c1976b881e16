//! A small, correct simulated kernel. Its inodes have a block_rsv, and its tasks interleave wherever those of a real kernel
//! can. Its records come where the real tracepoints fire: after the change, before it, or late, outside the locks.
//!
//! The state (`reserved`, `size`, ...) is the ground truth. The records are what an observer gets.
use std::collections::{BTreeMap, VecDeque};

use probe_common::{
    chain::Bmu,
    claim::{CLAIM_JOIN, CLAIM_RESERVE, Claim, ClaimType, RsvType},
    failure::{ENOSPC_WINDOW_KNOWN, Enospc, Ticket},
    fs::{FS_BORN, FsEnd, FsSeen, LEVELS_COMMIT, LEVELS_UNMOUNT, Levels, SpaceLevels},
    header::Header,
    inode::{
        BLOCK_FRESH, Block, COUNTERS_VALID, Counters, DELALLOC_ORDER_KNOWN, DELALLOC_RESERVE,
        DELALLOC_ROOT_KNOWN, Delalloc, InodeState, MOMENT_DESTROY, MOMENT_EVICT,
    },
    task::{Marker, MarkerKind},
};
use probe_record::record::Record;

use crate::{DATA, I, M, METADATA, N};

/// Ids of the simulated filesystems.
pub const FILESYSTEMS: [u32; 2] = [0x101, 0x102];
/// Subvolumes; the same inode numbers exist in both.
pub(crate) const ROOTS: [u64; 2] = [5, 256];
const INODES: u64 = 3;
const LEN: u64 = 4096;

/// (filesystem, subvolume, inode number)
pub type Owner = (u32, u64, u64);

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Inode {
    reserved: u64,
    size: u64,
    outstanding: u32,
    csum: u64,
    delalloc: u64,
    dirty: u32,
    delayed: bool,
    /// Number of tasks inside an operation on the inode.
    busy: u32,
    generation: u64,
}

/// What a task still has to do. Each step is one atomic change.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    TicketGranted(Owner, u64),
    Publish(Owner, u32),
    AddBytes(Owner, u64),
    EmitReserve(Owner, u64, u32),
    Dirty(Owner),
    ReleaseExtents(Owner, u32),
    EmitRelease(Owner),
    OrderedAdd(Owner),
    Block(Owner),
    DelayedInode(Owner),
    OrderedRemove(Owner),
    Done(Owner),
    Enospc(u32, u64),
    DataBack(u32),
    HandleStart(u32),
    HandleEnd(u32),
    EvictJoin(u32),
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Task {
    pub(crate) steps: VecDeque<Step>,
    /// Bytes of releases whose record is not written yet.
    excess: VecDeque<u64>,
}

/// The kernel and its stream.
#[derive(Debug)]
pub struct Simulator {
    /// The records so far.
    pub records: Vec<Record>,
    pub(crate) inodes: BTreeMap<Owner, Inode>,
    pub(crate) tasks: Vec<Task>,
    delayed: BTreeMap<u32, Vec<u64>>,
    random: u64,
    time: u64,
}

impl Simulator {
    pub(crate) fn new(tasks: usize, seed: u64) -> Self {
        Self {
            records: Vec::new(),
            inodes: BTreeMap::new(),
            tasks: vec![Task::default(); tasks],
            delayed: BTreeMap::new(),
            random: seed | 1,
            time: 1_000_000_000,
        }
    }

    pub(crate) fn mount(&mut self, fs: u32) {
        let header = self.header(fs, 0);
        self.records.push(FsSeen { header, flags: FS_BORN, nodesize: N as u32, ..FsSeen::default() }.into());
    }

    /// A correct run. Each of `operations` starts when its task is idle; `seed` decides the interleaving.
    pub fn run(operations: &[(u8, u8, u8)], seed: u64) -> Vec<Record> {
        let mut simulator = Self::new(6, seed);
        simulator.marker(MarkerKind::Attached);
        for fs in FILESYSTEMS {
            simulator.mount(fs);
        }
        for (task, operation, inode) in operations {
            let task = usize::from(*task) % simulator.tasks.len();
            while !simulator.tasks[task].steps.is_empty() {
                simulator.tick();
            }
            simulator.start(task, *operation, *inode);
            for _ in 0..simulator.next(6) {
                simulator.tick();
            }
        }
        simulator.drain();
        simulator.unmount();
        simulator.marker(MarkerKind::Detaching);
        simulator.records
    }

    pub(crate) fn next(&mut self, below: u64) -> u64 {
        // xorshift64
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 11) % below
    }

    fn header(&mut self, fs: u32, task: usize) -> Header {
        self.time += 500;
        Header { fs, tid: 100 + task as u32, time: self.time, ..Header::default() }
    }

    pub(crate) fn marker(&mut self, kind: MarkerKind) {
        let header = Header { tid: 0, ..self.header(0, 0) };
        self.records.push(Marker { header, kind: kind as u32, reserved: 0, text: [0; 64] }.into());
    }

    fn inode(&mut self, owner: Owner) -> &mut Inode {
        self.inodes.entry(owner).or_default()
    }

    fn start(&mut self, task: usize, operation: u8, inode: u8) {
        let fs = FILESYSTEMS[usize::from(inode & 1)];
        self.start_on(
            task,
            operation,
            (fs, ROOTS[usize::from(inode >> 1 & 1)], 257 + u64::from(inode >> 2) % INODES),
        );
    }

    pub(crate) fn start_on(&mut self, task: usize, operation: u8, owner: Owner) {
        let fs = owner.0;
        let steps = &mut self.tasks[task].steps;
        match operation % 8 {
            0..=2 => {
                let extents = 1 + u32::from(operation >> 4) % 3;
                let bytes = (u64::from(extents) + 1) * I + M;
                if operation & 8 != 0 {
                    steps.push_back(Step::TicketGranted(owner, bytes));
                }
                steps.extend([
                    Step::Publish(owner, extents),
                    Step::AddBytes(owner, bytes),
                    Step::EmitReserve(owner, bytes, extents),
                    Step::Dirty(owner),
                    Step::ReleaseExtents(owner, extents),
                    Step::EmitRelease(owner),
                    Step::Done(owner),
                ]);
                self.inode(owner).busy += 1;
            }
            3 => {
                steps.push_back(Step::OrderedAdd(owner));
                if operation & 8 != 0 {
                    steps.push_back(Step::Block(owner));
                }
                if operation & 16 != 0 {
                    steps.push_back(Step::DelayedInode(owner));
                }
                steps.extend([Step::OrderedRemove(owner), Step::EmitRelease(owner), Step::Done(owner)]);
                self.inode(owner).busy += 1;
            }
            4 => steps.extend([Step::Enospc(fs, 3 * M), Step::DataBack(fs)]),
            5 => self.evict(owner),
            6 => steps.extend([Step::HandleStart(fs), Step::HandleEnd(fs)]),
            _ => {
                if operation & 8 != 0 {
                    steps.push_back(Step::EvictJoin(fs));
                } else {
                    self.commit(fs);
                }
            }
        }
    }

    /// One task makes its next step.
    fn tick(&mut self) {
        let tasks: Vec<usize> = (0..self.tasks.len()).collect();
        self.tick_one_of(&tasks);
    }

    /// One of these tasks makes its next step. False if none has one.
    pub(crate) fn tick_one_of(&mut self, tasks: &[usize]) -> bool {
        let ready: Vec<usize> =
            tasks.iter().copied().filter(|task| !self.tasks[*task].steps.is_empty()).collect();
        if ready.is_empty() {
            return false;
        }
        let task = ready[self.next(ready.len() as u64) as usize];
        if let Some(step) = self.tasks[task].steps.pop_front() {
            self.step(task, step);
        }
        true
    }

    fn drain(&mut self) {
        while self.tasks.iter().any(|task| !task.steps.is_empty()) {
            self.tick();
        }
    }

    fn step(&mut self, task: usize, step: Step) {
        match step {
            Step::TicketGranted((fs, ..), bytes) => {
                let header = self.header(fs, task);
                self.records
                    .push(Ticket { header, space_flags: METADATA, bytes, ..Ticket::default() }.into());
            }
            Step::Publish(owner, extents) => {
                let inode = self.inode(owner);
                inode.outstanding += extents;
                inode.csum += LEN;
                resize(inode);
            }
            Step::AddBytes(owner, bytes) => self.inode(owner).reserved += bytes,
            Step::EmitReserve(owner, bytes, extents) => {
                let mut record = self.delalloc(task, owner, bytes, DELALLOC_RESERVE | DELALLOC_ORDER_KNOWN);
                record.fund_before = bytes;
                record.published = extents as i32;
                self.records.push(record.into());
            }
            Step::Dirty(owner) => {
                let inode = self.inode(owner);
                inode.outstanding += 1;
                inode.dirty += 1;
                inode.delalloc += LEN;
            }
            Step::ReleaseExtents(owner, extents) => {
                let inode = self.inode(owner);
                inode.outstanding -= extents;
                let excess = release(inode);
                self.tasks[task].excess.push_back(excess);
            }
            Step::EmitRelease(owner) => {
                let bytes = self.tasks[task].excess.pop_front().unwrap_or(0);
                if bytes > 0 {
                    let record = self.delalloc(task, owner, bytes, 0);
                    self.records.push(record.into());
                }
            }
            Step::OrderedAdd(owner) => {
                let inode = self.inode(owner);
                if inode.dirty == 0 {
                    let rest = self.tasks[task].steps.len();
                    self.tasks[task].steps.drain(..rest - 1);
                    return;
                }
                let extents = inode.dirty;
                inode.dirty = 0;
                // One ordered extent per dirty extent keeps the counts simple: each is removed separately.
                inode.delalloc -= LEN * u64::from(extents);
                for _ in 1..extents {
                    self.tasks[task].steps.push_front(Step::EmitRelease(owner));
                    self.tasks[task].steps.push_front(Step::OrderedRemove(owner));
                }
            }
            Step::Block(owner) => self.block(task, owner),
            Step::DelayedInode(owner) => self.delayed_inode(task, owner),
            Step::OrderedRemove(owner) => {
                let inode = self.inode(owner);
                inode.outstanding -= 1;
                inode.csum -= LEN;
                let excess = release(inode);
                self.tasks[task].excess.push_back(excess);
            }
            Step::Done(owner) => self.inode(owner).busy -= 1,
            Step::Enospc(fs, bytes) => {
                let header = self.header(fs, task);
                let flags = ENOSPC_WINDOW_KNOWN;
                let record = Enospc {
                    header,
                    space_flags: METADATA,
                    bytes,
                    data_held: LEN,
                    flags,
                    ..Enospc::default()
                };
                self.records.push(record.into());
            }
            Step::DataBack(fs) => {
                let header = self.header(fs, task);
                let diff = -(LEN as i64);
                self.records
                    .push(Bmu { header, object_flags: DATA, old: 1 << 20, diff, ..Bmu::default() }.into());
            }
            Step::HandleStart(fs) => {
                self.claim(task, fs, ClaimType::Transaction, 2 * I, CLAIM_RESERVE, RsvType::None);
                self.claim(task, fs, ClaimType::LocalDelayedRefs, I, CLAIM_RESERVE, RsvType::None);
            }
            Step::HandleEnd(fs) => {
                self.claim(task, fs, ClaimType::Transaction, 2 * I, 0, RsvType::Trans);
                self.claim(task, fs, ClaimType::LocalDelayedRefs, I, 0, RsvType::Trans);
            }
            Step::EvictJoin(fs) => {
                self.claim(task, fs, ClaimType::Transaction, 2 * I, CLAIM_JOIN, RsvType::Trans)
            }
        }
    }

    fn claim(&mut self, task: usize, fs: u32, claim: ClaimType, bytes: u64, flags: u32, payer: RsvType) {
        let header = self.header(fs, task);
        let (claim, payer) = (claim as u32, payer as u32);
        self.records.push(Claim { header, claim, flags, bytes, payer, ..Claim::default() }.into());
    }

    /// The charge comes before the record.
    fn block(&mut self, task: usize, owner: Owner) {
        let inode = self.inode(owner);
        let own = inode.reserved >= N;
        if own {
            inode.reserved -= N;
        }
        let header = self.header(owner.0, task);
        self.records.push(
            Block {
                header,
                root: owner.1,
                bytes: N,
                payer_root: owner.1,
                payer_ino: owner.2,
                payer: RsvType::Delalloc as u32,
                flags: if own { 0 } else { BLOCK_FRESH },
            }
            .into(),
        );
    }

    fn delayed_inode(&mut self, task: usize, owner: Owner) {
        let inode = self.inode(owner);
        if inode.reserved < M || inode.delayed {
            return;
        }
        inode.reserved -= M;
        inode.delayed = true;
        self.delayed.entry(owner.0).or_default().push(M);
        let header = self.header(owner.0, task);
        self.records.push(
            Claim {
                header,
                claim: ClaimType::DelayedInode as u32,
                flags: CLAIM_RESERVE,
                value: owner.2,
                bytes: M,
                payer: RsvType::Delalloc as u32,
                payer_root: owner.1,
                payer_ino: owner.2,
                ..Claim::default()
            }
            .into(),
        );
    }

    /// Delayed inodes are run, and their claims are given back.
    fn commit(&mut self, fs: u32) {
        for bytes in self.delayed.remove(&fs).unwrap_or_default() {
            self.claim(0, fs, ClaimType::DelayedInode, bytes, 0, RsvType::DelayedOps);
        }
        for (owner, inode) in &mut self.inodes {
            inode.delayed &= owner.0 != fs;
        }
        let header = self.header(fs, 0);
        self.records.push(Levels { header, why: LEVELS_COMMIT, ..Levels::default() }.into());
    }

    /// An idle, clean inode is evicted; its number may be used again.
    fn evict(&mut self, owner: Owner) {
        let inode = *self.inode(owner);
        if inode.busy > 0 || inode.dirty > 0 {
            return;
        }
        for moment in [MOMENT_EVICT, MOMENT_DESTROY] {
            let header = self.header(owner.0, 0);
            let counters = self.counters(owner);
            let (root, ino, generation) = (owner.1, owner.2, inode.generation);
            let state =
                InodeState { header, root, ino, generation, counters, moment, ..InodeState::default() };
            self.records.push(state.into());
        }
        self.inodes.insert(
            owner,
            Inode { generation: inode.generation + 1, delayed: inode.delayed, ..Inode::default() },
        );
    }

    fn unmount(&mut self) {
        self.unmount_all(FILESYSTEMS.into_iter());
    }

    pub(crate) fn unmount_all(&mut self, filesystems: impl Iterator<Item = u32>) {
        let owners: Vec<Owner> = self.inodes.keys().copied().collect();
        for owner in owners {
            self.tasks[0].steps.extend([
                Step::OrderedAdd(owner),
                Step::OrderedRemove(owner),
                Step::EmitRelease(owner),
                Step::Done(owner),
            ]);
            self.inode(owner).busy += 1;
            while self.tick_one_of(&[0]) {}
            self.evict(owner);
        }
        for fs in filesystems {
            self.commit(fs);
            let header = self.header(fs, 0);
            let mut levels = Levels { header, why: LEVELS_UNMOUNT, ..Levels::default() };
            levels.space[0].flags = DATA;
            levels.space[1] = SpaceLevels { flags: METADATA, total: 1 << 28, ..SpaceLevels::default() };
            self.records.push(levels.into());
            let header = self.header(fs, 0);
            self.records.push(FsEnd { header, why: 1, fs_state: 0 }.into());
        }
    }

    fn counters(&mut self, owner: Owner) -> Counters {
        let inode = self.inode(owner);
        Counters {
            reserved: inode.reserved,
            size: inode.size,
            csum_bytes: inode.csum,
            delalloc_bytes: inode.delalloc,
            outstanding_extents: inode.outstanding,
            flags: COUNTERS_VALID,
        }
    }

    fn delalloc(&mut self, task: usize, owner: Owner, bytes: u64, flags: u32) -> Delalloc {
        let header = self.header(owner.0, task);
        let counters = self.counters(owner);
        let flags = flags | DELALLOC_ROOT_KNOWN;
        Delalloc {
            header,
            root: owner.1,
            ino: owner.2,
            bytes,
            counters,
            flags,
            stack: bytes,
            ..Delalloc::default()
        }
    }
}

/// `btrfs_calculate_inode_block_rsv_size`
fn resize(inode: &mut Inode) {
    let extents = if inode.outstanding > 0 { u64::from(inode.outstanding) * I + M } else { 0 };
    let csums = inode.csum.div_ceil(1 << 22) * I;
    inode.size = extents + csums;
}

/// `btrfs_inode_rsv_release`: takes what exceeds the size, under the lock; the record comes later.
fn release(inode: &mut Inode) -> u64 {
    resize(inode);
    let excess = inode.reserved.saturating_sub(inode.size);
    inode.reserved -= excess;
    excess
}
