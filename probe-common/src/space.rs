//! Facts about space_infos that both sides use.

/// `BTRFS_BLOCK_GROUP_DATA` in `space_info->flags`.
pub const BLOCK_GROUP_DATA: u64 = 1;
/// `BTRFS_BLOCK_GROUP_SYSTEM`
pub const BLOCK_GROUP_SYSTEM: u64 = 1 << 1;
/// `BTRFS_BLOCK_GROUP_METADATA`
pub const BLOCK_GROUP_METADATA: u64 = 1 << 2;
/// `BTRFS_BLOCK_GROUP_TYPE_MASK`
pub const BLOCK_GROUP_TYPE_MASK: u64 = BLOCK_GROUP_DATA | BLOCK_GROUP_SYSTEM | BLOCK_GROUP_METADATA;

/// True for a size that `btrfs_delalloc_reserve_metadata` asks for: `(extents + csum leaves) * I + M` bytes, with `M = 8 *
/// nodesize` (`btrfs_calc_metadata_size(1)`) and `I = 2 * M` (`btrfs_calc_insert_metadata_size(1)`).
///
/// Such a size is an odd multiple of `M`, at least three. Single tree blocks, transactions (even multiples) and delayed
/// inodes (`M`) never ask for that. False while the nodesize is not known.
#[inline(always)]
#[must_use]
pub const fn is_delalloc_request(bytes: u64, nodesize: u64) -> bool {
    let metadata = nodesize * 8;
    metadata != 0 && bytes >= 3 * metadata && bytes % (2 * metadata) == metadata
}

#[cfg(test)]
mod tests {
    use super::is_delalloc_request;

    #[test]
    fn a_delalloc_request_is_an_odd_multiple() {
        let (node, m) = (16384, 8 * 16384);
        let requests: [u64; 7] = [0, node, m, 2 * m, 3 * m, 4 * m, 5 * m];
        let are = requests.map(|bytes| is_delalloc_request(bytes, node));
        assert_eq!(are, [false, false, false, false, true, false, true]);
        assert!(!is_delalloc_request(3 * m + 1, node) && !is_delalloc_request(3 * m, 0));
    }
}
