//! `btrfs-probe doctor`
use super::common::TerminalOpts;
use crate::{
    report::output,
    session::{self, exit::ExitStatus, plan::DoctorPlan},
};

/// Commands that take a trace which `import` reads.
const FTRACE: &str = include_str!("ftrace.txt");

/// Show what this kernel lets the tool see: rights, BTF, each hook, the tier, and how to fix what is missing
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Print the commands that take a trace for `btrfs-probe import` where the tool cannot attach; needs no rights
    #[arg(long, conflicts_with = "json")]
    ftrace: bool,
}

impl Args {
    pub(super) fn run(&self, terminal: &TerminalOpts) -> anyhow::Result<ExitStatus> {
        if self.ftrace {
            output::print(FTRACE.as_bytes())?;
            return Ok(ExitStatus::Clean);
        }
        session::doctor(&DoctorPlan { json: self.json, style: terminal.style() })
    }
}
