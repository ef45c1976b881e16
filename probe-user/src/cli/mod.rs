//! The command line: what the user can type, and what it means.
//!
//! Each subcommand is a file with its arguments. A subcommand that watches a kernel turns them into a
//! [`crate::session::plan::SessionPlan`], which is free of syntax, and hands it to [`crate::session`]. Help, man page and
//! completions are all made from this one description.
//!
//! The command line never asks back, reads no configuration file, and gives no option a second name.
mod bench_floor;
mod bundle;
mod common;
mod completions;
mod demo;
mod doctor;
mod explain;
mod import;
mod man;
pub mod parse;
mod record;
mod report;
mod run;
mod same_file;
mod schema;
mod top;
mod watch;

use std::ffi::OsString;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand, error::ErrorKind};

use crate::{
    report::text::ColorChoice,
    session::{
        exit::{ExitStatus, UsageError},
        status_line,
    },
};

const AFTER_HELP: &str = "\
Exit status: 0 clean, 1 the tool failed, 2 usage, 3 findings, 4 inconclusive.
`run` and `record` pass on the status of COMMAND if it failed and there is no finding.
`top` gives no verdict: it ends with 3 if it showed findings, else with 0.
`explain` ends with 0 if the text shows why there is no space, else with 4.
`import` ends with 3 or 4.

A FILE of - is standard input where it is read, and standard output where it is written.";

/// Follows every btrfs space reservation from reserve to free on a live kernel
///
/// It attaches to a running kernel and keeps double-entry books of every btrfs space reservation. It reports what is freed and
/// was never reserved, what is reserved and never freed, and who holds what right now.
#[derive(Debug, Parser)]
#[command(name = "btrfs-probe", version, after_help = AFTER_HELP, max_term_width = 100, infer_subcommands = false)]
pub struct Cli {
    #[command(flatten)]
    terminal: common::TerminalOpts,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Doctor(doctor::Args),
    Run(run::Args),
    Watch(watch::Args),
    Top(top::Args),
    Record(record::Args),
    Report(report::Args),
    Explain(explain::Args),
    Import(import::Args),
    Demo(demo::Args),
    Schema(schema::Args),
    Completions(completions::Args),
    Man(man::Args),
    Bundle(bundle::Args),
    BenchFloor(bench_floor::Args),
}

/// Runs the program with these arguments (the program's name first) and returns its exit status.
///
/// Prints help, version and usage errors. The caller prints any other error.
///
/// # Errors
/// The tool failed; exit status 1.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> anyhow::Result<ExitStatus> {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let color = help_color(&arguments);
    let parsed = Cli::command()
        .color(color)
        .try_get_matches_from(arguments)
        .and_then(|told| Cli::from_arg_matches(&told));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) => {
            let status = if error.use_stderr() { ExitStatus::Usage } else { ExitStatus::Clean };
            // If the pipe is closed, nobody reads the help any more.
            let _ = error.print();
            return Ok(status);
        }
    };
    init_log(&cli.terminal, &cli.command);
    match dispatch(&cli) {
        Err(error) => match error.downcast::<UsageError>() {
            Ok(usage) => {
                let _ = Cli::command().color(color).error(ErrorKind::ValueValidation, usage).print();
                Ok(ExitStatus::Usage)
            }
            Err(error) => Err(error),
        },
        done => done,
    }
}

/// Colours of help and of usage errors, which are written before the command line is understood: as `--color` says, wherever it
/// stands.
fn help_color(arguments: &[OsString]) -> clap::ColorChoice {
    let mut words = arguments.iter().filter_map(|word| word.to_str()).take_while(|word| *word != "--");
    let mut told = clap::ColorChoice::Auto;
    while let Some(word) = words.next() {
        let value = if word == "--color" { words.next() } else { word.strip_prefix("--color=") };
        told = match value {
            Some("never") => clap::ColorChoice::Never,
            Some("always") => clap::ColorChoice::Always,
            _ => told,
        };
    }
    told
}

/// One sentence: what failed, then why. A cause that stands in the text before it already is not said again.
#[must_use]
pub fn sentence(error: &anyhow::Error) -> String {
    probe_record::why::chain(error.as_ref())
}

fn dispatch(cli: &Cli) -> anyhow::Result<ExitStatus> {
    let terminal = &cli.terminal;
    match &cli.command {
        Command::Doctor(args) => args.run(terminal),
        Command::Run(args) => crate::session::execute(&args.plan(terminal)?),
        Command::Watch(args) => crate::session::execute(&args.plan(terminal)?),
        Command::Top(args) => crate::session::top(&args.plan(terminal)?),
        Command::Record(args) => crate::session::execute(&args.plan(terminal)?),
        Command::Report(args) => crate::session::execute(&args.plan(terminal)?),
        Command::Demo(args) => crate::session::execute(&args.plan(terminal)?),
        Command::Explain(args) => args.run(terminal),
        Command::Import(args) => args.run(terminal),
        Command::Schema(args) => args.print(),
        Command::Completions(args) => args.print(),
        Command::Man(args) => args.print(),
        Command::Bundle(args) => crate::session::bundle(&args.plan()?),
        Command::BenchFloor(args) => args.run(),
    }
}

/// Logs warnings by default, only errors with `-q`, more with `-v`; `RUST_LOG` sets it in detail. Always to standard error.
fn init_log(terminal: &common::TerminalOpts, command: &Command) {
    let level = match (terminal.quiet, terminal.verbose) {
        (true, _) => log::LevelFilter::Error,
        (false, 0) => log::LevelFilter::Warn,
        (false, 1) => log::LevelFilter::Info,
        (false, _) => log::LevelFilter::Debug,
    };
    let mut builder = env_logger::Builder::new();
    builder.filter_level(level);
    // It logs every instruction that it relocates: tens of thousands of lines, between which those of the kernel side are lost.
    builder.filter_module("aya_obj", level.min(log::LevelFilter::Info));
    builder.parse_default_env().format_timestamp(None).format_target(false);
    if terminal.color == ColorChoice::Never {
        builder.write_style(env_logger::WriteStyle::Never);
        status_line::without_escapes();
    }
    match command {
        Command::Top(_) => {
            // A line on the terminal would damage the screen, so keep the lines until the screen has ended.
            builder.target(env_logger::Target::Pipe(Box::new(crate::session::LogSink)));
        }
        Command::Watch(_) if status_line::is_possible() => {
            builder.target(env_logger::Target::Pipe(Box::new(status_line::AboveStatusLine)));
        }
        _ => {}
    }
    // Only the first call of a process counts; in tests there are several.
    let _ = builder.try_init();
}

#[cfg(test)]
mod tests;
