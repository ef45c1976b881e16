//! What `check` left of a test in its folder of results.
use std::{
    fs::{self, File},
    io::{Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
    time::SystemTime,
};

use nix::libc;

/// Bytes at the end of `NNN.full` and `NNN.dmesg` that are searched.
const TAIL: u64 = 256 << 10;
/// What `_check_dmesg` of xfstests looks for. A log that is kept (`KEEP_DMESG`) has none of it if the test passed.
const ALARMS: [&str; 9] = [
    "kernel BUG at",
    "WARNING:",
    "Oops:",
    "possible recursive locking detected",
    "suspicious RCU usage",
    "possible circular locking dependency detected",
    "general protection fault:",
    "oom-kill",
    "UBSAN:",
];

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

/// Reads `folder` for the result of test `number`, which began at `began` and whose script ended with `status` (of
/// wait(2)); `None` while it runs. `over`: the suite has finished it.
///
/// As in the loop of `check`: no mark of a failure, and a status of zero, is a pass.
pub fn read_result(
    folder: Option<&Path>,
    number: &str,
    status: Option<u32>,
    began: SystemTime,
    over: bool,
) -> Option<TestResult> {
    let marks = folder.map(|folder| Marks { folder, number, began });
    if let Some(reason) = marks.and_then(|marks| marks.notrun()) {
        return Some(TestResult { word: "notrun", reason: Some(reason).filter(|line| !line.is_empty()) });
    }
    // The status of a script tells more than that its output differed.
    if let Some(status) = status.filter(|status| *status != 0) {
        return Some(TestResult::fail(ended(status)));
    }
    match marks.and_then(|marks| marks.failure(over)) {
        Some(reason) => Some(TestResult::fail(reason)),
        None => status.map(|_| TestResult { word: "pass", reason: None }),
    }
}

/// What a test and `check` leave in its folder.
#[derive(Clone, Copy, Debug)]
struct Marks<'a> {
    folder: &'a Path,
    number: &'a str,
    began: SystemTime,
}

impl Marks<'_> {
    fn file(self, suffix: &str) -> PathBuf {
        self.folder.join(format!("{}.{suffix}", self.number))
    }

    /// Whether the file is not from an earlier run.
    fn fresh(self, path: &Path) -> bool {
        fs::metadata(path).and_then(|meta| meta.modified()).is_ok_and(|modified| modified >= self.began)
    }

    /// The reason of a test that did not run.
    fn notrun(self) -> Option<String> {
        let text = fs::read_to_string(self.file("notrun")).ok()?;
        Some(text.lines().next().unwrap_or_default().to_owned())
    }

    fn failure(self, over: bool) -> Option<&'static str> {
        if self.file("out.bad").exists() {
            return Some("output mismatch");
        }
        let full = self.file("full");
        if self.fresh(&full) && tail(&full).contains("is inconsistent") {
            return Some("a filesystem is inconsistent");
        }
        // Made for every test, searched, and removed if nothing was found.
        let dmesg = self.file("dmesg");
        if over && self.fresh(&dmesg) {
            let alarm = |line: &str| {
                ALARMS.iter().any(|alarm| line.contains(alarm))
                    || is_bug(line)
                    || line.split_once("BUG ").is_some_and(|(_, rest)| rest.contains(" remaining"))
            };
            if tail(&dmesg).lines().any(alarm) {
                return Some("something found in dmesg");
            }
        }
        self.kept()
    }

    /// Files with longer names: `NNN.core.HASH`, and `NNN.out.bad.rerunN`. With `-L` a test that failed runs again, which
    /// removes the mark at once; `check` makes that copy of it before.
    fn kept(self) -> Option<&'static str> {
        let names = [("core.", "dumped core"), ("out.bad.rerun", "output mismatch")];
        let names = names.map(|(name, reason)| (format!("{}.{name}", self.number), reason));
        fs::read_dir(self.folder).ok()?.flatten().find_map(|entry| {
            let name = entry.file_name();
            let name = name.to_str()?;
            let (_, reason) = names.iter().find(|(begin, _)| name.starts_with(begin.as_str()))?;
            self.fresh(&entry.path()).then_some(*reason)
        })
    }
}

