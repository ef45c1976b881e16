//! `btrfs-probe completions`
use clap::CommandFactory as _;

use crate::{report::output, session::exit::ExitStatus};

/// Print completions for a shell
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Which shell
    #[arg(value_enum)]
    shell: clap_complete::Shell,
}

impl Args {
    pub(super) fn print(&self) -> anyhow::Result<ExitStatus> {
        // Into memory first: the generator panics when its writer fails.
        let mut text = Vec::new();
        clap_complete::generate(self.shell, &mut super::Cli::command(), "btrfs-probe", &mut text);
        output::print(&text)?;
        Ok(ExitStatus::Clean)
    }
}
