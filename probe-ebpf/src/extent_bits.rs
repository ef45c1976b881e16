//! Bits of `struct extent_state`, and of the calls that set and clear them: `fs/btrfs/extent-io-tree.h`. They are macros in 6.1 and enumerators
//! since 6.2, which have moved several times.
use crate::globals::{ABSENT, off};

macro_rules! bits {
    ($($(#[$doc:meta])* $name:ident = $bit_of_6_1:literal;)*) => {
        $(
            $(#[$doc])*
            #[inline(always)]
            pub fn $name() -> u32 {
                if off!($name) == ABSENT { 1 << $bit_of_6_1 } else { off!($name) as u32 }
            }
        )*
    };
}

bits! {
    /// The range is dirty.
    extent_delalloc = 4;
    /// Its metadata is freed with it.
    extent_clear_meta_resv = 8;
    /// Its data was not reserved.
    extent_noreserve = 11;
    /// Its data is reserved in the qgroup.
    extent_qgroup_reserved = 12;
    /// Its data is freed with it.
    extent_clear_data_resv = 13;
}

/// `bits` of a clearing as records have them: bits 8 and 9 for `EXTENT_CLEAR_META_RESV`, bit 13 for `EXTENT_CLEAR_DATA_RESV`, on all kernels.
#[inline(always)]
pub fn recorded(bits: u32) -> u64 {
    let metadata = if bits & extent_clear_meta_resv() != 0 { 3 << 8 } else { 0 };
    let data = if bits & extent_clear_data_resv() != 0 { 1 << 13 } else { 0 };
    u64::from(bits & !(3 << 8 | 1 << 13) | metadata | data)
}