/// `\bBUG:`, and not `DEBUG:`.
fn is_bug(line: &str) -> bool {
    let word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    line.match_indices("BUG:").any(|(at, _)| !line[..at].ends_with(word))
}

/// A status of wait(2) in words.
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
        read_result(Some(folder.path()), "269", status, SystemTime::UNIX_EPOCH, true)
    }

    fn pass() -> Option<TestResult> {
        Some(TestResult { word: "pass", reason: None })
    }

    #[test]
    fn marks_in_the_folder_go_before_the_status() {
        assert_eq!(result(&[], Some(0)), pass());
        assert_eq!(result(&[], None), None);
        assert_eq!(result(&[("269.out.bad", "")], Some(0)), Some(TestResult::fail("output mismatch")));
        let dmesg = [("269.dmesg", "run fstests generic/269\nWARNING: CPU: 0\n")];
        assert_eq!(result(&dmesg, Some(0)), Some(TestResult::fail("something found in dmesg")));
        assert_eq!(result(&[("269.core.1f2e", "")], Some(0)), Some(TestResult::fail("dumped core")));
        let full = [("269.full", "_check_btrfs_filesystem: filesystem on /dev/loop31 is inconsistent\n")];
        assert_eq!(result(&full, Some(0)), Some(TestResult::fail("a filesystem is inconsistent")));
        let notrun = Some(TestResult { word: "notrun", reason: Some("needs dm".to_owned()) });
        assert_eq!(result(&[("269.notrun", "needs dm\n")], Some(0)), notrun);
        for other in ["270.out.bad", "2690.core.1f2e"] {
            assert_eq!(result(&[(other, "")], Some(0)), pass(), "{other}");
        }
    }

    /// `KEEP_DMESG=yes`
    #[test]
    fn a_log_that_is_kept_of_a_test_that_passed_is_no_failure() {
        assert_eq!(result(&[("269.dmesg", "BTRFS info: first mount\nDEBUG: nothing\n")], Some(0)), pass());
        let bug = result(&[("269.dmesg", "BTRFS info: first mount\nBUG: sleeping function\n")], Some(0));
        assert_eq!(bug, Some(TestResult::fail("something found in dmesg")));
    }

    /// `check -L`: the next run begins within milliseconds.
    #[test]
    fn a_mark_that_went_at_once_is_found_by_its_copy() {
        let mismatch = Some(TestResult::fail("output mismatch"));
        assert_eq!(result(&[("269.out.bad.rerun0", "")], Some(0)), mismatch);
    }

    #[test]
    fn how_a_script_was_killed_says_more_than_its_output() {
        let killed = Some(TestResult::fail("killed by signal 9"));
        assert_eq!(result(&[("269.out.bad", "")], Some(9)), killed);
    }

    #[test]
    fn a_status_says_how_the_script_ended() {
        assert_eq!(result(&[], Some(1 << 8)), Some(TestResult::fail("exit status 1")));
        assert_eq!(result(&[], Some(9)), Some(TestResult::fail("killed by signal 9")));
    }

    #[test]
    fn the_log_of_a_test_is_there_for_a_moment_while_it_is_searched() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("269.dmesg"), "Oops: 0\n").unwrap();
        let result = read_result(Some(folder.path()), "269", Some(0), SystemTime::UNIX_EPOCH, false);
        assert_eq!(result, pass());
    }

    #[test]
    fn what_an_earlier_run_left_does_not_count() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["269.dmesg", "269.core.1", "269.out.bad.rerun0"] {
            fs::write(folder.path().join(name), "Oops: 0\n").unwrap();
        }
        let later = SystemTime::now() + std::time::Duration::from_secs(60);
        let result = read_result(Some(folder.path()), "269", Some(0), later, true);
        assert_eq!(result, pass());
    }
}
