//! `btrfs-probe bundle`
use std::{
    io::{self, IsTerminal as _},
    path::{Path, PathBuf},
};

use super::{
    parse,
    same_file::{self, Input},
};
use crate::{
    report::output::Target,
    session::{exit::UsageError, plan::BundlePlan},
};

const AFTER_HELP: &str = "\
Look at what is in it before you send it:
  tar tzvf FILE
  tar xzOf FILE btrfs-probe-bundle/MANIFEST.json
With --redact names of files, mount points, devices, labels, tasks, hosts and commands are pseudonyms.
`btrfs-probe report FILE` and `btrfs-probe explain FILE` read a bundle.";

/// Make one archive for a bug report: of this machine, and of recordings and JSON reports
///
/// It has what `doctor` shows, the report of each FILE with the recording itself, the kernel's configuration, the lines of btrfs in its
/// log, its mounts and what sysfs says of it. What cannot be read or does not belong into it is in MANIFEST.json with why. It needs no
/// rights. Of a recording of another kernel than the running one, nothing of this machine is in it.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Args {
    /// Write to FILE; - is standard output. Otherwise a name with the time, ending in .tar.gz, in the working directory
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace names by pseudonyms, the same name by the same one
    #[arg(long)]
    redact: bool,
    /// Leave recordings out; their reports stay
    #[arg(long)]
    no_recording: bool,
    /// Leave out recordings that are larger than this
    #[arg(long, value_name = "SIZE", value_parser = parse::size, default_value = "64M", conflicts_with = "no_recording")]
    max_recording: u64,
    /// Recordings and JSON reports
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
}

impl Args {
    pub(super) fn plan(&self) -> Result<BundlePlan, UsageError> {
        let target = match self.output.as_deref() {
            Some(path) if path == Path::new("-") => Target::Stdout,
            Some(path) => Target::File(path.to_owned()),
            None => Target::File(
                format!("btrfs-probe-{}.tar.gz", jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ")).into(),
            ),
        };
        if target == Target::Stdout && io::stdout().is_terminal() {
            return Err(UsageError(
                "a bundle is no text for a terminal: give it a file with -o FILE".to_owned(),
            ));
        }
        let most = crate::bundle::MOST_SESSIONS;
        if self.files.len() > most {
            return Err(UsageError(format!(
                "{} files were named; a bundle has room for {most}",
                self.files.len()
            )));
        }
        let inputs: Vec<Input<'_>> =
            self.files.iter().map(|path| Input { what: "recording", path }).collect();
        same_file::check_bundle(&target, &inputs)?;
        Ok(BundlePlan {
            files: self.files.clone(),
            target,
            redact: self.redact,
            most_recording: if self.no_recording { 0 } else { self.max_recording },
        })
    }
}
