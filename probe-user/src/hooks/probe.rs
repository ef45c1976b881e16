//! The kernel side, loaded.
use std::os::fd::{AsFd, BorrowedFd};

use aya::Ebpf;
use probe_common::{config::Config, hook::HookId, offsets::Offsets, signature::Signatures};

use super::{
    fdinfo::ProgramCounts,
    fentry::FentryPrograms,
    links::{Link, LinkId},
    maps::MappedMaps,
};

/// How to bring up the kernel side.
#[derive(Clone, Debug)]
pub struct ProbeOptions {
    /// Offsets of the running kernel.
    pub offsets: Offsets,
    /// Where the arguments of hooked functions are.
    pub signatures: Signatures,
    /// Session settings.
    pub config: Config,
    /// Address of `btrfs_root_fs_type`, on kernels that have it.
    pub root_fs_type: Option<u64>,
    /// Whether kprobes take the place of tracepoint programs that can be preempted.
    pub iterators: bool,
    /// Number of the highest CPU that this machine can have, plus one.
    pub cpus: u32,
    /// Bytes of the ring; rounded up to a power of two of at least one page.
    pub ring_bytes: u32,
    /// Whether to ask for the verifier's full log and for the log of the kernel side.
    pub verbose: bool,
}

/// The kernel side, loaded. Dropping it detaches everything.
pub struct Probe {
    pub(super) ebpf: Ebpf,
    pub(super) mapped: MappedMaps,
    /// Of tracepoints.
    pub(super) links: Vec<Link>,
    /// Programs whose skipped runs and run times are read.
    pub(super) programs: Vec<(HookId, String)>,
    /// Programs of hooks that have a fallback program attached behind them.
    pub(super) with_fallback: Vec<HookId>,
    pub(super) fallbacks: bool,
    /// [`ProbeOptions::iterators`]
    pub(super) iterators: bool,
    /// [`ProbeOptions::verbose`]
    pub(super) verbose: bool,
    /// [`ProbeOptions::root_fs_type`]
    pub(super) root_fs_type: Option<u64>,
    /// Of functions.
    pub(super) calls: Vec<Link>,
    /// Programs of the kinds fentry and fexit, or why there are none.
    pub(super) fentry: Result<FentryPrograms, String>,
    /// Programs on demand that this kernel does not take, with the reason.
    pub(super) without: Vec<(HookId, String)>,
}

impl Probe {
    /// True if a function is hooked by an event that has a name in tracefs, see `returns.rs`.
    #[must_use]
    pub fn has_names_in_tracefs(&self) -> bool {
        self.calls.iter().any(|link| matches!(link.id, LinkId::Kretprobe(_)))
    }

    /// A loaded program.
    pub(super) fn loaded(&self, name: &str) -> Option<BorrowedFd<'_>> {
        let by_aya = || Some(self.ebpf.program(name)?.fd().ok()?.as_fd());
        self.fentry.as_ref().ok().and_then(|programs| programs.program(name)).or_else(by_aya)
    }

    /// What the kernel counts of a loaded program.
    pub(super) fn counts_of(&self, name: &str) -> Option<ProgramCounts> {
        ProgramCounts::of(self.loaded(name)?)
    }
}

impl std::fmt::Debug for Probe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Probe").field("attached", &self.links.len()).finish_non_exhaustive()
    }
}
