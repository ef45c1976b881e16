//! The rules of the kernel side's tables over more than a machine has: everything finds room, and nothing that lives
//! loses its cell.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail by panicking")]
use std::collections::{HashMap, HashSet, VecDeque};

use probe_common::{
    fs::{MAX_LIVES, id, slot_of},
    table::{CHAINS, FILESYSTEMS, QGROUPS, TASKS, counters_are_gone, filesystem_is_gone},
};

/// Numbers and addresses as an allocator gives them: aligned, and often used again.
struct Random {
    state: u64,
    free: Vec<u64>,
}

impl Random {
    fn new() -> Self {
        Self { state: 88_172_645_463_325_252, free: Vec::new() }
    }

    fn below(&mut self, bound: usize) -> usize {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (self.state % bound as u64) as usize
    }

    /// One that was given back, in one case of two.
    fn address(&mut self, size: usize) -> u64 {
        if self.below(2) == 0
            && let Some(address) = self.free.pop()
        {
            return address;
        }
        0xffff_8880_0000_0000 + (self.below((16 << 30) / size) * size) as u64
    }
}

#[derive(Clone, Copy, Default)]
struct FsCell {
    fs_info: u64,
    died: u64,
    lives: u32,
}

/// Filesystems and the counters of their space_infos, as the kernel side keeps them, without its races.
struct Kernel {
    filesystems: Vec<FsCell>,
    /// Key and owner.
    chains: Vec<(u64, u32)>,
    now: u64,
}

impl Kernel {
    fn meet(&mut self, fs_info: u64) -> Option<u32> {
        let slots = || (0..FILESYSTEMS.probes).map(|probe| FILESYSTEMS.slot(fs_info, probe) as usize);
        let cells = &mut self.filesystems;
        let slot = slots()
            .find(|slot| cells[*slot].fs_info == fs_info)
            .or_else(|| slots().find(|slot| cells[*slot].fs_info == 0))
            .or_else(|| {
                slots().find(|slot| filesystem_is_gone(cells[*slot].died, self.now, cells[*slot].lives))
            })?;
        let cell = &mut cells[slot];
        if cell.fs_info != fs_info || cell.died != 0 {
            *cell = FsCell { fs_info, died: 0, lives: cell.lives + 1 };
        }
        Some(id(slot as u32, cell.lives))
    }

    fn is_gone(&self, fs: u32) -> bool {
        let cell = &self.filesystems[slot_of(fs) as usize];
        counters_are_gone(fs, id(slot_of(fs), cell.lives), cell.died, self.now)
    }

    fn find(&self, key: u64) -> Option<usize> {
        (0..CHAINS.probes)
            .map(|probe| CHAINS.slot(key, probe) as usize)
            .find(|slot| self.chains[*slot].0 == key)
    }

    fn link(&mut self, key: u64, fs: u32) -> Option<()> {
        let free = |slot: &usize| self.chains[*slot].0 == 0 || self.is_gone(self.chains[*slot].1);
        let slots = (0..CHAINS.probes).map(|probe| CHAINS.slot(key, probe) as usize);
        let slot = self.find(key).or_else(|| { slots }.find(free))?;
        self.chains[slot] = (key, fs);
        Some(())
    }
}

