//! From no hooks to attached hooks, with one sentence for each way in which this can fail.
use std::path::Path;

use anyhow::{Context as _, bail};
use probe_common::{
    ABI_VERSION,
    config::{Config, MAX_FILTER_FS},
};
use probe_record::session::{
    BtrfsBuild, FsPlace, HookRow, KernelInfo, ONLY_FILESYSTEMS, SessionHeader, Tier,
};

use super::{
    followed,
    names::Symbols,
    plan::{CapturePlan, FilterPlan, FsSelector, TierChoice},
};
use crate::{
    hooks::{Probe, ProbeOptions, SEE_DOCTOR, TypesOf, functions, means::Offers, plan, tickets},
    kernel::{
        btf::KernelTypes,
        btrfs::{self, BtrfsPresence},
        caps::Capabilities,
        config::KernelConfig,
        doctor,
        fsid::Fsid,
        machine::{ClockOffset, Machine},
        mounts, paranoid, preempt,
        select::{self, SelectError},
    },
    symbols::SymbolTable,
};

/// The eBPF object, empty in a build without it.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/probe.bpf.o"));

/// How often a context's representative stack is renewed.
const STACK_RENEW_MS: u32 = 256;
/// How often the level of an unbroken chain is shown.
const LEVEL_MS: u32 = 256;

/// An attached probe with the facts of its session.
#[derive(Debug)]
pub struct Attached {
    /// The hooks.
    pub probe: Probe,
    /// The facts.
    pub header: SessionHeader,
}

/// Checks, before anything else, whether our rights allow what was asked for.
///
/// # Errors
/// One sentence.
pub fn check(root: &Path) -> anyhow::Result<()> {
    let capabilities = Capabilities::read(root).context("cannot read our rights: is /proc mounted?")?;
    if !capabilities.can_trace() {
        bail!("tracing needs root, or CAP_BPF and CAP_PERFMON: run with sudo{SEE_DOCTOR}");
    }
    Ok(())
}

/// Checks rights and kernel, resolves offsets, loads, attaches.
///
/// # Errors
/// One sentence for each cause.
pub fn bring_up(
    root: &Path,
    capture: CapturePlan,
    filter: &FilterPlan,
    symbols: &Symbols,
    verbosity: u8,
) -> anyhow::Result<Attached> {
    check(root)?;
    let machine = Machine::read(root);
    let facts = btrfs::facts(root, &machine.release);
    if facts.presence == BtrfsPresence::Absent {
        bail!(
            "this kernel has no btrfs: {}",
            facts.remedy.unwrap_or_else(|| "run `modprobe btrfs`".to_owned())
        );
    }
    let fsids =
        filter.filesystems.iter().map(|wanted| fsid_of(root, wanted)).collect::<anyhow::Result<Vec<_>>>()?;
    if fsids.len() > MAX_FILTER_FS {
        bail!("--fs can be given {MAX_FILTER_FS} times at most: leave it out to follow all filesystems");
    }
    let mut resolved = resolve(root, &machine, capture.tier, symbols)?;
    // Read now, before the hooks are on, if they were not needed so far.
    let granting =
        symbols.table().as_ref().ok().and_then(|symbols| tickets::granting(&resolved.offsets, symbols));
    let (granting, granting_len) = granting.unwrap_or_default();
    let root_fs_type = symbols.table().as_ref().ok().and_then(SymbolTable::root_fs_type);
    resolved.plan.retain(|hook| capture.fstests || !hook.entry.suite);
    let clock = ClockOffset::measure().context("cannot read the clocks")?;
    let mut config = Config {
        abi: ABI_VERSION,
        stacks: capture.stacks.number(),
        stack_renew_ms: STACK_RENEW_MS,
        level_ms: LEVEL_MS,
        filter_fs: u32::try_from(fsids.len()).unwrap_or(0),
        filter_ino: filter.inode.unwrap_or(0),
        filter_root: filter.subvol.unwrap_or(0),
        own_pid: std::process::id(),
        fallbacks: u32::from(machine.preempts_tracepoints()),
        suite: u32::from(capture.fstests),
        granting,
        granting_len,
        empty: u64::from(capture.empty),
        ..Config::default()
    };
    for (slot, fsid) in config.filter_fsid.iter_mut().zip(&fsids) {
        *slot = *fsid;
    }
    let options = ProbeOptions {
        offsets: resolved.offsets,
        signatures: functions::signatures(&resolved.functions),
        config,
        root_fs_type,
        iterators: false,
        cpus: machine.highest_cpu() + 1,
        ring_bytes: capture.ring_bytes,
        verbose: verbosity > 1,
    };
    let (probe, hooks, tier_reason) = tiers(root, &resolved, options, capture.tier)?;
    let tier = if tier_reason.is_none() { Tier::Functions } else { Tier::Tracepoints };
    let header = SessionHeader {
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        kernel: KernelInfo {
            release: machine.release,
            machine: machine.machine,
            boot_id: machine.boot_id,
            btrfs: match facts.presence {
                BtrfsPresence::Builtin => BtrfsBuild::Builtin,
                _ => BtrfsBuild::Module,
            },
        },
        tier,
        tier_reason,
        hooks,
        command: Vec::new(),
        wall_offset_ns: clock.realtime_minus_monotonic_ns,
        started_at_ns: jiff::Timestamp::now().as_nanosecond().try_into().unwrap_or(i64::MAX),
        options: options_shown(capture, filter, &fsids),
        filesystems: places(root),
        flush_states: resolved.flush_states,
    };
    Ok(Attached { probe, header })
}

