//! Typed reading of the kernel side's maps.
use std::os::fd::AsFd as _;

use aya::{
    Ebpf,
    maps::{HashMap, Map, MapData, RingBuf},
};
use probe_common::{
    cell::ChainCell,
    chain::ChainCounter,
    hook::{FALLBACK_SLOT, HOOK_SLOTS, HookId},
    loss::{LOSS_CLASSES, LOSS_SLOTS, LossClass},
    table::{CHAINS, QGROUPS},
};
use zerocopy::{FromBytes, IntoBytes};

use super::{error::AttachError, mapped::MappedArray, probe::Probe};

/// `CpuCell` of the kernel side as words: hits, losses, closed, jiffy, time, up to the end of a cache line.
const CPU_WORDS: usize = (HOOK_SLOTS as usize + LOSS_SLOTS + 3).next_multiple_of(8);
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
    #[must_use]
    pub fn counts(&self) -> HookCounts {
        let cpus = &self.mapped.cpus;
        let sum = |at: usize| (0..cpus.entries()).map(|cpu| cpus.word(cpu, at)).sum::<u64>();
        let rescued = |hook: HookId| sum(hook as usize + FALLBACK_SLOT as usize);
        HookCounts {
            hits: HookId::ALL.into_iter().map(|hook| (hook, sum(hook as usize) + rescued(hook))).collect(),
            rescued: HookId::ALL.into_iter().map(|hook| (hook, rescued(hook))).collect(),
            lost: LossClass::ALL.map(|class| sum(LOSSES_AT + class as usize)),
            closed: sum(CLOSED_AT),
        }
    }

    /// Reads every chained counter of space_infos.
    #[must_use]
    pub fn chains(&self) -> Vec<ChainLevel> {
        levels(&self.mapped.chains).collect()
    }

    /// Reads chained counters of space_infos by object and counter; those that have no cell are left out.
    ///
    /// A cell is written while it is read: `links` equal in two readings proves that `value` is whole.
    #[must_use]
    pub fn chains_of(&self, objects: impl IntoIterator<Item = (u64, ChainCounter)>) -> Vec<ChainLevel> {
        let cells = &self.mapped.chains;
        let find = |(object, counter)| {
            let key = object | u64::from(counter as u32);
            let slots = (0..CHAINS.probes).map(|probe| CHAINS.slot(key, probe) as usize);
            slots.map(|slot| cells.entry(slot)).find(|words: &[u64; CHAIN_WORDS]| words[0] == key)
        };
        objects.into_iter().filter_map(find).filter_map(level).collect()
    }

    /// Reads the counters of qgroups that are not zero, of these filesystems. Those of a filesystem stay until
    /// [`probe_common::table::CHAIN_GRACE_NS`] after its end.
    #[must_use]
    pub fn qgroups_of(&self, filesystems: &[u32]) -> Vec<ChainLevel> {
        levels(&self.mapped.qgroups)
            .filter(|cell| cell.value != 0 && filesystems.contains(&cell.fs))
            .collect()
    }
}

/// Maps that are read all the time.
#[derive(Debug)]
pub(super) struct MappedMaps {
    cpus: MappedArray,
    chains: MappedArray,
    qgroups: MappedArray,
}

impl MappedMaps {
    /// Those of a loaded kernel side. `cpus`: entries of the map `CPU`.
    ///
    /// # Errors
    /// A map is missing or cannot be mapped.
    pub(super) fn of(ebpf: &Ebpf, cpus: u32) -> Result<Self, AttachError> {
        let mapped = |name: &'static str, entries: u32, words: usize| {
            let Some(Map::Array(map)) = ebpf.map(name) else { return Err(AttachError::Missing(name)) };
            MappedArray::of(map.fd().as_fd(), entries as usize, words)
                .map_err(|source| AttachError::Memory { name, source })
        };
        Ok(Self {
            cpus: mapped("CPU", cpus, CPU_WORDS)?,
            chains: mapped("CHAINS", CHAINS.cells(), CHAIN_WORDS)?,
            qgroups: mapped("QGROUPS", QGROUPS.cells(), CHAIN_WORDS)?,
        })
    }
}

fn levels(cells: &MappedArray) -> impl Iterator<Item = ChainLevel> + '_ {
    (0..cells.entries()).filter(|slot| cells.word(*slot, 0) != 0).filter_map(|slot| level(cells.entry(slot)))
}

/// The content of a cell. `None` for a free one.
fn level(words: [u64; CHAIN_WORDS]) -> Option<ChainLevel> {
    let ChainCell { key, object_flags, value, links, fs, .. } =
        ChainCell::read_from_bytes(words.as_bytes()).ok()?;
    let counter = ChainCounter::from_u32((key & 7) as u32)?;
    (links > 0).then_some(ChainLevel { fs, object: key & !7, counter, object_flags, value, links })
}
