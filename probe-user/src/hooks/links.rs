//! Links of programs on functions.
use std::os::fd::OwnedFd;

use aya::programs::kprobe::KProbeLinkId;
use probe_common::hook::HookId;

use super::returns::Kretprobe;

/// An attached program of a function.
pub(super) struct CallLink {
    pub(super) hook: HookId,
    pub(super) program: String,
    pub(super) id: LinkId,
}

pub(super) enum LinkId {
    Kprobe(KProbeLinkId),
    Kretprobe(Kretprobe),
    /// Of a fentry or fexit program.
    Fentry(OwnedFd),
}
