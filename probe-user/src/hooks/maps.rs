//! Typed reading of the kernel side's maps.
use aya::maps::{Array, HashMap, MapData, MapError, PerCpuArray, RingBuf};
use probe_common::{
    cell::ChainCell,
    chain::ChainCounter,
    hook::{FALLBACK_SLOT, HOOK_SLOTS, HookId},
    loss::{LOSS_CLASSES, LOSS_SLOTS, LossClass},
    table::{CHAINS, QGROUPS},
};
use zerocopy::{FromBytes, IntoBytes};

use super::{error::AttachError, probe::Probe};

/// `CpuCell` of the kernel side as words: hits, losses, closed, jiffy, time.
const CPU_WORDS: usize = HOOK_SLOTS as usize + LOSS_SLOTS + 3;
const LOSSES_AT: usize = HOOK_SLOTS as usize;
const CLOSED_AT: usize = LOSSES_AT + LOSS_SLOTS;
const CHAIN_WORDS: usize = size_of::<ChainCell>() / 8;

/// Counters of the kernel side, summed over CPUs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HookCounts {
    /// Runs by hook.
    pub hits: Vec<(HookId, u64)>,
    /// Events that a hook's fallback program handled because the kernel skipped the first.
    pub rescued: Vec<(HookId, u64)>,
    /// Losses by class.
    pub lost: [u64; LOSS_CLASSES],
    /// Inodes that ended clean without a record.
    pub closed: u64,
}

/// A chained counter as the kernel side has it now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChainLevel {
    /// Filesystem id.
    pub fs: u32,
    /// Address of the `struct btrfs_space_info` or `struct btrfs_qgroup`.
    pub object: u64,
    /// Which counter.
    pub counter: ChainCounter,
    /// `space_info->flags` or qgroup id.
    pub object_flags: u64,
    /// Value after the last link.
    pub value: u64,
    /// Links checked.
    pub links: u64,
}

impl Probe {
    /// Takes the ring out, for the thread that drains it.
    ///
    /// # Errors
    /// It was taken already, or the object is not ours.
    pub fn take_ring(&mut self) -> Result<RingBuf<MapData>, AttachError> {
        let map = self.ebpf.take_map("RING").ok_or(AttachError::Missing("RING"))?;
        RingBuf::try_from(map).map_err(|source| AttachError::Map { name: "RING", source })
    }

    /// Asks for a record at the end of a process that was executed before the hooks were on.
    pub fn follow_process(&mut self, pid: u32) {
        let map = self.ebpf.map_mut("TEST_PIDS").map(HashMap::<_, u32, u32>::try_from);
        match map {
            Some(Ok(mut pids)) => {
                if let Err(error) = pids.insert(pid, 1, 0) {
                    log::debug!("process {pid} is not followed: {error}");
                }
            }
            _ => log::debug!("process {pid} is not followed: there is no map for it"),
        }
    }

    /// Reads hits and losses.
    ///
    /// # Errors
    /// The map cannot be read.
    pub fn counts(&self) -> Result<HookCounts, AttachError> {
        let map = self.ebpf.map("CPU").ok_or(AttachError::Missing("CPU"))?;
        let wrap = |source| AttachError::Map { name: "CPU", source };
        let cpus: PerCpuArray<_, [u64; CPU_WORDS]> = PerCpuArray::try_from(map).map_err(wrap)?;
        let values = cpus.get(&0, 0).map_err(wrap)?;
        let sum = |at: usize| values.iter().map(|cpu| cpu[at]).sum::<u64>();
        let rescued = |hook: HookId| {
            let slot = hook as usize + FALLBACK_SLOT as usize;
            if slot < HOOK_SLOTS as usize { sum(slot) } else { 0 }
        };
        Ok(HookCounts {
            hits: HookId::ALL.into_iter().map(|hook| (hook, sum(hook as usize) + rescued(hook))).collect(),
            rescued: HookId::ALL.into_iter().map(|hook| (hook, rescued(hook))).collect(),
            lost: LossClass::ALL.map(|class| sum(LOSSES_AT + class as usize)),
            closed: sum(CLOSED_AT),
        })
    }

    /// Reads every chained counter of space_infos. It takes a system call per cell, so call it only if a counter may be
    /// unknown.
    ///
    /// # Errors
    /// The map cannot be read.
    pub fn chains(&self) -> Result<Vec<ChainLevel>, AttachError> {
        let cells = self.chain_cells()?;
        let mut levels = Vec::new();
        for slot in 0..CHAINS.cells() {
            levels.extend(level(cells.get(&slot, 0).map_err(of_chains)?));
        }
        Ok(levels)
    }

    /// Reads chained counters of space_infos by object and counter; those that have no cell are left out.
    ///
    /// A cell is written while it is read: `links` equal in two readings proves that `value` is whole.
    ///
    /// # Errors
    /// The map cannot be read.
    pub fn chains_of(
        &self,
        objects: impl IntoIterator<Item = (u64, ChainCounter)>,
    ) -> Result<Vec<ChainLevel>, AttachError> {
        let cells = self.chain_cells()?;
        let mut levels = Vec::new();
        for (object, counter) in objects {
            let key = object | u64::from(counter as u32);
            for probe in 0..CHAINS.probes {
                let words = cells.get(&CHAINS.slot(key, probe), 0).map_err(of_chains)?;
                if words[0] == key {
                    levels.extend(level(words));
                    break;
                }
            }
        }
        Ok(levels)
    }

    /// Reads the counters of qgroups that are not zero, of these filesystems. Those of a filesystem stay until
    /// [`probe_common::table::CHAIN_GRACE_NS`] after its end. It takes a system call per cell.
    ///
    /// # Errors
    /// The map cannot be read.
    pub fn qgroups_of(&self, filesystems: &[u32]) -> Result<Vec<ChainLevel>, AttachError> {
        let wrap = |source| AttachError::Map { name: "QGROUPS", source };
        let map = self.ebpf.map("QGROUPS").ok_or(AttachError::Missing("QGROUPS"))?;
        let cells: Array<&MapData, [u64; CHAIN_WORDS]> = Array::try_from(map).map_err(wrap)?;
        let mut levels = Vec::new();
        for slot in 0..QGROUPS.cells() {
            let cell = level(cells.get(&slot, 0).map_err(wrap)?);
            levels.extend(cell.filter(|cell| cell.value != 0 && filesystems.contains(&cell.fs)));
        }
        Ok(levels)
    }

    fn chain_cells(&self) -> Result<Array<&MapData, [u64; CHAIN_WORDS]>, AttachError> {
        Array::try_from(self.ebpf.map("CHAINS").ok_or(AttachError::Missing("CHAINS"))?).map_err(of_chains)
    }
}

const fn of_chains(source: MapError) -> AttachError {
    AttachError::Map { name: "CHAINS", source }
}

/// The content of a cell. `None` for a free one.
fn level(words: [u64; CHAIN_WORDS]) -> Option<ChainLevel> {
    let ChainCell { key, object_flags, value, links, fs, .. } =
        ChainCell::read_from_bytes(words.as_bytes()).ok()?;
    let counter = ChainCounter::from_u32((key & 7) as u32)?;
    (links > 0).then_some(ChainLevel { fs, object: key & !7, counter, object_flags, value, links })
}
