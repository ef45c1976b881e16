//! `btrfs-probe doctor`
use super::common::TerminalOpts;
use crate::session::plan::DoctorPlan;

/// Show what this kernel lets the tool see: rights, BTF, each hook, the tier, and how to fix what is missing
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Args {
    pub(super) const fn plan(&self, terminal: &TerminalOpts) -> DoctorPlan {
        DoctorPlan { json: self.json, style: terminal.style() }
    }
}
