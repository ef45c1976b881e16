//! What `check` left of a test in its folder of results.
use std::{
    fs::{self, File},
    io::{Read as _, Seek as _, SeekFrom},
    path::Path,
    time::SystemTime,
};

use nix::libc;

/// Bytes at the end of `NNN.full` that are searched.
const TAIL: u64 = 256 << 10;

/// The suite's result of a test, as far as it shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestResult {
    /// `pass`, `fail` or `notrun`.
    pub word: &'static str,
    /// Why, if it did not pass.
    pub reason: Option<String>,
}

impl TestResult {
    fn fail(reason: impl Into<String>) -> Self {
        Self { word: "fail", reason: Some(reason.into()) }
    }
}

/// Looks into `folder` for what is known of test `number`, which began at `began` and whose script ended with `status`
/// (of wait(2)); `None` while it runs. `over`: the suite has done with it.
///
/// As in the loop of `check`: no mark of a failure, and a status of zero, is a pass.
pub fn look(
    folder: Option<&Path>,
    number: &str,
    status: Option<u32>,
    began: SystemTime,
    over: bool,
) -> Option<TestResult> {
    if let Some(folder) = folder {
        let file = |suffix: &str| folder.join(format!("{number}.{suffix}"));
        if let Ok(text) = fs::read_to_string(file("notrun")) {
            let reason = text.lines().next().map(str::to_owned).filter(|line| !line.is_empty());
            return Some(TestResult { word: "notrun", reason });
        }
        if file("out.bad").exists() {
            return Some(TestResult::fail("output mismatch"));
        }
        let fresh = |path: &Path| {
            fs::metadata(path).and_then(|meta| meta.modified()).is_ok_and(|modified| modified >= began)
        };
        // Made for every test, searched, and removed if it says nothing.
        if over && fresh(&file("dmesg")) {
            return Some(TestResult::fail("something found in dmesg"));
        }
        if fresh(&file("full")) && tail(&file("full")).contains("is inconsistent") {
            return Some(TestResult::fail("a filesystem is inconsistent"));
        }
    }
    match status? {
        0 => Some(TestResult { word: "pass", reason: None }),
        status => Some(TestResult::fail(ended(status))),
    }
}

/// How a status of wait(2) reads.
fn ended(status: u32) -> String {
    let status = status.cast_signed();
    if libc::WIFSIGNALED(status) {
        format!("killed by signal {}", libc::WTERMSIG(status))
    } else {
        format!("exit status {}", libc::WEXITSTATUS(status))
    }
}

fn tail(path: &Path) -> String {
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
        let mut bytes = Vec::new();
        file.take(TAIL).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    String::from_utf8_lossy(&read().unwrap_or_default()).into_owned()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn result(files: &[(&str, &str)], status: Option<u32>) -> Option<TestResult> {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        look(Some(folder.path()), "269", status, SystemTime::UNIX_EPOCH, true)
    }

    #[test]
    fn marks_in_the_folder_go_before_the_status() {
        assert_eq!(result(&[], Some(0)), Some(TestResult { word: "pass", reason: None }));
        assert_eq!(result(&[], None), None);
        assert_eq!(result(&[("269.out.bad", "")], Some(0)), Some(TestResult::fail("output mismatch")));
        assert_eq!(result(&[("269.dmesg", "")], Some(0)), Some(TestResult::fail("something found in dmesg")));
        let full = [("269.full", "_check_btrfs_filesystem: filesystem on /dev/loop31 is inconsistent\n")];
        assert_eq!(result(&full, Some(0)), Some(TestResult::fail("a filesystem is inconsistent")));
        let notrun = Some(TestResult { word: "notrun", reason: Some("needs dm".to_owned()) });
        assert_eq!(result(&[("269.notrun", "needs dm\n")], Some(0)), notrun);
        assert_eq!(result(&[("270.out.bad", "")], Some(0)), Some(TestResult { word: "pass", reason: None }));
    }

    #[test]
    fn a_status_says_how_the_script_ended() {
        assert_eq!(result(&[], Some(1 << 8)), Some(TestResult::fail("exit status 1")));
        assert_eq!(result(&[], Some(9)), Some(TestResult::fail("killed by signal 9")));
    }

    #[test]
    fn the_log_of_a_test_is_there_for_a_moment_while_it_is_searched() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("269.dmesg"), "").unwrap();
        let result = look(Some(folder.path()), "269", Some(0), SystemTime::UNIX_EPOCH, false);
        assert_eq!(result, Some(TestResult { word: "pass", reason: None }));
    }

    #[test]
    fn what_an_earlier_run_left_does_not_count() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("269.dmesg"), "").unwrap();
        let later = SystemTime::now() + std::time::Duration::from_secs(60);
        let result = look(Some(folder.path()), "269", Some(0), later, true);
        assert_eq!(result, Some(TestResult { word: "pass", reason: None }));
    }
}
