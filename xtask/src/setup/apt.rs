//! Packages of Debian and its derivatives, installed without a question and without removing anything.
use std::{
    path::Path,
    process::Command,
    sync::{Mutex, PoisonError},
};

use anyhow::Result;

use crate::proc;

const APT: &str = "/usr/bin/apt-get";

/// Whether packages can be installed here at all.
pub fn usable() -> bool {
    proc::is_root() && Path::new(APT).is_file()
}

/// Installs packages; refreshes the package lists once if they are unknown or outdated.
///
/// # Errors
/// If apt cannot install them, or only by removing others.
pub fn install(packages: &[&str]) -> Result<()> {
    // One at a time in this process; see `apt` for others.
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    println!("setup: apt-get install {}", packages.join(" "));
    if proc::quietly(&mut install_command(packages)).is_ok() {
        return Ok(());
    }
    proc::quietly(apt().arg("update"))?;
    proc::quietly(&mut install_command(packages))
}

fn install_command(packages: &[&str]) -> Command {
    let mut command = apt();
    command.args(["install", "-y", "--no-install-recommends", "--no-remove"]).args(packages);
    command
}

fn apt() -> Command {
    let mut command = Command::new(APT);
    // Another package run at the same time is waited for, not fought.
    command.env("DEBIAN_FRONTEND", "noninteractive").args(["-q", "-o", "DPkg::Lock::Timeout=180"]);
    command
}
