//! Exit statuses.
use std::process::ExitCode;

use probe_ledger::Verdict;

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    /// 0: no finding, nothing missed (or a subcommand that has no verdict did its work).
    Clean,
    /// 1: the tool failed.
    Failed,
    /// 2: what was typed makes no sense.
    Usage,
    /// 3: findings that count.
    Findings,
    /// 4: no finding, but something that could hide one was not seen, or nothing was followed.
    Inconclusive,
    /// The status of the command that was run.
    Command(u8),
}

/// An argument has correct syntax and no meaning: exit status 2.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(pub String);

impl ExitStatus {
    /// Status for a verdict.
    #[must_use]
    pub const fn of(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Clean => Self::Clean,
            Verdict::Findings => Self::Findings,
            Verdict::Inconclusive => Self::Inconclusive,
        }
    }

    /// Status for a verdict and the command that was run. Without a finding, the status of a failed command comes first: a
    /// script that puts `btrfs-probe run` in front of it still needs it.
    #[must_use]
    pub const fn after_command(verdict: Verdict, command: u8) -> Self {
        match (verdict, command) {
            (Verdict::Findings, _) => Self::Findings,
            (_, 0) => Self::of(verdict),
            (_, status) => Self::Command(status),
        }
    }

    /// The number.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Clean => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Findings => 3,
            Self::Inconclusive => 4,
            Self::Command(status) => status,
        }
    }
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        Self::from(status.code())
    }
}

/// Status of a child as a shell shows it: its own, or 128 and the number of the signal that ended it.
#[must_use]
pub fn command_status(status: std::process::ExitStatus) -> u8 {
    use std::os::unix::process::ExitStatusExt as _;
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(255);
    u8::try_from(code).unwrap_or(255)
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;

    #[test]
    fn findings_speak_before_the_command_and_the_command_before_doubt() {
        let after = |verdict, command| ExitStatus::after_command(verdict, command).code();
        assert_eq!(after(Verdict::Findings, 7), 3);
        assert_eq!(after(Verdict::Inconclusive, 7), 7);
        assert_eq!(after(Verdict::Clean, 7), 7);
        assert_eq!(after(Verdict::Inconclusive, 0), 4);
        assert_eq!(after(Verdict::Clean, 0), 0);
    }

    #[test]
    fn a_killed_command_has_the_status_of_a_shell() {
        assert_eq!(command_status(std::process::ExitStatus::from_raw(9)), 137);
        assert_eq!(command_status(std::process::ExitStatus::from_raw(3 << 8)), 3);
    }
}
