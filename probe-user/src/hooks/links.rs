//! Links of attached programs.
use std::os::fd::OwnedFd;

use aya::programs::{kprobe::KProbeLinkId, raw_trace_point::RawTracePointLinkId};
use probe_common::hook::HookId;

use super::returns::Kretprobe;

/// An attached program.
pub(super) struct Link {
    pub(super) hook: HookId,
    pub(super) program: String,
    pub(super) id: LinkId,
}

pub(super) enum LinkId {
    Tracepoint(RawTracePointLinkId),
    Kprobe(KProbeLinkId),
    Kretprobe(Kretprobe),
    /// Of a fentry or fexit program.
    Fentry(OwnedFd),
}
