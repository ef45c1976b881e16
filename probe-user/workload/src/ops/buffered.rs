//! Buffered overwrites.
use std::io;
use std::os::unix::fs::FileExt;

use super::files::{noise, open_rw};
use super::{Ctx, MAX_FILE, OpOutcome};
use crate::rng::Rng;

/// Writes of one size in a row, aligned or not, to one file, in most cases a shared one. Outstanding extents are split and
/// merged, and several writers use one inode's block_rsv.
pub(super) fn overwrite(ctx: &Ctx<'_>, rng: &mut Rng) -> io::Result<OpOutcome> {
    let file = open_rw(&ctx.target(rng)?)?;
    let length = *rng.pick(&[512, 4096, 4096, 4096, 16384, 65536, 300_000]);
    let unaligned = rng.chance(25);
    let data = noise(rng, length);
    for _ in 0..rng.between(1, 16) {
        let mut offset = rng.below(MAX_FILE - 512 * 1024);
        if !unaligned {
            offset &= !4095;
        }
        file.write_all_at(&data, offset)?;
    }
    Ok(OpOutcome::Done)
}
