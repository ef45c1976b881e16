//! The command line: what can be typed, and what it means.
//!
//! Each subcommand is a file with its arguments; those that watch a kernel turn them into a
//! [`crate::session::plan::SessionPlan`], which holds no trace of the syntax, and hand that to [`session`]. Help, man page and
//! completions are all made from the one description here.
//!
//! Refused: asking back, reading a configuration file, and a second name for any option.
mod bench_floor;
mod common;
mod completions;
mod demo;
mod doctor;
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

use clap::{CommandFactory as _, Parser, Subcommand, error::ErrorKind};

use crate::session::exit::{ExitStatus, UsageError};

const AFTER_HELP: &str = "\
Exit status: 0 clean, 1 the tool failed, 2 usage, 3 findings, 4 inconclusive.
`run` and `record` pass on the status of COMMAND when they have nothing to add; `top` gives
no verdict and ends with 3 or 0.";

/// Follows every btrfs space reservation from reserve to free on a live kernel
///
/// It attaches to a running kernel, keeps double-entry books of every space reservation of btrfs, and reports what is
/// freed that was never reserved, what is reserved and never freed, and who holds what right now.
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
    Demo(demo::Args),
    Schema(schema::Args),
    Completions(completions::Args),
    Man(man::Args),
    BenchFloor(bench_floor::Args),
}

/// Runs the program with these arguments (the program's name first) and returns its exit status.
///
/// Help, version and usage errors are printed here; any other error is for the caller to print.
///
/// # Errors
/// The tool failed; exit status 1.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> anyhow::Result<ExitStatus> {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            let status = if error.use_stderr() { ExitStatus::Usage } else { ExitStatus::Clean };
            // Help into a closed pipe is help nobody reads any more.
            let _ = error.print();
            return Ok(status);
        }
    };
    init_log(&cli.terminal, matches!(cli.command, Command::Top(_)));
    match dispatch(&cli) {
        Err(error) => match error.downcast::<UsageError>() {
            Ok(usage) => {
                let _ = Cli::command().error(ErrorKind::ValueValidation, usage).print();
                Ok(ExitStatus::Usage)
            }
            Err(error) => Err(error),
        },
        done => done,
    }
}

fn dispatch(cli: &Cli) -> anyhow::Result<ExitStatus> {
    let terminal = &cli.terminal;
    match &cli.command {
        Command::Doctor(args) => crate::session::doctor(&args.plan(terminal)),
        Command::Run(args) => crate::session::execute(&args.plan(terminal)?),
        Command::Watch(args) => crate::session::execute(&args.plan(terminal)?),
        Command::Top(args) => crate::session::top(&args.plan(terminal)?),
        Command::Record(args) => crate::session::execute(&args.plan(terminal)?),
        Command::Report(args) => crate::session::execute(&args.plan(terminal)?),
        Command::Demo(args) => crate::session::execute(&args.plan(terminal)?),
        Command::Schema(args) => args.print(),
        Command::Completions(args) => args.print(),
        Command::Man(args) => args.print(),
        Command::BenchFloor(args) => args.run(),
    }
}

/// Warnings by default, errors alone with `-q`, more with `-v`; `RUST_LOG` says it in detail. Always to standard error.
fn init_log(terminal: &common::TerminalOpts, screen: bool) {
    let level = match (terminal.quiet, terminal.verbose) {
        (true, _) => log::LevelFilter::Error,
        (false, 0) => log::LevelFilter::Warn,
        (false, 1) => log::LevelFilter::Info,
        (false, _) => log::LevelFilter::Debug,
    };
    let mut builder = env_logger::Builder::new();
    builder.filter_level(level);
    // It tells of every instruction that it relocates: the lines of the kernel side would drown in tens of thousands.
    builder.filter_module("aya_obj", level.min(log::LevelFilter::Info));
    builder.parse_default_env().format_timestamp(None).format_target(false);
    if screen {
        // Lines that would tear a screen are kept until it is gone.
        builder.target(env_logger::Target::Pipe(Box::new(crate::session::LogSink)));
    }
    // Only the first call of a process counts; in tests there are several.
    let _ = builder.try_init();
}

#[cfg(test)]
mod tests;
