//! Who draws on a reserve, in few words: functions of a stack.

/// Functions that every block and every change of a block_rsv goes through.
const PAYS: [&str; 17] = [
    "btrfs_use_block_rsv",
    "btrfs_alloc_tree_block",
    "alloc_tree_block_no_bg_flush",
    "btrfs_reserve_extent",
    "find_free_extent",
    "__btrfs_cow_block",
    "btrfs_force_cow_block",
    "btrfs_cow_block",
    "btrfs_search_slot",
    "btrfs_insert_empty_items",
    "split_leaf",
    "split_node",
    "push_leaf_left",
    "push_leaf_right",
    "btrfs_block_rsv_migrate",
    "steal_from_global_rsv",
    "maybe_fail_all_tickets",
];
/// Functions around all that btrfs does.
const AROUND: [&str; 4] = ["process_one_work", "worker_thread", "kthread", "do_syscall_64"];
/// Most functions that are shown.
const MOST: usize = 3;

/// The functions for which it pays, innermost first; empty if there is no stack.
#[must_use]
pub fn pays(stack: &[&str]) -> String {
    let last = stack.iter().rposition(|name| PAYS.contains(name)).map_or(0, |at| at + 1);
    let inside = stack.iter().skip(last).take_while(|name| !AROUND.contains(name));
    let shown: Vec<&str> = inside.take(MOST).copied().collect();
    shown.join(" < ")
}

#[cfg(test)]
mod tests {
    use super::pays;

    #[test]
    fn a_draw_is_of_the_function_that_changes_the_tree() {
        let stack = [
            "btrfs_alloc_tree_block",
            "btrfs_force_cow_block",
            "btrfs_cow_block",
            "btrfs_search_slot",
            "btrfs_truncate_inode_items",
            "btrfs_evict_inode",
            "evict",
            "do_unlinkat",
        ];
        assert_eq!(pays(&stack), "btrfs_truncate_inode_items < btrfs_evict_inode < evict");
        let worker = [
            "steal_from_global_rsv",
            "maybe_fail_all_tickets",
            "btrfs_async_reclaim_metadata_space",
            "process_one_work",
        ];
        assert_eq!(pays(&worker), "btrfs_async_reclaim_metadata_space");
        assert_eq!(pays(&[]), "");
    }
}
