//! Audits: reads the kernel's own figures between two marks, and writes them into the stream.
use probe_common::{
    chain::ChainCounter,
    fs::{AuditMark, SysfsLevels},
    header::Header,
};

use super::filesystems::Live;
use crate::{
    hooks::{ChainLevel, Probe},
    kernel::{
        fsid::Fsid,
        sysfs::{self, SpaceType},
    },
};

/// Attempts to read sysfs with no change of the chains in between.
const TRIES: u32 = 3;

/// Counters of a filesystem's space_infos as the kernel side has them now.
fn chains(probe: &Probe, fs: u32, live: &Live) -> Vec<ChainLevel> {
    let mut levels = probe.chains_of(live.pools.iter().copied());
    levels.retain(|level| level.fs == fs);
    levels
}

/// Links of all chained space_info counters of a filesystem. Equal numbers mean that nothing changed in between.
pub fn links(probe: &Probe, fs: u32, live: &Live) -> u64 {
    chains(probe, fs, live).iter().map(|level| level.links).sum()
}

/// A mark at `time`.
pub fn mark(fs: u32, time: u64, phase: u32, round: u32, links: u64) -> AuditMark {
    AuditMark { header: Header { fs, time, ..Header::default() }, phase, round, links }
}

/// `bytes_*` of sysfs with the values of the chains, for each type that the filesystem has.
pub fn sysfs_levels(
    probe: &Probe,
    root: &std::path::Path,
    fs: u32,
    live: &Live,
    time: u64,
) -> Vec<SysfsLevels> {
    let types =
        [(SpaceType::Data, 1), (SpaceType::System, 2), (SpaceType::Metadata, 4), (SpaceType::Mixed, 5)];
    types
        .into_iter()
        .filter_map(|(space, flags)| compare(probe, root, fs, live, time, space, flags))
        .collect()
}

fn compare(
    probe: &Probe,
    root: &std::path::Path,
    fs: u32,
    live: &Live,
    time: u64,
    space: SpaceType,
    flags: u64,
) -> Option<SysfsLevels> {
    let mut levels = None;
    for _ in 0..TRIES {
        let before = chain_of(probe, fs, live, flags);
        let figures = sysfs::space(root, Fsid(live.fsid), space).ok()?;
        let after = chain_of(probe, fs, live, flags);
        let stable = before == after;
        levels = Some(SysfsLevels {
            header: Header { fs, time, ..Header::default() },
            flags,
            may_use: figures.bytes_may_use,
            pinned: figures.bytes_pinned,
            reserved: figures.bytes_reserved,
            chain_may_use: after[0].map_or(u64::MAX, |level| level.value),
            chain_pinned: after[1].map_or(u64::MAX, |level| level.value),
            stable: u64::from(stable),
        });
        if stable {
            break;
        }
    }
    levels
}

/// The chains of `bytes_may_use` and `bytes_pinned` of one type. `None` if there is none, or if there are several of the
/// type (zoned sub-groups): sysfs does not show those one by one.
fn chain_of(probe: &Probe, fs: u32, live: &Live, flags: u64) -> [Option<ChainLevel>; 2] {
    const TYPE_MASK: u64 = 7;
    let chains = chains(probe, fs, live);
    [ChainCounter::BytesMayUse, ChainCounter::BytesPinned].map(|counter| {
        let mut fitting =
            chains.iter().filter(|level| level.counter == counter && level.object_flags & TYPE_MASK == flags);
        let first = fitting.next().copied();
        if fitting.next().is_some() { None } else { first }
    })
}
