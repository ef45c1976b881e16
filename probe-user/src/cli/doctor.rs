//! `btrfs-probe doctor`
use super::common::TerminalOpts;
use crate::session::plan::DoctorPlan;

/// Say what this kernel lets us see: rights, BTF, each hook, the tier, and the remedy for what is missing
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// As JSON
    #[arg(long)]
    json: bool,
}

impl Args {
    pub(super) const fn plan(&self, terminal: &TerminalOpts) -> DoctorPlan {
        DoctorPlan { json: self.json, style: terminal.style() }
    }
}
