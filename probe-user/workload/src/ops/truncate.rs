//! Truncate.
use std::io;
use std::os::unix::fs::FileExt;

use super::files::{noise, open_rw};
use super::{Ctx, MAX_FILE, OpOutcome};
use crate::rng::Rng;

/// Shortens and extends a file with dirty pages. Delalloc beyond the new end is released unwritten, and an unaligned end
/// reserves one block (`btrfs_truncate_block`).
pub(super) fn up_and_down(ctx: &Ctx<'_>, rng: &mut Rng) -> io::Result<OpOutcome> {
    let file = open_rw(&ctx.target(rng)?)?;
    let data = noise(rng, 60_000);
    for _ in 0..rng.between(1, 6) {
        file.write_all_at(&data, rng.below(MAX_FILE / 4))?;
        let mut size = rng.below(MAX_FILE / 4);
        if rng.chance(30) {
            size &= !4095;
        }
        file.set_len(if rng.chance(10) { 0 } else { size })?;
    }
    Ok(OpOutcome::Done)
}
