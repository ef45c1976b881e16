//! Where a thread is, in few words: functions of its stack that say what it waits for.

/// Functions that call what a worker does to get space, innermost first.
const OF_FLUSH: [&str; 8] = [
    "flush_space",
    "priority_reclaim_metadata_space",
    "priority_reclaim_data_space",
    "do_async_reclaim_metadata_space",
    "do_async_reclaim_data_space",
    "btrfs_async_reclaim_metadata_space",
    "btrfs_async_reclaim_data_space",
    "btrfs_preempt_reclaim_metadata_space",
];
/// Functions in which a task waits for its ticket, innermost first.
const OF_TICKET: [&str; 7] = [
    "wait_reserve_ticket",
    "priority_reclaim_metadata_space",
    "priority_reclaim_data_space",
    "handle_reserve_ticket",
    "__reserve_bytes",
    "reserve_bytes",
    "btrfs_reserve_metadata_bytes",
];
/// The scheduler, which is in every stack of a thread that sleeps.
const SLEEP: [&str; 9] = [
    "__schedule",
    "schedule",
    "io_schedule",
    "schedule_timeout",
    "io_schedule_timeout",
    "__wait_for_common",
    "wait_for_completion",
    "preempt_schedule_common",
    "__cond_resched",
];
/// Most functions that are shown.
const MOST: usize = 4;

/// What a worker does: from the call that reclaims to the place where it waits.
#[must_use]
pub fn reclaims(stack: &[String]) -> String {
    let end = OF_FLUSH.iter().find_map(|name| stack.iter().position(|of| of == name)).unwrap_or(stack.len());
    let inner: Vec<&str> =
        stack.iter().take(end).map(String::as_str).filter(|name| !SLEEP.contains(name)).collect();
    let mut shown: Vec<&str> = inner.iter().rev().copied().take(MOST).collect();
    if let Some(innermost) = inner.first().filter(|_| inner.len() > MOST) {
        shown.extend(["...", innermost]);
    }
    shown.join(" > ")
}

/// Who made a reservation: the callers of the functions in which its task waits.
#[must_use]
pub fn reserves(stack: &[String]) -> String {
    let inside = OF_TICKET.iter().filter_map(|name| stack.iter().position(|of| of == name)).max();
    let callers = inside.map_or(0, |at| at + 1);
    let shown: Vec<&str> = stack
        .iter()
        .skip(callers)
        .map(String::as_str)
        .filter(|name| inside.is_some() || !SLEEP.contains(name))
        .take(MOST)
        .collect();
    shown.join(" < ")
}

/// A length of time with the digits that matter, in ms at least: `0.3 ms`, `12 ms`, `5.2 s`, `3 min 20 s`.
#[must_use]
pub fn length(ns: u64) -> String {
    match ns {
        0..10_000_000 => format!("{}.{} ms", ns / 1_000_000, ns / 100_000 % 10),
        10_000_000..1_000_000_000 => format!("{} ms", ns / 1_000_000),
        1_000_000_000..60_000_000_000 => format!("{}.{} s", ns / 1_000_000_000, ns / 100_000_000 % 10),
        _ => super::duration(ns),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stack(names: &str) -> Vec<String> {
        names.split(' ').map(ToOwned::to_owned).collect()
    }

    #[test]
    fn a_worker_is_where_its_flush_waits() {
        let commit = stack(
            "io_schedule folio_wait_bit_common folio_wait_writeback __filemap_fdatawait_range \
             btrfs_wait_tree_block_writeback btrfs_commit_transaction flush_space \
             btrfs_async_reclaim_data_space process_one_work",
        );
        assert_eq!(
            reclaims(&commit),
            "btrfs_commit_transaction > btrfs_wait_tree_block_writeback > __filemap_fdatawait_range > \
             folio_wait_writeback > ... > folio_wait_bit_common"
        );
        let inlined = stack("schedule shrink_delalloc btrfs_async_reclaim_data_space process_one_work");
        assert_eq!(reclaims(&inlined), "shrink_delalloc");
        assert_eq!(reclaims(&[]), "");
    }

    #[test]
    fn a_reservation_is_of_its_callers() {
        let write = stack(
            "handle_reserve_ticket reserve_bytes btrfs_reserve_data_bytes btrfs_check_data_free_space \
             btrfs_buffered_write vfs_write ksys_write do_syscall_64",
        );
        assert_eq!(
            reserves(&write),
            "btrfs_reserve_data_bytes < btrfs_check_data_free_space < btrfs_buffered_write < vfs_write"
        );
        assert_eq!(reserves(&stack("schedule some_function")), "some_function");
        let evict = stack(
            "schedule btrfs_start_delalloc_roots flush_space priority_reclaim_metadata_space __reserve_bytes \
             btrfs_reserve_metadata_bytes btrfs_block_rsv_refill evict_refill_and_join",
        );
        assert_eq!(reserves(&evict), "btrfs_block_rsv_refill < evict_refill_and_join");
        assert_eq!(reclaims(&evict), "btrfs_start_delalloc_roots");
    }

    #[test]
    fn lengths_have_the_digits_that_matter() {
        let cases = [
            (40_000, "0.0 ms"),
            (312_000, "0.3 ms"),
            (12_345_678, "12 ms"),
            (5_250_000_000, "5.2 s"),
            (200_000_000_000, "3 min 20 s"),
        ];
        assert_eq!(cases.map(|(ns, _)| length(ns)), cases.map(|(_, text)| text));
    }
}
