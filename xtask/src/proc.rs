//! Runs other programs: quiet when they succeed, with the end of their output when they fail.
use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Output, Stdio},
};

use anyhow::{Context as _, Result, bail};

/// Lines of a failed program's output that are shown.
const LAST_LINES: usize = 30;

/// Takes the variables that `cargo run` set for this package out of a command's environment.
///
/// Else build scripts of the command would see the identity of `xtask`, and programs would load libraries
/// from the folders of the toolchain that happened to start us.
pub fn forget_outer_package(command: &mut Command) {
    for (key, _) in env::vars_os() {
        let Some(name) = key.to_str() else { continue };
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") || name == "LD_LIBRARY_PATH"
        {
            command.env_remove(name);
        }
    }
}

fn shown(command: &Command) -> String {
    let mut text = command.get_program().to_string_lossy().into_owned();
    for argument in command.get_args() {
        text.push(' ');
        text.push_str(&argument.to_string_lossy());
    }
    text
}

fn capture(command: &mut Command) -> Result<Output> {
    command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run `{}`", command.get_program().to_string_lossy()))
}

/// What a program prints; an error with its last words if it fails.
///
/// # Errors
/// If it cannot be run or fails.
pub fn stdout_of(command: &mut Command) -> Result<String> {
    let output = capture(command)?;
    if !output.status.success() {
        bail!("`{}` failed ({}):\n{}", shown(command), output.status, last_words(&output));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs a program whose output matters only if it fails.
///
/// # Errors
/// If it cannot be run or fails.
pub fn quietly(command: &mut Command) -> Result<()> {
    stdout_of(command).map(drop)
}

/// Runs a program whose output goes to the terminal, and tells how it ended.
///
/// # Errors
/// If it cannot be run.
pub fn aloud(command: &mut Command) -> Result<ExitStatus> {
    command.status().with_context(|| format!("cannot run `{}`", command.get_program().to_string_lossy()))
}

/// Exit code as a shell would give it: 128 and the signal's number if a signal ended the program.
#[must_use]
pub fn exit_code(status: ExitStatus) -> u8 {
    use std::os::unix::process::ExitStatusExt as _;
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    u8::try_from(code).unwrap_or(u8::MAX)
}

fn last_words(output: &Output) -> String {
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(LAST_LINES)..].join("\n")
}

/// Finds a program on `PATH`, and in the folders of system tools that a plain user's `PATH` leaves out.
#[must_use]
pub fn which(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|file| is_program(file))
}

fn is_program(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    file.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// Whether we have root's user id.
#[must_use]
pub fn is_root() -> bool {
    nix::unistd::Uid::effective().is_root()
}
