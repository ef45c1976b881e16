//! A small simulated kernel that shows its calls. Tasks reserve, write back, finish, fail and flush on shared inodes, in
//! every interleaving between two changes. A fault of that kernel can be made on demand.
//!
//! The state is the ground truth. The records are those that the functions tier sends: one per call, at its return.
mod operations;
mod steps;

use std::collections::{BTreeMap, VecDeque};

use probe_common::{
    call::{CALL_FOREIGN, CALL_INODE, CALL_RETURNED, CALL_RSV, Call, STATE_KNOWN},
    chain::Bmu,
    claim::{CLAIM_RESERVE, Claim, ClaimType, RsvType},
    fs::{FS_BORN, FsSeen, LEVELS_UNMOUNT, Levels, SpaceLevels},
    header::Header,
    hook::HookId,
    inode::{
        COUNTERS_VALID, Counters, InodeState, MOD_OUTSTANDING_KNOWN, MOD_UNDERFLOW, MOMENT_DESTROY, Mod,
    },
    task::{self, Marker, MarkerKind},
};
use probe_record::record::Record;

pub use self::steps::Key;
use self::steps::{
    Step::{self, Add, Clean, Csums, Data, Dirty, Enter, Exit, Extents, Returned, Shed, Trans},
    end_of, finish, release_metadata, release_space, reserve,
};
use crate::{DATA, I, M, METADATA, N};

/// Id of the simulated filesystem.
pub const FS: u32 = 0x101;
pub(crate) const TASKS: usize = 6;
/// Bits that clear a dirty range, without and with its metadata (`EXTENT_DO_ACCOUNTING` of 6.12).
const CLEAR: u64 = 1 << 5;
const ACCOUNT: u64 = 1 << 5 | 1 << 9 | 1 << 13;

/// Inodes that the tasks work on.
pub const KEYS: [Key; 4] = [(5, 257), (5, 258), (256, 257), (256, 300)];
/// An inode that no task works on; a fault may.
pub const STRANGER: Key = (5, 999);

/// The state of an inode.
#[derive(Clone, Copy, Debug, Default)]
pub struct Inode {
    /// `outstanding_extents`
    pub extents: i64,
    /// `csum_bytes`
    pub csums: i64,
    /// `block_rsv.reserved`, bytes.
    pub reserved: i64,
    /// `block_rsv.size`, bytes.
    pub size: i64,
    /// Dirty ranges.
    pub dirty: Vec4,
}

/// Lengths of up to four dirty ranges, bytes.
pub type Vec4 = [u64; 4];

/// What the kernel does wrong: once, at the first chance from operation `fault_at` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// A function is not run. `true`: its call is seen with nothing inside; `false`: it is not seen.
    Skip(HookId, bool),
    /// A function is run twice.
    Double(HookId),
    /// A function gets another inode. `true`: its record shows that inode; `false`: its record shows the right one.
    Stranger(HookId, bool),
    /// A function is run twice, but only inside the function named first.
    DoubleInside(HookId, HookId),
    /// A function is not run, but only inside the function named first.
    SkipInside(HookId, HookId),
    /// A function gets another inode, but only inside the function named first.
    StrangerInside(HookId, HookId),
    /// A failing reservation releases what it never published.
    FailedReleases,
    /// A reservation reserves everything, but returns an error.
    FailedKeeps,
    /// A reservation publishes, then fails. `true`: it undoes what it published.
    Published(bool),
    /// The data of a failed reservation comes back this often instead of once.
    FailedData(u8),
}

#[derive(Clone, Debug)]
struct Frame {
    record: Call,
    key: Key,
}

#[derive(Clone, Debug, Default)]
struct Task {
    steps: VecDeque<Step>,
    frames: Vec<Frame>,
    serial: u32,
}

