//! Whether tickets can be followed on this kernel.
use probe_common::offsets::{ABSENT, Offsets};

use crate::symbols::SymbolTable;

/// The function that grants tickets. It is not hooked: the stack of a change of `bytes_may_use` shows it.
const GRANTS: &str = "btrfs_try_granting_tickets";
/// Bytes of a `struct list_head`.
const LIST: u32 = 16;

/// Address and length of the function that grants tickets. `None` if it is not known, or if a ticket cannot be read: then no
/// ticket is followed.
#[must_use]
pub fn granting(offsets: &Offsets, symbols: &SymbolTable) -> Option<(u64, u64)> {
    let first = offsets.sinfo_priority_tickets;
    let together = first != ABSENT
        && offsets.sinfo_tickets == first + LIST
        && offsets.sinfo_reclaim_size == first + 2 * LIST;
    let readable = [
        offsets.ticket_bytes,
        offsets.ticket_error,
        offsets.ticket_steal,
        offsets.ticket_list,
        offsets.ticket_wait_head,
    ];
    if !together || readable.contains(&ABSENT) {
        return None;
    }
    symbols.extent(GRANTS)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that fails must fail")]
    use super::*;

    #[test]
    fn tickets_are_followed_only_where_all_is_known() {
        let text = b"ffffffffc0800000 T btrfs_try_granting_tickets\t[btrfs]\n\
            ffffffffc0800200 t __reserve_bytes\t[btrfs]\n";
        let symbols = SymbolTable::parse(text).unwrap();
        let mut offsets = Offsets { sinfo_priority_tickets: 176, sinfo_tickets: 192, ..Offsets::UNKNOWN };
        offsets.sinfo_reclaim_size = 208;
        assert_eq!(granting(&offsets, &symbols), None);
        (offsets.ticket_bytes, offsets.ticket_error, offsets.ticket_steal) = (0, 8, 12);
        (offsets.ticket_list, offsets.ticket_wait_head) = (16, 40);
        assert_eq!(granting(&offsets, &symbols), Some((0xffff_ffff_c080_0000, 0x200)));
        offsets.sinfo_reclaim_size = 216;
        assert_eq!(granting(&offsets, &symbols), None);
    }
}
