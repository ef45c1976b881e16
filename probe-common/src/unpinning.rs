//! When extents of metadata may be on their way out of `bytes_pinned`.

/// The kernel unpins extents and fills up the global reserve under one lock, which takes far less than this many ns.
const UNPINNING: u64 = 100_000_000;
/// The same while the commit that unpins has not ended: a virtual processor can rest in between for as long as its host pleases.
const IN_COMMIT: u64 = 20 * UNPINNING;

/// Whether at `now` what was unpinned at `unpinned` may not have reached the global reserve yet; both in ns. `in_commit`: the commit that
/// unpinned has not ended. Times do not tell that: the clock can stand still for as long as a commit takes.
#[must_use]
pub const fn unpinning(now: u64, unpinned: u64, in_commit: bool) -> bool {
    // Each processor reads the clock once a jiffy, so the later of two times can be the smaller one.
    now.saturating_sub(unpinned) < if in_commit { IN_COMMIT } else { UNPINNING }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Else what the commit adds to the global reserve is an over-release of whoever takes a block out of it meanwhile.
    #[test]
    fn a_commit_whose_processor_rests_is_still_unpinning() {
        assert!(unpinning(1_500_000_000, 1_000_000_000, true));
        assert!(!unpinning(1_500_000_000, 1_000_000_000, false));
        assert!(unpinning(1_050_000_000, 1_000_000_000, false));
        assert!(!unpinning(9_000_000_000, 1_000_000_000, true));
    }

    // Else a block_rsv that another processor fills up by one block while it unpins is an over-release of `btrfs_block_rsv_migrate`.
    #[test]
    fn a_processor_that_read_the_clock_before_the_one_that_unpins_sees_it_unpin() {
        assert!(unpinning(1_000_000_000, 1_001_500_000, false));
        assert!(unpinning(1_000_000_000, 1_001_500_000, true));
        assert!(!unpinning(9_000_000_000, 0, false), "nothing was unpinned yet");
    }
}