/// The kernel and its stream.
#[derive(Debug)]
pub struct Kernel {
    /// The records so far.
    pub records: Vec<Record>,
    /// The state of all inodes.
    pub inodes: BTreeMap<Key, Inode>,
    tasks: Vec<Task>,
    /// `bytes_may_use` of the data `space_info`.
    pub data: i64,
    /// Bytes in `trans_block_rsv`.
    pub trans: i64,
    random: u64,
    time: u64,
    fault: Fault,
    fault_at: usize,
    /// The inode and the amount that the fault hit; `None` if it did not happen.
    pub struck: Option<(Key, u64)>,
    /// Reservations that failed.
    pub failed: u64,
}

impl Kernel {
    /// Runs `operations`. The fault happens at the first chance from operation `fault_at` on.
    pub fn run(operations: &[(u8, u8, u8)], seed: u64, fault: Fault, fault_at: usize) -> Self {
        let mut kernel = Self::mounted(seed, fault, fault_at);
        for (position, (task, operation, inode)) in operations.iter().enumerate() {
            let task = usize::from(*task) % TASKS;
            while !kernel.tasks[task].steps.is_empty() {
                kernel.tick();
            }
            let key = KEYS[usize::from(*inode) % KEYS.len()];
            let mut steps = kernel.operation(*operation, key);
            if position >= kernel.fault_at && kernel.struck.is_none() {
                steps = kernel.spoil(steps, key);
            }
            kernel.start(task, steps);
            for _ in 0..kernel.next(12) {
                kernel.tick();
            }
        }
        kernel.drain();
        kernel.close();
        kernel
    }

    /// A kernel with its filesystem mounted and the hooks attached.
    pub(crate) fn mounted(seed: u64, fault: Fault, fault_at: usize) -> Self {
        let mut kernel = Self {
            records: Vec::new(),
            inodes: BTreeMap::new(),
            tasks: vec![Task::default(); TASKS],
            data: 0,
            trans: 0,
            random: seed | 1,
            time: 1_000_000_000,
            fault,
            fault_at,
            struck: None,
            failed: 0,
        };
        kernel.marker(MarkerKind::Attached);
        let header = kernel.header(FS, 0);
        let flags = FS_BORN;
        let seen = FsSeen { header, flags, nodesize: N as u32, sectorsize: 4096, ..FsSeen::default() };
        kernel.records.push(seen.into());
        // The first call only shows that calls are recorded.
        kernel.tasks[0].steps.extend([Enter(HookId::UpdateGlobalBlockRsv, (0, 0), [0; 4]), Exit(0)]);
        kernel.drain();
        kernel
    }

    /// A task begins to do these steps.
    pub(crate) fn start(&mut self, task: usize, steps: Vec<Step>) {
        self.tasks[task].steps.extend(steps);
        // The others are done by a kernel thread, or are the first part of a system call.
        if self.next(2) == 0 {
            self.tasks[task].steps.push_back(Returned);
        }
    }

    /// The filesystem is unmounted, and the hooks are detached.
    pub fn close(&mut self) {
        self.unmount();
        self.marker(MarkerKind::Detaching);
    }

