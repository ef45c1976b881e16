//! How a slot of an array is found and claimed.
use core::intrinsics::{AtomicOrdering, atomic_cxchg};

/// Takes a slot by writing `value` over `expected`: true if `expected` was there.
#[inline(always)]
pub fn claim(slot: *mut u64, expected: u64, value: u64) -> bool {
    // SAFETY: callers pass a field of a map value that stays.
    unsafe {
        atomic_cxchg::<u64, { AtomicOrdering::SeqCst }, { AtomicOrdering::SeqCst }>(slot, expected, value).1
    }
}

/// In place of a key: the cell was taken from an owner that is gone, and is being made ready for another. It is no valid
/// address and no thread id.
pub const BEING_TAKEN: u64 = u64::MAX;

/// Spreads the bits of an address or id (Fibonacci hashing); use the upper bits of the result.
#[inline(always)]
pub fn spread(key: u64) -> u64 {
    key.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}
