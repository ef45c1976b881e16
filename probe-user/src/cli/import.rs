//! `btrfs-probe import`
use std::{
    fs::File,
    io::{self, BufReader, Seek as _},
    path::{Path, PathBuf},
};

use anyhow::anyhow;
use probe_record::why;

use super::{common::TerminalOpts, parse};
use crate::{
    import::{
        input::{Binary, Input},
        model::Imported,
        trace_dat::error::DatError,
    },
    report::{imported::text, output, text::look_for},
    session::exit::{ExitStatus, UsageError},
};

const EXAMPLE: &str = "\
Examples:
  btrfs-probe import trace.txt
  btrfs-probe import trace.dat
  perf script | btrfs-probe import -

`btrfs-probe doctor --ftrace` prints the commands that take such a trace.

Exit status: 1 a FILE cannot be read, 2 usage, 3 a counter went below zero, 4 else: a trace shows a part of the books only.";

/// Check a kernel trace with btrfs' events
///
/// Reads trace.dat of trace-cmd, and what `trace` and `trace_pipe` of tracefs, `trace-cmd report` and `perf script` print, other lines
/// between. It checks whether each change of a counter found what the one before had left, and none went below zero. It shows waits, flushes and sums by type,
/// and says what a trace cannot show. It needs no rights and works on any machine.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub(super) struct Args {
    /// Traces, one after the other as one; - is standard input
    #[arg(value_name = "FILE", required = true, num_args = 1.., value_parser = parse::input())]
    files: Vec<PathBuf>,
    /// Format of what is found
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    format: Format,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For a person
    #[default]
    Text,
    /// One JSON document; `btrfs-probe schema import` has its schema
    Json,
}

impl Args {
    pub(super) fn run(&self, terminal: &TerminalOpts) -> anyhow::Result<ExitStatus> {
        let imported = self.read()?;
        match self.format {
            Format::Json => {
                let mut json = serde_json::to_string_pretty(&imported)?;
                json.push('\n');
                output::print(json.as_bytes())?;
            }
            Format::Text => {
                let look = look_for(terminal.style().color, false);
                output::print(text::render(&imported, look, terminal.quiet).as_bytes())?;
            }
        }
        Ok(if imported.findings_count > 0 { ExitStatus::Findings } else { ExitStatus::Inconclusive })
    }

    fn read(&self) -> anyhow::Result<Imported> {
        if self.files.iter().filter(|file| *file == Path::new(why::STDIN)).count() > 1 {
            return Err(UsageError(parse::ONCE.to_owned()).into());
        }
        let mut input = Input::default();
        for file in &self.files {
            read(&mut input, file)?;
        }
        Ok(input.finish())
    }
}

fn read(input: &mut Input, file: &Path) -> anyhow::Result<()> {
    let name = why::shown(file);
    let cannot = |error: io::Error| anyhow!("cannot read {name}: {}", why::unread(&error));
    if file == Path::new(why::STDIN) {
        return match input.read(io::stdin().lock()).map_err(cannot)? {
            None => Ok(()),
            Some(Binary::TraceCmd) => {
                anyhow::bail!(
                    "{name} is a trace.dat: its parts are not in order, so name the file instead of -"
                )
            }
            Some(Binary::Perf) => {
                anyhow::bail!("{name} is a perf.data: `perf script | btrfs-probe import -`")
            }
            Some(Binary::Recording) => {
                anyhow::bail!("{name} is a recording of btrfs-probe: read it with `btrfs-probe report -`")
            }
        };
    }
    let mut opened = File::open(file).map_err(cannot)?;
    match input.read(BufReader::with_capacity(1 << 16, &opened)).map_err(cannot)? {
        None => Ok(()),
        Some(Binary::TraceCmd) => {
            opened.rewind().map_err(|_| {
                anyhow!("{name} is a trace.dat in a pipe: its parts are not in order, so name a file")
            })?;
            let left_out = input.read_dat(opened).map_err(|error| match error {
                DatError::Io(error) => cannot(error),
                error => anyhow!("cannot read {name}: {error}"),
            })?;
            for instance in left_out {
                log::warn!(
                    "{name}: events of its instance {instance:?} were left out, they may be the same again: give it a trace.dat of its own"
                );
            }
            Ok(())
        }
        Some(Binary::Perf) => anyhow::bail!(
            "{name} is a trace of perf in binary form: `perf script -i {name} | btrfs-probe import -`"
        ),
        Some(Binary::Recording) => {
            anyhow::bail!("{name} is a recording of btrfs-probe: read it with `btrfs-probe report {name}`")
        }
    }
}