/// What the running kernel has.
struct Resolved {
    plan: Vec<plan::PlannedHook>,
    offsets: probe_common::offsets::Offsets,
    functions: Vec<functions::PlannedFunction>,
    /// Means by which functions can be hooked.
    offers: Offers,
    /// Why the functions tier cannot be used.
    obstacle: Option<String>,
    /// `enum btrfs_flush_state`
    flush_states: std::collections::BTreeMap<i32, String>,
}

/// Plan and offsets of the running kernel. The kernel's types take tens of MB and are dropped here.
fn resolve(root: &Path, machine: &Machine, tier: TierChoice, symbols: &Symbols) -> anyhow::Result<Resolved> {
    let types = KernelTypes::of_kernel(root)?;
    let resolved = types.resolve();
    let plan = plan::plan(&types, &resolved);
    let without = |obstacle: String| Resolved {
        plan: plan.clone(),
        offsets: resolved.offsets,
        functions: Vec::new(),
        offers: Offers::none(&obstacle),
        obstacle: Some(obstacle),
        flush_states: types.flush_states().clone(),
    };
    if tier == TierChoice::Tracepoints {
        return Ok(without("--tier tracepoints was asked for".to_owned()));
    }
    let kprobes = doctor::kprobes_of(root);
    let kprobes = match kprobes.note {
        Some(note) if !kprobes.available => Err(note),
        _ => Ok(()),
    };
    let preempted = preempt::preempts_programs(root, machine, &KernelConfig::read(root, &machine.release));
    // Checked before the kernel's symbols are read, which takes long.
    let mut tried = None;
    if let Err(why) = &kprobes {
        if preempted && tier == TierChoice::Auto {
            return Ok(without(format!(
                "{why}; --tier functions tries fentry, whose programs can be preempted here, which leaves calls in doubt"
            )));
        }
        match TypesOf::tried(&types) {
            Ok(types_of) => tried = Some(types_of),
            Err(no_fentry) => return Ok(without(format!("{why}; no fentry either: {no_fentry}"))),
        }
    }
    let symbols = match symbols.table() {
        Ok(symbols) => symbols,
        Err(error) => return Ok(without(error.clone())),
    };
    let try_fentry = || tried.map_or_else(|| TypesOf::tried(&types), Ok);
    let offers = Offers::of(&resolved, kprobes, symbols, preempted, try_fentry);
    let functions = functions::plan(&types, &|name| {
        let places = symbols.named(name);
        places.map(|(address, symbol)| functions::Place { address, symbol: symbol.name.to_owned() }).collect()
    });
    let obstacle = functions::obstacle(&functions).or_else(|| offers.obstacle());
    let flush_states = types.flush_states().clone();
    Ok(Resolved { plan, offsets: resolved.offsets, functions, offers, obstacle, flush_states })
}

