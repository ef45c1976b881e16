//! Type strings of `btrfs_space_reservation`: classified once per address of the literal.
use aya_ebpf::helpers::bpf_probe_read_kernel_str_bytes;

use super::slot::{claim, spread};
use crate::{diagnose, layout::types::TYPE_CELLS, maps::TYPES};

const PROBES: u32 = 4;

/// What the books do with a type.
#[repr(u32)]
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum TypeClass {
    /// Not a balance of anything (`space_info`, `pinned`, `zone_unusable`).
    Ignored = 1,
    /// `delalloc`
    Delalloc = 2,
    /// `transaction`
    Transaction = 3,
    /// `local_delayed_refs_rsv`
    LocalDelayedRefs = 4,
    /// `delayed_item`
    DelayedItem = 5,
    /// `delayed_inode`
    DelayedInode = 6,
    /// `space_info:enospc`
    Enospc = 7,
    /// Not known to this version.
    Unknown = 8,
    /// `delayed_refs_rsv`
    DelayedRefs = 9,
}

/// Class of the type string at `address`. Takes a few instructions, except for the first time.
#[inline(always)]
pub fn classify(address: u64) -> TypeClass {
    let hash = (spread(address) >> 56) as u32;
    for probe in 0..PROBES {
        let Some(cell) = TYPES.get_ptr_mut((hash + probe) & (TYPE_CELLS - 1)) else { break };
        // SAFETY: an array entry stays; `class` is written right after the claim, and 0 until then.
        unsafe {
            if (*cell).address == address && (*cell).class != 0 {
                return class_of((*cell).class);
            }
            if (*cell).address == 0 {
                break;
            }
        }
    }
    learn(address, hash)
}

#[inline(always)]
fn class_of(number: u32) -> TypeClass {
    match number {
        1 => TypeClass::Ignored,
        2 => TypeClass::Delalloc,
        3 => TypeClass::Transaction,
        4 => TypeClass::LocalDelayedRefs,
        5 => TypeClass::DelayedItem,
        6 => TypeClass::DelayedInode,
        7 => TypeClass::Enospc,
        9 => TypeClass::DelayedRefs,
        _ => TypeClass::Unknown,
    }
}

#[inline(never)]
fn learn(address: u64, hash: u32) -> TypeClass {
    let mut text = [0u8; 24];
    // SAFETY: the helper checks the address.
    if unsafe { bpf_probe_read_kernel_str_bytes(address as *const u8, &mut text) }.is_err() {
        return TypeClass::Unknown;
    }
    let word = |at: usize| {
        u64::from_le_bytes([
            text[at],
            text[at + 1],
            text[at + 2],
            text[at + 3],
            text[at + 4],
            text[at + 5],
            text[at + 6],
            text[at + 7],
        ])
    };
    let class = match (&word(0).to_le_bytes(), &word(8).to_le_bytes()) {
        (b"delalloc", b"\0\0\0\0\0\0\0\0") => TypeClass::Delalloc,
        (b"transact", b"ion\0\0\0\0\0") => TypeClass::Transaction,
        (b"local_de", b"layed_re") => TypeClass::LocalDelayedRefs,
        (b"delayed_", b"item\0\0\0\0") => TypeClass::DelayedItem,
        (b"delayed_", b"inode\0\0\0") => TypeClass::DelayedInode,
        (b"space_in", b"fo:enosp") => TypeClass::Enospc,
        (b"space_in", b"fo\0\0\0\0\0\0") | (b"pinned\0\0", _) | (b"zone_unu", b"sable\0\0\0") => {
            TypeClass::Ignored
        }
        (b"delayed_", b"refs_rsv") => TypeClass::DelayedRefs,
        _ => TypeClass::Unknown,
    };
    for probe in 0..PROBES {
        let Some(cell) = TYPES.get_ptr_mut((hash + probe) & (TYPE_CELLS - 1)) else { break };
        // SAFETY: an array entry stays; the compare-and-swap decides who writes.
        unsafe {
            if claim(&raw mut (*cell).address, 0, address) {
                (*cell).class = class as u32;
                if class == TypeClass::Unknown {
                    diagnose::type_unknown(address);
                }
                break;
            }
        }
    }
    class
}
