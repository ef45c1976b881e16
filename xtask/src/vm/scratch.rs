//! Folders for one run, below `target/vm`.
use std::{fs, path::Path, process};

use anyhow::{Context as _, Result};
use tempfile::TempDir;

const PREFIX: &str = "run-";

/// A folder that goes with the value. Those of runs that were killed, by Ctrl-C for one, are removed on the way.
///
/// # Errors
/// It cannot be made.
pub fn folder(vm: &Path) -> Result<TempDir> {
    for entry in fs::read_dir(vm).into_iter().flatten().flatten() {
        if owner(&entry.file_name().to_string_lossy())
            .is_some_and(|pid| !Path::new("/proc").join(pid).exists())
        {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    tempfile::Builder::new()
        .prefix(&format!("{PREFIX}{}-", process::id()))
        .tempdir_in(vm)
        .with_context(|| format!("cannot make a temporary folder in {}", vm.display()))
}

/// The process id in the name of such a folder.
fn owner(name: &str) -> Option<String> {
    let (pid, _) = name.strip_prefix(PREFIX)?.split_once('-')?;
    pid.bytes().all(|byte| byte.is_ascii_digit()).then(|| pid.to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::folder;
    use std::fs;

    #[test]
    fn what_a_killed_run_left_goes_and_the_living_stay() {
        let vm = tempfile::tempdir().unwrap();
        // No process id of Linux is that large.
        for name in ["run-99999999-a", "run-1-b", "6.1"] {
            fs::create_dir(vm.path().join(name)).unwrap();
        }
        let ours = folder(vm.path()).unwrap();
        let mut left: Vec<_> =
            fs::read_dir(vm.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        let mut expected = vec!["6.1".into(), "run-1-b".into(), ours.path().file_name().unwrap().to_owned()];
        expected.sort();
        assert_eq!(left, expected);
    }
}
