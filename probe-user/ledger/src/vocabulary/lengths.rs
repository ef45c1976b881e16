//! Lengths and counts as the kernel computes them.

/// `BTRFS_MAX_EXTENT_SIZE`; zoned filesystems have less.
const MAX_EXTENT: u64 = 128 << 20;

/// `count_max_extents`, for a filesystem that is not zoned.
pub(crate) const fn extents(bytes: u64) -> i64 {
    bytes.div_ceil(MAX_EXTENT) as i64
}

/// `ALIGN(bytes, sectorsize)`
pub(crate) const fn align(bytes: u64, sector: u64) -> u64 {
    bytes.saturating_add(sector - 1) / sector * sector
}

/// `round_up(start + len) - round_down(start)`
pub(crate) const fn range(start: u64, len: u64, sector: u64) -> u64 {
    align(start.saturating_add(len), sector) - start / sector * sector
}

#[cfg(test)]
mod tests {
    use super::{align, extents, range};

    #[test]
    fn lengths_are_those_of_the_kernel() {
        assert_eq!([1, 128 << 20, (128 << 20) + 1, 0].map(extents), [1, 1, 2, 0]);
        assert_eq!([0, 1, 4096, 4097].map(|bytes| align(bytes, 4096)), [0, 4096, 4096, 8192]);
        assert_eq!((range(4095, 2, 4096), range(0, 4096, 4096), range(1, 0, 4096)), (8192, 4096, 4096));
    }
}
