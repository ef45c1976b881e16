//! Counts tests from the output of test binaries.
use std::fmt;

/// Marks a test that returned early because it could not run here.
const SKIPPED: &str = "SKIPPED: ";

/// Tests of one or more binaries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Ran and held.
    pub passed: u64,
    /// Ran and did not hold, or took its binary down.
    pub failed: u64,
    /// Marked `#[ignore]` and not asked for: not run, and not among those that passed.
    pub ignored: u64,
    /// Why tests were skipped, one reason a test.
    pub skipped: Vec<String>,
    /// Whether the test whose output is read now was already counted as skipped.
    current_skipped: bool,
}

impl Tally {
    /// Of something that failed before it could print a result.
    pub fn of_nothing_run() -> Self {
        Self { failed: 1, ..Self::default() }
    }

    /// Takes one line of a test binary's output.
    pub fn line(&mut self, line: &str) {
        if line.starts_with("test ") && line.contains(" ... ") {
            self.current_skipped = false;
        }
        if let Some((before, reason)) = line.split_once(SKIPPED)
            && !self.current_skipped
        {
            let test = before.strip_prefix("test ").and_then(|rest| rest.split(" ... ").next());
            let reason = reason.trim();
            self.skipped.push(test.map_or_else(|| reason.to_owned(), |test| format!("{test}: {reason}")));
            self.current_skipped = true;
        }
        if let Some(result) = line.strip_prefix("test result: ") {
            self.passed += count(result, "passed");
            self.failed += count(result, "failed");
            self.ignored += count(result, "ignored");
        }
    }

    /// Adds the tests of another one.
    pub fn add(&mut self, other: &Self) {
        let Self { passed, failed, ignored, skipped, current_skipped: _ } = other;
        self.passed += passed;
        self.failed += failed;
        self.ignored += ignored;
        self.skipped.extend_from_slice(skipped);
    }

    /// Whether no test ran, not even to skip itself.
    pub fn is_empty(&self) -> bool {
        self.passed == 0 && self.failed == 0
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A test that skips itself returns as if it had passed.
        let skipped = self.skipped.len() as u64;
        let passed = self.passed.saturating_sub(skipped);
        write!(f, "{passed} passed, {} failed, {} skipped", self.failed, skipped + self.ignored)
    }
}

fn count(result: &str, word: &str) -> u64 {
    let number = result.split([';', '.']).map(str::trim).find_map(|part| part.strip_suffix(word));
    number.and_then(|number| number.trim().parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(lines: &[&str]) -> Tally {
        let mut tally = Tally::default();
        for line in lines {
            tally.line(line);
        }
        tally
    }

    #[test]
    fn binaries_are_summed() {
        let tally = tally(&[
            "test a::b ... ok",
            "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s",
            "test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.20s",
        ]);
        assert_eq!(tally.to_string(), "15 passed, 2 failed, 1 skipped");
    }

    #[test]
    fn a_test_that_skips_itself_is_not_a_passed_one() {
        let tally = tally(&[
            "test live_quota ... SKIPPED: not root",
            "SKIPPED: not root, said again while cleaning up",
            "ok",
            "test live_enospc ... ",
            "SKIPPED: no mkfs.btrfs",
            "ok",
            "test live_sync ... ok",
            "test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s",
        ]);
        assert_eq!(tally.skipped, ["live_quota: not root", "no mkfs.btrfs"]);
        assert_eq!(tally.to_string(), "1 passed, 0 failed, 2 skipped");
    }

    /// `cargo test` calls a binary ok in which every test is ignored.
    #[test]
    fn ignored_tests_are_neither_passed_nor_run() {
        let tally = tally(&[
            "test memory_stays_within_its_budget ... ignored, needs root: run by cargo xtask test",
            "test result: ok. 0 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s",
        ]);
        assert_eq!(tally.to_string(), "0 passed, 0 failed, 1 skipped");
        assert!(tally.is_empty());
    }

    #[test]
    fn nothing_run_is_empty() {
        assert!(tally(&["test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured"]).is_empty());
        assert!(!tally(&["test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured"]).is_empty());
    }
}
