//! Bugs made on purpose in guests of `cargo xtask vm`: what each tier sees of them, and what must stay silent.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail by panicking")]
mod support;

use support::fault::run::{self, Tier};

/// A test for each scenario and tier.
macro_rules! scenarios {
    ($($name:ident)*) => {
        mod functions {
            $(
                #[test]
                #[ignore = "needs a guest: run by cargo xtask test"]
                fn $name() { super::run::run(stringify!($name), super::Tier::Functions) }
            )*
        }
        mod tracepoints {
            $(
                #[test]
                #[ignore = "needs a guest: run by cargo xtask test"]
                fn $name() { super::run::run(stringify!($name), super::Tier::Tracepoints) }
            )*
        }
        const TESTS: &[&str] = &[$(stringify!($name)),*];
    };
}

scenarios! {
    release_extents_twice
    release_metadata_twice
    release_extents_forgotten
    release_metadata_forgotten
    reserve_never_released
    counted_without_event
    data_freed_twice
    data_never_freed
    transaction_never_released
    delayed_inode_never_released
    qgroup_data_never_freed
    failure_not_undone
    failure_undone_twice
    published_then_counters_undone
    published_then_released
    published_raced_then_counters_undone
    published_raced_then_released
    released_on_the_wrong_inode
    prealloc_kept_by_a_failed_write
    prealloc_freed_twice_by_a_failed_write
    prealloc_of_a_write_kept
    prealloc_kept_by_a_failed_transaction
    prealloc_of_a_delayed_inode_kept
    freed_data_stays_in_the_qgroup
    freed_data_leaves_the_qgroup_twice
    written_data_stays_in_the_qgroup
    pertrans_never_freed
    delayed_inode_keeps_its_bytes
    handle_keeps_its_bytes
    failed_growth_undone_twice
    direct_write_in_place_keeps_its_data
    direct_write_in_place_frees_its_data_twice
    data_written_in_place_is_never_freed
    failed_start_keeps_the_bytes_of_its_handle
    handle_gives_its_bytes_back_twice
    delayed_inode_gives_its_bytes_back_twice
    items_of_a_directory_keep_their_bytes
    evicted_inode_keeps_its_temporary_rsv
    failed_preallocation_keeps_its_extent
    failed_preallocation_frees_its_extent_twice
    release_takes_too_much_out_of_a_pool
    release_leaves_bytes_in_a_pool
    new_chunk_keeps_its_bytes
    commit_unpins_nothing
    finished_delayed_ref_keeps_its_bytes
    dropped_data_keeps_the_bytes_of_its_checksums
    unpinned_bytes_fill_the_global_reserve_uncounted
    ticket_granted_twice
    ticket_granted_more_than_it_asks_for
    ticket_granted_less_than_it_asks_for
    ticket_granted_and_then_failed
    ticket_failed_and_then_granted
    ticket_taken_off_its_list
    delays_everywhere
    forced_enospc
    forced_edquot
    memory_pressure
    aborted_transaction
    unmount_under_load
}

/// A scenario without a test would be a claim in the table that nobody checks.
#[test]
fn every_scenario_has_its_tests() {
    let names: Vec<_> = support::fault::table::all().map(|scenario| scenario.name).collect();
    assert_eq!(names, TESTS);
}

/// btrfs leaves and comes back with other addresses: runs before, across and after it find nothing.
#[test]
#[ignore = "needs a guest: run by cargo xtask test"]
fn module_reload() {
    if support::fault::guest() {
        support::fault::reload::run();
    }
}

/// generic/269 has more tasks wait for space than kretprobes have room for by themselves.
#[test]
#[ignore = "needs a guest: run by cargo xtask test"]
fn kretprobes_have_room_and_leave_nothing_behind() {
    if support::fault::guest() {
        support::fault::returns::run();
    }
}

/// What a developer gets who runs a suite on a kernel with a bug.
#[test]
#[ignore = "needs a guest: run by cargo xtask test"]
fn a_bug_beside_a_suite() {
    if support::fault::guest() {
        support::fault::suite::run();
    }
}

/// The processes below the tool.
#[test]
#[ignore = "needs a guest: run by cargo xtask test"]
fn worker() {
    support::fault::worker::run();
}
