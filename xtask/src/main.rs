//! `cargo xtask`: set-up, build, demo, test and bench of btrfs-probe. Each task is a module; `--help` lists them.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a terminal program: its output is what it is for"
)]
mod bench;
mod broken;
mod build;
mod demo;
mod dist;
mod hunt;
mod machine;
mod proc;
mod setup;
mod soak;
mod test;
mod tidy;
mod vm;
mod workspace;

use std::{ffi::OsString, process::ExitCode};

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::{build::Profile, machine::Machine, test::Step, workspace::Workspace};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Set-up, build, demo, test, bench, soak and guests of btrfs-probe")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Find or install what the build of the kernel side needs
    Setup,
    /// Build target/.../btrfs-probe: one static binary with the kernel side inside
    Build {
        /// Optimised (the default)
        #[arg(long)]
        release: bool,
        /// Not optimised, quick to build
        #[arg(long, conflicts_with = "release")]
        debug: bool,
        /// For this machine instead of the one that builds
        #[arg(long, value_enum)]
        arch: Option<Machine>,
    },
    /// Build, and run `btrfs-probe demo` with these arguments
    Demo {
        /// Passed on
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Check everything; the last line says how many tests passed
    Test {
        /// Only these steps, and what they need
        #[arg(long, value_delimiter = ',')]
        only: Vec<Step>,
    },
    /// Boot a Debian kernel in QEMU and run a command in it
    Vm(vm::Options),
    /// Run random loads under the tool for some time; every round has to be clean
    Soak(soak::Options),
    /// Run btrfs with bugs compiled in, one after the other, and write a table of what the tool says
    Broken(broken::Options),
    /// Let steps of an unmodified kernel fail, one call at a time, and look whether the books still balance
    Hunt(hunt::Options),
    /// Make what is given to others, in target/dist: tarball, .deb, .rpm, list of parts, checksums
    Dist(dist::Options),
    /// Check the rules of this repository that no compiler knows
    Tidy,
    /// Measure what watching costs, side by side with the peers
    Bench(bench::Options),
    /// Run one workload of the bench and print nanoseconds an operation
    #[command(hide = true)]
    Workload(bench::WorkloadOptions),
}

fn main() -> ExitCode {
    if let Some(ended) = build::called_as_compiler() {
        return ended;
    }
    match run(Arguments::parse().task) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<ExitCode> {
    let task = match task {
        // These run in guests too, which have no checkout.
        Task::Bench(options) => return bench::run(&options).map(|()| ExitCode::SUCCESS),
        Task::Workload(options) => {
            println!("{:.1}", bench::run_workload(&options)?);
            return Ok(ExitCode::SUCCESS);
        }
        task => task,
    };
    let workspace = Workspace::find()?;
    match task {
        Task::Setup => {
            let tools = setup::run(&workspace)?;
            println!("ready: rustc {} of {}", tools.toolchain.release, tools.toolchain.name);
        }
        Task::Build { release: _, debug, arch } => {
            let profile = if debug { Profile::Debug } else { Profile::Release };
            let machine = arch.map_or_else(Machine::here, Ok)?;
            println!("{}", build::run_for(&workspace, profile, machine)?.display());
        }
        Task::Demo { arguments } => return demo::run(&workspace, &arguments).map(ExitCode::from),
        Task::Test { only } => {
            // No message here: the count of tests has to stay the last line.
            return Ok(if test::run(&workspace, &only) { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        Task::Vm(options) => return vm::run(&workspace, &options).map(ExitCode::from),
        Task::Soak(options) => soak::run(&workspace, &options)?,
        Task::Broken(options) => broken::run(&workspace, &options)?,
        Task::Hunt(options) => hunt::run(&workspace, &options)?,
        Task::Dist(options) => dist::run(&workspace, &options)?,
        Task::Tidy => tidy::run(&workspace)?,
        Task::Bench(_) | Task::Workload(_) => {}
    }
    Ok(ExitCode::SUCCESS)
}
