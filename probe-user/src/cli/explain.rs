//! `btrfs-probe explain`
use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, BufReader},
    path::Path,
};

use anyhow::anyhow;
use probe_ledger::FindingKind;
use probe_record::why::unread;

use super::{common::TerminalOpts, parse::ONCE};
use crate::{
    explain::{cause::Cause, input::Input, model::Explanation, pages},
    format::{counted, escape::escape},
    report::{explanation::text, output, text::look_for},
    session::{
        bundle_log,
        exit::{ExitStatus, UsageError},
    },
};

const EXAMPLE: &str = "\
Examples:
  dmesg | btrfs-probe explain -
  btrfs filesystem usage -b /mnt | btrfs-probe explain dmesg.txt -
  btrfs-probe explain over-release

Exit status: 0 explained, 1 a FILE cannot be read, 2 usage, 4 the text does not show why.";

/// Explain why there is no space, or a kind of finding
///
/// Reads kernel logs (mount with `-o enospc_debug`) and the output of `btrfs filesystem usage`, mixed with other lines,
/// from files or standard input, and says in one sentence why btrfs returned ENOSPC. It needs no rights and works on any
/// machine. Of a bundle it reads the kernel's log in it. With the name of a kind of finding or of a cause it prints the page of it.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLE)]
pub(super) struct Args {
    /// Kinds of findings and causes, or texts to explain together; - is standard input
    #[arg(value_name = "KIND|FILE|-", required_unless_present = "list")]
    what: Vec<OsString>,
    /// List the kinds of findings and the causes that have a page
    #[arg(long, conflicts_with = "what")]
    list: bool,
    /// Format of the explanation
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    format: Format,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For a person
    #[default]
    Text,
    /// One JSON document; `btrfs-probe schema explain` has its schema
    Json,
}

impl Args {
    pub(super) fn run(&self, terminal: &TerminalOpts) -> anyhow::Result<ExitStatus> {
        let style = terminal.style();
        let look = look_for(style.color, false);
        if self.list {
            output::print(text::render_list(look).as_bytes())?;
            return Ok(ExitStatus::Clean);
        }
        let pages: Vec<&str> = self.what.iter().filter_map(|name| pages::find(name.to_str()?)).collect();
        if !pages.is_empty() {
            if pages.len() < self.what.len() {
                return Err(UsageError(
                    "name kinds and causes to read their pages, or texts to explain, not both; a file of such a name is ./NAME"
                        .to_owned(),
                )
                .into());
            }
            let text: Vec<String> = pages.into_iter().map(|page| text::render_page(page, look)).collect();
            output::print(text.join("\n").as_bytes())?;
            return Ok(ExitStatus::Clean);
        }
        let explanation = self.read()?;
        match self.format {
            Format::Json => {
                let mut json = serde_json::to_string_pretty(&explanation)?;
                json.push('\n');
                output::print(json.as_bytes())?;
            }
            Format::Text if explanation.filesystems.is_empty() => {
                output::print(nothing(&explanation).as_bytes())?;
            }
            Format::Text => output::print(text::render(&explanation, look, terminal.quiet).as_bytes())?,
        }
        Ok(if explanation.is_explained() { ExitStatus::Clean } else { ExitStatus::Inconclusive })
    }

    fn read(&self) -> anyhow::Result<Explanation> {
        if self.what.iter().filter(|what| *what == OsStr::new("-")).count() > 1 {
            return Err(UsageError(ONCE.to_owned()).into());
        }
        let mut input = Input::default();
        for what in &self.what {
            let name = escape(&what.to_string_lossy());
            let read = if what == OsStr::new("-") {
                input.read(io::stdin().lock())
            } else if let Some(log) = bundle_log(Path::new(what))? {
                input.read(log.as_slice())
            } else {
                File::open(what).and_then(|file| input.read(BufReader::new(file)))
            };
            match read {
                Err(error) if error.kind() == io::ErrorKind::NotFound && is_word(what) => {
                    return Err(UsageError(unknown(&name)).into());
                }
                done => done.map_err(|error| anyhow!("cannot read {name}: {}", unread(&error)))?,
            }
        }
        Ok(input.finish())
    }
}

/// A name and no path: rather a kind that does not exist than a file.
fn is_word(what: &OsStr) -> bool {
    let path = Path::new(what);
    path.components().count() == 1 && path.extension().is_none()
}

fn unknown(name: &str) -> String {
    let kinds: Vec<&str> = FindingKind::ALL.into_iter().map(FindingKind::name).collect();
    let causes: Vec<&str> = Cause::ALL.into_iter().map(Cause::name).collect();
    format!(
        "there is no finding, cause or file `{name}`; findings are {}; causes are {}",
        kinds.join(", "),
        causes.join(", ")
    )
}

fn nothing(explanation: &Explanation) -> String {
    format!(
        "Nothing in {} is about the space of a btrfs: expected is a kernel log with a dump of space_infos (mount with\n\
         -o enospc_debug, then dmesg) or the output of `btrfs filesystem usage`.\n",
        counted(explanation.lines, "line")
    )
}
