//! Runs mkfs.btrfs, the only external tool.
use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::error::{At, Error, Result};

/// Finds mkfs.btrfs in PATH, and in the sbin folders that may be missing in the PATH of an ordinary user or of sudo.
pub fn find() -> Result<PathBuf> {
    find_in(env::var_os("PATH").as_deref().unwrap_or_default())
}

fn find_in(path: &OsStr) -> Result<PathBuf> {
    env::split_paths(path)
        .chain(["/sbin", "/usr/sbin"].map(PathBuf::from))
        .map(|folder| folder.join("mkfs.btrfs"))
        .find(|candidate| candidate.is_file())
        .ok_or(Error::NoMkfs)
}

/// Runs `mkfs` with `args` on `device`.
pub(super) fn run(mkfs: &Path, args: &[String], device: &Path) -> Result<()> {
    let output = Command::new(mkfs)
        .args(args)
        .arg(device)
        .stdin(Stdio::null())
        // The message that matters is the last line, in English.
        .env("LC_ALL", "C")
        .output()
        .at("running", mkfs)?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let message = text.lines().rfind(|line| !line.trim().is_empty()).map_or_else(
        || output.status.to_string(),
        |line| line.trim().trim_start_matches("ERROR: ").to_owned(),
    );
    Err(Error::Mkfs { device: device.to_path_buf(), message })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
    use super::*;

    #[test]
    fn path_comes_before_sbin() {
        let folder = tempfile::tempdir().unwrap();
        let ours = folder.path().join("mkfs.btrfs");
        std::fs::write(&ours, "").unwrap();
        let path = env::join_paths([Path::new("/nonexistent"), folder.path()]).unwrap();
        assert_eq!(find_in(&path).unwrap(), ours);
    }

    #[test]
    fn a_failure_carries_the_last_line_without_its_prefix() {
        let folder = tempfile::tempdir().unwrap();
        let script = "echo 'note'; echo 'ERROR: no luck'; echo; exit 3";
        let args = ["-c".to_owned(), format!("({script}) >&2; exit 3")];
        let error = run(Path::new("/bin/sh"), &args, folder.path()).unwrap_err().to_string();
        assert!(error.ends_with(": no luck"), "{error}");
        let silent = run(Path::new("/bin/false"), &[], folder.path()).unwrap_err().to_string();
        assert!(silent.contains("exit status: 1"), "{silent}");
    }
}