    pub(crate) fn next(&mut self, below: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 11) % below
    }

    fn header(&mut self, fs: u32, task: usize) -> Header {
        self.time += 500;
        Header { fs, tid: 100 + task as u32, time: self.time, ..Header::default() }
    }

    fn marker(&mut self, kind: MarkerKind) {
        let header = Header { tid: 0, ..self.header(0, 0) };
        self.records.push(Marker { header, kind: kind as u32, reserved: 0, text: [0; 64] }.into());
    }

    /// Makes an operation wrong, if it has the call that the fault needs.
    fn spoil(&mut self, mut steps: Vec<Step>, key: Key) -> Vec<Step> {
        let fault = self.fault;
        let (outer, hook) = match fault {
            Fault::None => return steps,
            Fault::Skip(hook, _) | Fault::Double(hook) | Fault::Stranger(hook, _) => (None, hook),
            Fault::DoubleInside(outer, hook)
            | Fault::SkipInside(outer, hook)
            | Fault::StrangerInside(outer, hook) => (Some(outer), hook),
            Fault::FailedReleases | Fault::FailedKeeps | Fault::Published(_) => {
                (None, HookId::ReserveMetadata)
            }
            Fault::FailedData(_) => (None, HookId::FreeReservedDataSpace),
        };
        let from = match outer {
            None => 0,
            Some(outer) => {
                match steps.iter().position(|step| matches!(step, Enter(of, ..) if *of == outer)) {
                    Some(at) => at,
                    None => return steps,
                }
            }
        };
        let Some(first) = steps[from..].iter().position(|step| matches!(step, Enter(of, ..) if *of == hook))
        else {
            return steps;
        };
        let first = first + from;
        let last = end_of(&steps, first);
        let Enter(_, _, args) = steps[first] else { return steps };
        let failing = matches!(steps[last], Exit(error) if error < 0);
        let extents = matches!(hook, HookId::ReleaseExtents);
        let amount = if extents { 1 } else { args[0] };
        match fault {
            Fault::None => {}
            Fault::Skip(_, false) | Fault::SkipInside(..) => drop(steps.drain(first..=last)),
            Fault::Skip(_, true) => drop(steps.drain(first + 1..last)),
            Fault::Double(_) | Fault::DoubleInside(..) => {
                let again: Vec<Step> = steps[first..=last].to_vec();
                steps.splice(last + 1..last + 1, again);
            }
            Fault::Stranger(_, seen) => {
                let own = steps[first];
                steps[first..=last].iter_mut().for_each(|step| *step = step.on(STRANGER));
                if !seen {
                    steps[first] = own;
                }
            }
            Fault::StrangerInside(..) => {
                steps[first..=last].iter_mut().for_each(|step| *step = step.on(STRANGER));
            }
            Fault::FailedReleases if failing => {
                drop(steps.splice(last..last, release_metadata(key, args[0])))
            }
            Fault::FailedKeeps if failing => {
                let mut whole = reserve(key, args[0], args[2]);
                let end = whole.len() - 1;
                whole[end] = Exit(-28);
                drop(steps.splice(first..=last, whole));
            }
            Fault::Published(undone) if failing => {
                let mut inner = vec![Extents(key, 1), Csums(key, args[0] as i64)];
                if undone {
                    inner.extend([Extents(key, -1), Csums(key, -(args[0] as i64))]);
                }
                drop(steps.splice(last..last, inner));
            }
            Fault::FailedData(times) => {
                let fails = steps.iter().any(|step| matches!(step, Exit(error) if *error < 0));
                if !fails {
                    return steps;
                }
                let once: Vec<Step> = steps[first..=last].to_vec();
                let all: Vec<Step> = (0..times).flat_map(|_| once.clone()).collect();
                drop(steps.splice(first..=last, all));
            }
            _ => return steps,
        }
        let amount = if matches!(fault, Fault::FailedData(_)) { args[1] } else { amount };
        self.struck = Some((key, amount));
        steps
    }

    fn tick(&mut self) {
        let ready: Vec<usize> = (0..TASKS).filter(|task| !self.tasks[*task].steps.is_empty()).collect();
        if ready.is_empty() {
            return;
        }
        let task = ready[self.next(ready.len() as u64) as usize];
        if let Some(step) = self.tasks[task].steps.pop_front() {
            self.step(task, step);
        }
    }

    pub(crate) fn drain(&mut self) {
        while self.tasks.iter().any(|task| !task.steps.is_empty()) {
            self.tick();
        }
    }

    fn step(&mut self, task: usize, step: Step) {
        match step {
            Enter(hook, key, args) => self.begin(task, hook, key, args),
            Exit(ret) => self.end(task, ret),
            Extents(key, change) => {
                self.changed(task, key, change < 0);
                self.inode(key).extents += change;
                self.attribute(task, key, |call| call.extents += change as i32);
                let after = self.inode(key).extents;
                if after < 0 && change < 0 {
                    let header = self.header(FS, task);
                    let flags = MOD_OUTSTANDING_KNOWN | MOD_UNDERFLOW;
                    let (root, ino) = key;
                    let (modification, outstanding) = (change as i32, after as u32);
                    let record =
                        Mod { header, root, ino, modification, outstanding, flags, ..Mod::default() };
                    self.records.push(record.into());
                }
                let inside = self.tasks[task].frames.last().map(|frame| frame.record.header.hook);
                if inside == Some(HookId::ReleaseExtents as u8) {
                    resize(self.inode(key));
                    self.attribute(task, key, |call| call.calculations += 1);
                }
            }
            Csums(key, change) => {
                self.changed(task, key, change < 0);
                let inode = self.inode(key);
                inode.csums += change;
                resize(inode);
                self.attribute(task, key, |call| {
                    call.csum_bytes += change;
                    call.calculations += 1;
                });
            }
            Add(key, bytes) => {
                self.inode(key).reserved += bytes;
                // The call around it was granted as much.
                if let [.., outer, _] = self.tasks[task].frames.as_mut_slice() {
                    outer.record.metadata += bytes;
                }
            }
            Shed(key) => {
                let inode = self.inode(key);
                let excess = (inode.reserved - inode.size).max(0);
                inode.reserved -= excess;
                let last = self.tasks[task].frames.last_mut().unwrap();
                last.record.ret = excess;
            }
            Data(change) => {
                self.data += change;
                if let Some(frame) = self.tasks[task].frames.last_mut() {
                    frame.record.data += change;
                } else if change < 0 {
                    let (header, old) = (self.header(FS, task), (self.data - change) as u64);
                    let object_flags = DATA;
                    self.records.push(Bmu { header, object: 0x6000, object_flags, old, diff: change }.into());
                }
            }
            Trans(change) => {
                self.trans += change;
                let header = self.header(FS, task);
                let (claim, bytes) = (ClaimType::Transaction as u32, change.unsigned_abs());
                let flags = if change > 0 { CLAIM_RESERVE } else { 0 };
                self.records.push(Claim { header, claim, flags, bytes, ..Claim::default() }.into());
            }
            Dirty(key, len) => {
                let slot = self.inode(key).dirty.iter().position(|of| *of == 0);
                if let Some(slot) = slot {
                    self.begin(task, HookId::SetDelallocExtent, key, [0, len - 1, CLEAR, STATE_KNOWN]);
                    let shown = self.tasks[task].frames.pop().unwrap();
                    self.records.push(shown.record.into());
                    self.inode(key).dirty[slot] = len;
                    self.step(task, Extents(key, 1));
                } else {
                    // Too much is dirty: drops the range.
                    for step in release_space(key, 1 << 20, len).into_iter().rev() {
                        self.tasks[task].steps.push_front(step);
                    }
                }
            }
            Returned => {
                let header = self.header(FS, task);
                self.records.push(task::Returned { header, ret: 0 }.into());
            }
            Clean(key, bits) => {
                let Some(slot) = self.inode(key).dirty.iter().position(|of| *of != 0) else { return };
                let len = std::mem::take(&mut self.inode(key).dirty[slot]);
                let mut steps = Vec::new();
                if bits == CLEAR {
                    steps.extend([Extents(key, 1), Data(-(len as i64))]);
                }
                steps.push(Enter(HookId::ClearDelallocExtent, key, [0, len - 1, bits, 0]));
                steps.push(Extents(key, -1));
                if bits == ACCOUNT {
                    steps.extend(release_metadata(key, len));
                    steps.push(Data(-(len as i64)));
                }
                steps.push(Exit(0));
                if bits == CLEAR {
                    steps.extend(finish(key, len));
                }
                if self.struck.is_none() && self.fault_at == 0 {
                    steps = self.spoil(steps, key);
                }
                steps.into_iter().rev().for_each(|step| self.tasks[task].steps.push_front(step));
            }
        }
    }

    fn inode(&mut self, key: Key) -> &mut Inode {
        self.inodes.entry(key).or_default()
    }

    /// Counts a change of the inode in the calls of all other tasks on it.
    fn changed(&mut self, by: usize, key: Key, released: bool) {
        let others = self.tasks.iter_mut().enumerate().filter(|(task, _)| *task != by);
        for frame in others.flat_map(|(_, task)| &mut task.frames).filter(|frame| frame.key == key) {
            frame.record.others += 1;
            frame.record.others_released += u32::from(released);
        }
    }

    fn attribute(&mut self, task: usize, key: Key, change: impl FnOnce(&mut Call)) {
        let Some(frame) = self.tasks[task].frames.last_mut() else { return };
        if frame.key == key {
            change(&mut frame.record);
        } else {
            frame.record.flags |= CALL_FOREIGN;
        }
    }

    fn counters(&mut self, key: Key) -> Counters {
        let inode = self.inode(key);
        Counters {
            reserved: inode.reserved as u64,
            size: inode.size as u64,
            csum_bytes: inode.csums as u64,
            delalloc_bytes: inode.dirty.iter().sum(),
            outstanding_extents: inode.extents as u32,
            flags: COUNTERS_VALID,
        }
    }

    fn begin(&mut self, task: usize, hook: HookId, key: Key, args: [u64; 4]) {
        let mut header = self.header(FS, task);
        header.hook = hook as u8;
        let mut before = self.counters(key);
        if key.1 == 0 && hook == HookId::BlockRsvRelease {
            (before.size, before.reserved) = (self.trans as u64, self.trans as u64);
        }
        let entered = self.time;
        let of = &mut self.tasks[task];
        of.serial += 1;
        let parent = of.frames.last().map_or(0, |frame| frame.record.serial);
        let (root, ino) = key;
        let mut record =
            Call { header, serial: of.serial, parent, root, ino, args, before, entered, ..Call::default() };
        record.stack = u64::from(of.serial) << 8 | task as u64;
        if ino != 0 {
            record.flags |= CALL_INODE;
        }
        match hook {
            HookId::BlockRsvAddBytes | HookId::BlockRsvRelease if ino != 0 => {
                (record.rsv, record.rsv_type) = (root << 20 | ino << 8, RsvType::Delalloc as u32);
                record.flags |= CALL_RSV;
            }
            HookId::BlockRsvRelease => {
                (record.rsv, record.rsv_type) = (0x7000, RsvType::Trans as u32);
                record.flags |= CALL_RSV;
            }
            _ => {}
        }
        of.frames.push(Frame { record, key });
    }

    fn end(&mut self, task: usize, ret: i64) {
        let Frame { mut record, key } = self.tasks[task].frames.pop().unwrap();
        record.header.time = self.header(FS, task).time;
        record.flags |= CALL_RETURNED;
        if ret != 0 {
            record.ret = ret;
        }
        record.after = self.counters(key);
        self.records.push(record.into());
    }

    fn unmount(&mut self) {
        for key in KEYS {
            for _ in 0..4 {
                self.tasks[0].steps.push_back(Clean(key, CLEAR));
                self.drain();
            }
        }
        let mut leaked = 0;
        for key in self.inodes.keys().copied().filter(|key| key.1 != 0).collect::<Vec<_>>() {
            let header = self.header(FS, 0);
            let counters = self.counters(key);
            leaked += counters.reserved;
            let (root, ino) = key;
            let moment = MOMENT_DESTROY;
            // A stack is taken only if something is left.
            let stack = u64::from(counters.outstanding_extents != 0 || counters.csum_bytes != 0);
            self.records.push(
                InodeState { header, root, ino, counters, moment, stack, ..InodeState::default() }.into(),
            );
        }
        let header = self.header(FS, 0);
        let mut levels = Levels { header, why: LEVELS_UNMOUNT, ..Levels::default() };
        levels.trans.reserved = self.trans as u64;
        levels.trans.size = self.trans as u64;
        levels.space[0] =
            SpaceLevels { flags: DATA, may_use: self.data.max(0) as u64, ..SpaceLevels::default() };
        let may_use = leaked + self.trans as u64;
        levels.space[1] = SpaceLevels { flags: METADATA, may_use, ..SpaceLevels::default() };
        self.records.push(levels.into());
    }
}

/// `btrfs_calculate_inode_block_rsv_size`
fn resize(inode: &mut Inode) {
    let (i, m) = (I as i64, M as i64);
    let extents = if inode.extents == 0 { 0 } else { inode.extents.max(0) * i + m };
    inode.size = extents + inode.csums.max(0).div_euclid(1 << 22) * i + if inode.csums > 0 { i } else { 0 };
}
