//! fallocate(2).
use std::io;
use std::os::unix::fs::FileExt;

use nix::fcntl::{FallocateFlags, fallocate};

use super::files::{noise, open_rw};
use super::{Ctx, MAX_FILE, OpOutcome};
use crate::rng::Rng;

/// Preallocates, punches or zeroes a range, aligned or not, and writes into it. This reserves data without delalloc, and a
/// write into preallocated extents gives back its reservation when the ordered extent completes. Never in `limited`.
pub(super) fn some_mode(ctx: &Ctx<'_>, rng: &mut Rng) -> io::Result<OpOutcome> {
    let file = open_rw(&ctx.target(rng)?)?;
    let punch = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
    let modes = [
        FallocateFlags::empty(),
        FallocateFlags::FALLOC_FL_KEEP_SIZE,
        punch,
        punch,
        FallocateFlags::FALLOC_FL_ZERO_RANGE,
        FallocateFlags::FALLOC_FL_ZERO_RANGE | FallocateFlags::FALLOC_FL_KEEP_SIZE,
    ];
    let data = noise(rng, 20_000);
    for _ in 0..rng.between(1, 6) {
        let mut offset = rng.below(MAX_FILE / 2);
        let mut length = rng.between(1, 1 << 20);
        if rng.chance(50) {
            offset &= !4095;
            length = length.next_multiple_of(4096);
        }
        fallocate(&file, *rng.pick(&modes), offset as i64, length as i64)?;
        if rng.chance(50) {
            file.write_all_at(&data, offset)?;
        }
    }
    Ok(OpOutcome::Done)
}