/// Loads and attaches the best tier that was asked for and that the kernel takes. The last part says why it is not the
/// functions tier.
fn tiers(
    root: &Path,
    resolved: &Resolved,
    mut options: ProbeOptions,
    asked: TierChoice,
) -> anyhow::Result<(Probe, Vec<HookRow>, Option<String>)> {
    let mut reason = resolved.obstacle.clone();
    if reason.is_none() {
        options.config.functions = 1;
        options.iterators = options.config.fallbacks != 0 && resolved.offers.kprobes.is_ok();
        options.config.return_trampoline = resolved.offers.kprobes.clone().unwrap_or_default();
        let mut probe = Probe::load(OBJECT, &options)?;
        // Before the functions: if we see a call begin, we must see what happens inside it.
        let mut hooks = probe.attach(&resolved.plan)?;
        match probe.attach_functions(OBJECT, &resolved.functions, &resolved.offers) {
            Ok(rows) => {
                hooks.extend(rows);
                return Ok((probe, hooks, None));
            }
            Err(why) => {
                let remedy = paranoid::remedy(root, &why).map(|remedy| format!("; {remedy}"));
                reason = Some(why + &remedy.unwrap_or_default());
            }
        }
    }
    if asked == TierChoice::Functions {
        bail!(
            "the functions tier cannot be had here ({}): use --tier auto or --tier tracepoints",
            reason.unwrap_or_default()
        );
    }
    options.config.functions = 0;
    options.iterators = false;
    let mut probe = Probe::load_without_functions(OBJECT, &options)?;
    let plan: Vec<_> = resolved.plan.iter().filter(|hook| !hook.entry.functions).cloned().collect();
    let hooks = probe.attach(&plan)?;
    Ok((probe, hooks, reason))
}

/// Tries every hook and detaches it again.
///
/// # Errors
/// The kernel's types cannot be read, or nothing can be loaded.
pub fn try_hooks(root: &Path) -> anyhow::Result<(Vec<HookRow>, Option<String>)> {
    let asked = if doctor::kprobes_of(root).available { TierChoice::Functions } else { TierChoice::Auto };
    let machine = Machine::read(root);
    let resolved = resolve(root, &machine, asked, &Symbols::of(root))?;
    let options = ProbeOptions {
        offsets: resolved.offsets,
        signatures: functions::signatures(&resolved.functions),
        config: Config { abi: ABI_VERSION, ..Config::default() },
        root_fs_type: None,
        iterators: false,
        cpus: machine.highest_cpu() + 1,
        ring_bytes: 64 << 10,
        verbose: false,
    };
    let (mut probe, rows, reason) = tiers(root, &resolved, options, TierChoice::Auto)?;
    probe.detach();
    Ok((rows, reason))
}

fn fsid_of(root: &Path, wanted: &FsSelector) -> anyhow::Result<[u8; 16]> {
    let given = match wanted {
        FsSelector::Later(fsid) => return Ok(*fsid),
        FsSelector::Uuid(fsid) => Fsid(*fsid).to_string(),
        FsSelector::Path(path) => path.to_string_lossy().into_owned(),
    };
    match select::select(root, &given) {
        Ok(found) => Ok(found.fsid.0),
        // Test suites name a filesystem by a UUID under which it will be mounted later.
        Err(SelectError::NotMounted { fsid, .. }) => {
            log::warn!("--fs {fsid}: not mounted now; waiting for it");
            Ok(fsid.0)
        }
        Err(error) => Err(anyhow::anyhow!("--fs: {error}")),
    }
}

fn options_shown(
    capture: CapturePlan,
    filter: &FilterPlan,
    fsids: &[[u8; 16]],
) -> std::collections::BTreeMap<String, String> {
    let mut options = std::collections::BTreeMap::from([
        ("ring-size".to_owned(), capture.ring_bytes.to_string()),
        ("stacks".to_owned(), format!("{:?}", capture.stacks).to_lowercase()),
    ]);
    if !fsids.is_empty() {
        let uuids: Vec<String> = fsids.iter().map(|fsid| Fsid(*fsid).to_string()).collect();
        options.insert(ONLY_FILESYSTEMS.to_owned(), uuids.join(&followed::NEXT.to_string()));
    }
    for (name, number) in [(followed::INODE, filter.inode), (followed::SUBVOL, filter.subvol)] {
        options.extend(number.map(|number| (name.to_owned(), number.to_string())));
    }
    options
}

/// Where the mounted filesystems are, from /proc and /sys alone.
pub fn places(root: &Path) -> Vec<FsPlace> {
    let place = |filesystem: mounts::Filesystem| FsPlace {
        uuid: filesystem.fsid.to_string(),
        devices: filesystem.devices.clone(),
        mounts: filesystem
            .mounts
            .iter()
            .map(|mount| mount.mount_point.to_string_lossy().into_owned())
            .collect(),
    };
    mounts::filesystems(root).unwrap_or_default().into_iter().map(place).collect()
}
