//! The line of the kernel's log that names where a transaction was aborted (`__btrfs_handle_fs_error()`, `fs/btrfs/messages.c`).
//!
//! `BTRFS: error (device loop0 state A) in btrfs_run_delayed_refs:2163: errno=-28 No space left`

/// Where a transaction was aborted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Abort<'a> {
    /// `sb->s_id`
    pub device: &'a str,
    /// Negative errno.
    pub error: i32,
    /// Function and line.
    pub place: &'a str,
}

/// `None` if the line is another one. Only lines of a filesystem in state A (aborted) count: `btrfs_handle_fs_error()` prints the
/// same line for errors without an abort.
pub(super) fn parse(line: &str) -> Option<Abort<'_>> {
    let rest = line.strip_prefix("BTRFS")?.trim_start_matches([':', ' ']).strip_prefix("error (device ")?;
    let (inside, rest) = rest.split_once(") in ")?;
    // 6.1 has a colon in between.
    let (device, state) = inside.split_once(" state ")?;
    let device = device.trim_end_matches(':');
    let (place, rest) = rest.split_once(": errno=")?;
    let error = rest.split_whitespace().next()?.parse().ok()?;
    state.contains('A').then_some(Abort { device, error, place })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_abort_names_function_and_line() {
        let line =
            "BTRFS: error (device loop0 state A) in btrfs_run_delayed_refs:2163: errno=-28 No space left\n";
        let abort = Abort { device: "loop0", error: -28, place: "btrfs_run_delayed_refs:2163" };
        assert_eq!(parse(line), Some(abort));
        let on_6_1 = line.replace("loop0 state", "loop0: state");
        assert_eq!(parse(&on_6_1), Some(abort));
        let later = "BTRFS error (device dm-0 state EA) in cleanup_transaction:2051: errno=-5 IO failure";
        assert_eq!(parse(later).map(|abort| abort.error), Some(-5));
        for other in [
            "BTRFS info (device loop0 state EA): forced readonly",
            "BTRFS: error (device loop0) in open_ctree:1: errno=-5 IO failure",
            "BTRFS error (device loop0 state EA) in",
            "",
        ] {
            assert_eq!(parse(other), None, "{other}");
        }
    }
}
