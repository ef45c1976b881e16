//! A big machine: as many filesystems, inodes and tasks as wanted, a part of the stream at a time.
use probe_common::task::MarkerKind;

use crate::{
    functions::{Fault, Kernel, Key, TASKS},
    tracepoints::{Owner, ROOTS, Simulator},
};

/// Tasks that interleave at a time. With more it takes longer to make the records.
const AT_ONCE: usize = 6;
/// Id of the first filesystem.
const FIRST: u32 = 0x101;

/// How big the machine is.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Filesystems.
    pub filesystems: u32,
    /// Inodes of all filesystems together.
    pub inodes: u64,
    /// Tasks, each with a thread id of its own.
    pub tasks: usize,
}

impl Simulator {
    /// A machine of this size on which nothing has happened but the mounts.
    pub fn of_size(size: Size, seed: u64) -> Self {
        let mut simulator = Self::new(size.tasks.max(AT_ONCE), seed);
        simulator.marker(MarkerKind::Attached);
        for fs in 0..size.filesystems {
            simulator.mount(FIRST + fs);
        }
        simulator
    }

    /// Operations on these inodes (numbers below [`Size::inodes`]), each by a task chosen at random; their records are added.
    pub fn work(&mut self, size: Size, operation: u8, inodes: &[u64]) {
        for group in inodes.chunks(AT_ONCE) {
            let mut tasks = Vec::with_capacity(AT_ONCE);
            for inode in group {
                let mut task = self.next(self.tasks.len() as u64) as usize;
                while !self.tasks[task].steps.is_empty() {
                    task = (task + 1) % self.tasks.len();
                }
                self.start_on(task, operation, owner(size, *inode));
                tasks.push(task);
            }
            while self.tick_one_of(&tasks) {}
        }
    }

    /// Forgets inodes that are evicted: no operation names them again.
    pub fn forget(&mut self, size: Size, inodes: &[u64]) {
        for inode in inodes {
            self.inodes.remove(&owner(size, *inode));
        }
    }

    /// What [`Self::work`] takes: a number below `below`.
    pub fn random(&mut self, below: u64) -> u64 {
        self.next(below)
    }

    /// End of the run: all is written back and evicted, all is unmounted.
    pub fn end(&mut self, size: Size) {
        self.unmount_all((0..size.filesystems).map(|fs| FIRST + fs));
        self.marker(MarkerKind::Detaching);
    }
}

/// With its calls; one filesystem.
impl Kernel {
    /// A kernel on which nothing has happened but the mount.
    pub fn of_size(seed: u64) -> Self {
        Self::mounted(seed, Fault::None, usize::MAX)
    }

    /// Operations on these inodes; their records are added.
    pub fn work(&mut self, operation: u8, inodes: &[u64]) {
        for group in inodes.chunks(TASKS) {
            for (task, inode) in group.iter().enumerate() {
                let steps = self.operation(operation, key(*inode));
                self.start(task, steps);
            }
            self.drain();
        }
    }

    /// What [`Self::work`] takes: a number below `below`.
    pub fn random(&mut self, below: u64) -> u64 {
        self.next(below)
    }
}

const fn key(inode: u64) -> Key {
    (ROOTS[(inode % 2) as usize], 257 + inode / 2)
}

fn owner(size: Size, inode: u64) -> Owner {
    let filesystems = u64::from(size.filesystems);
    let within = inode / filesystems;
    (FIRST + (inode % filesystems) as u32, ROOTS[(within % 2) as usize], 257 + within / 2)
}
