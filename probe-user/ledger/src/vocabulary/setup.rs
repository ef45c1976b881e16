//! What the session could see, and how much the ledger may remember.
use probe_common::hook::HookId;

/// What the session could see, and how much the ledger may remember.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Hooks that are attached.
    pub attached: Vec<HookId>,
    /// Hooks that the books need.
    pub required: Vec<HookId>,
    /// Why a hook is not attached.
    pub missing_reasons: Vec<(HookId, String)>,
    /// The session follows only filesystems that were named, so an unknown filesystem is not of interest.
    pub only_named: bool,
    /// Most inodes with a book. Beyond it books are dropped, which counts as a loss.
    pub max_inodes: usize,
    /// How many of the newest records are kept as evidence.
    pub evidence_window: usize,
}

impl Default for Setup {
    /// Every hook of the tracepoints tier is attached.
    fn default() -> Self {
        Self {
            attached: HookId::ALL.into_iter().filter(|hook| !hook.is_function()).collect(),
            required: vec![
                HookId::SpaceReservation,
                HookId::BytesMayUse,
                HookId::BytesPinned,
                HookId::ModOutstanding,
                HookId::InodeEvict,
                HookId::ClearExtentBit,
                HookId::FindFreeExtent,
                HookId::ReserveTicket,
            ],
            missing_reasons: Vec::new(),
            only_named: false,
            max_inodes: 4_000_000,
            evidence_window: 65_536,
        }
    }
}

impl Setup {
    /// Why the kernel's log could not be read, if the session tried to. Older recordings do not name that hook.
    pub(crate) fn deaf(&self) -> Option<&str> {
        let (_, why) = self.missing_reasons.iter().find(|(hook, _)| *hook == HookId::Console)?;
        Some(why.as_str()).filter(|_| !self.attached.contains(&HookId::Console))
    }
}
