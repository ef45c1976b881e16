//! `cargo xtask`: set-up, build, demo, test and bench of btrfs-probe. Each task is a module; `--help` lists them.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a terminal program: its output is what it is for"
)]
mod build;
mod proc;
mod setup;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::{build::Profile, workspace::Workspace};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Set-up, build, demo, test and bench of btrfs-probe")]
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
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse().task) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<ExitCode> {
    let workspace = Workspace::find()?;
    match task {
        Task::Setup => {
            let tools = setup::run(&workspace)?;
            println!("ready: rustc {} of {}", tools.toolchain.release, tools.toolchain.name);
        }
        Task::Build { release: _, debug } => {
            let profile = if debug { Profile::Debug } else { Profile::Release };
            println!("{}", build::run(&workspace, profile)?.display());
        }
    }
    Ok(ExitCode::SUCCESS)
}