/// A session over 43 tests of xfstests met so many filesystems that new ones found no cell for their counters: those of
/// filesystems that were gone counted as alive.
#[test]
fn a_hundred_thousand_filesystems_find_room_for_all_their_counters() {
    const AT_ONCE: usize = 1000;
    const IN_ALL: usize = 100_000;
    let mut random = Random::new();
    let mut kernel = Kernel {
        filesystems: vec![FsCell::default(); FILESYSTEMS.cells() as usize],
        chains: vec![(0, 0); CHAINS.cells() as usize],
        now: 1_000_000_000,
    };
    let mut live: Vec<(u64, u32, Vec<u64>)> = Vec::new();
    let mut addresses = HashSet::new();
    let mut ids = HashSet::new();
    while ids.len() < IN_ALL {
        kernel.now += 20_000_000;
        if live.len() == AT_ONCE {
            let (fs_info, fs, pools) = live.swap_remove(random.below(AT_ONCE));
            kernel.filesystems[slot_of(fs) as usize].died = kernel.now;
            for pool in pools {
                let owner = kernel.find(pool).map(|slot| kernel.chains[slot].1);
                assert_eq!(owner, Some(fs), "a counter lost its cell while its filesystem lived");
                if addresses.remove(&(pool & !7)) {
                    random.free.push(pool & !7);
                }
            }
            addresses.remove(&fs_info);
            random.free.push(fs_info);
        }
        let fs_info = random.address(4096);
        if !addresses.insert(fs_info) {
            continue;
        }
        let fs = kernel.meet(fs_info).unwrap_or_else(|| panic!("filesystem {} has no cell", ids.len()));
        assert!(ids.insert(fs), "id {fs:#x} was given twice");
        // Data, metadata, system and a sub-group, two counters each.
        let mut pools = Vec::new();
        while pools.len() < 8 {
            let object = random.address(1024);
            if addresses.insert(object) {
                pools.extend([object | 1, object | 2]);
            }
        }
        for pool in &pools {
            kernel
                .link(*pool, fs)
                .unwrap_or_else(|| panic!("filesystem {}: a counter has no cell", ids.len()));
        }
        live.push((fs_info, fs, pools));
    }
}

#[test]
fn the_last_life_of_a_slot_is_kept_so_that_no_id_comes_twice() {
    assert_eq!(slot_of(id(5, MAX_LIVES)), 5);
    assert!(filesystem_is_gone(1, u64::MAX, MAX_LIVES - 1));
    assert!(!filesystem_is_gone(1, u64::MAX, MAX_LIVES));
}

/// Three counters each; those at zero give way, and only those.
#[test]
fn a_million_qgroups_of_one_filesystem_find_room() {
    /// Counters that hold something at the same time.
    const HOLDING: usize = 3000;
    let mut random = Random::new();
    let mut cells = vec![0u64; QGROUPS.cells() as usize];
    let mut holding: VecDeque<u64> = VecDeque::new();
    let mut place: HashMap<u64, usize> = HashMap::new();
    for number in 0..1_000_000 {
        let object = random.address(512);
        for key in [object | 3, object | 4, object | 5] {
            if place.contains_key(&key) {
                continue;
            }
            let slots = || (0..QGROUPS.probes).map(|probe| QGROUPS.slot(key, probe) as usize);
            let rests = |slot: &usize| !place.contains_key(&cells[*slot]);
            let slot = slots()
                .find(|slot| cells[*slot] == key || cells[*slot] == 0)
                .or_else(|| slots().find(rests))
                .unwrap_or_else(|| panic!("a counter of qgroup {number} has no cell"));
            cells[slot] = key;
            place.insert(key, slot);
            holding.push_back(key);
            if holding.len() > HOLDING
                && let Some(empty) = holding.pop_front()
            {
                let slot = place.remove(&empty).unwrap_or_default();
                assert_eq!(cells[slot], empty, "a counter lost its cell while it held something");
            }
        }
    }
}

/// Ten thousand at a time, a million in all.
#[test]
fn a_million_threads_find_room() {
    let mut random = Random::new();
    let mut cells = vec![0u64; TASKS.cells() as usize];
    let mut live = VecDeque::new();
    for number in 0..1_000_000 {
        // Not all threads touch a filesystem: ids go on by a few.
        let tid = 300 + (number * 3 + random.below(3)) as u64 % 4_000_000;
        let slots = || (0..TASKS.probes).map(|probe| TASKS.slot_of_tid(tid, probe) as usize);
        if slots().any(|slot| cells[slot] == tid) {
            continue;
        }
        let free = slots().find(|slot| cells[*slot] == 0);
        let slot = free.unwrap_or_else(|| panic!("thread {number} has no cell"));
        cells[slot] = tid;
        live.push_back(slot);
        if live.len() > 10_000 {
            // They do not end in the order in which they began.
            let index = random.below(live.len());
            if let Some(slot) = live.swap_remove_back(index) {
                cells[slot] = 0;
            }
        }
    }
}
