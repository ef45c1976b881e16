//! The cell of a type string of `btrfs_space_reservation`.

/// Number of cells; the kernel has about a dozen type strings.
pub const TYPE_CELLS: u32 = 256;

/// One type string. Written once.
#[repr(C)]
pub struct TypeCell {
    pub address: u64,
    pub class: u32,
    pub reserved: u32,
}
