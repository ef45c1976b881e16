//! Compression, by the `btrfs.compression` property of the folder `zip`.
use std::io;
use std::os::unix::fs::FileExt;

use super::files::{noise, open_rw};
use super::{Ctx, MAX_FILE, OpOutcome};
use crate::rng::Rng;

/// Writes data that compresses to next to nothing, and some that does not compress. The space reserved for 128 KiB pieces
/// shrinks at writeback, and the number of extents changes with it.
pub(super) fn write(ctx: &Ctx<'_>, rng: &mut Rng) -> io::Result<OpOutcome> {
    let file = open_rw(&ctx.path("zip").join(format!("f{}", rng.below(4))))?;
    let length = rng.between(4096, 1 << 20) as usize;
    let data = if rng.chance(25) { noise(rng, length) } else { vec![rng.next_u64() as u8; length] };
    file.write_all_at(&data, rng.below(MAX_FILE / 2))?;
    if rng.chance(30) {
        file.sync_data()?;
    }
    if rng.chance(10) {
        file.set_len(0)?;
    }
    Ok(OpOutcome::Done)
}
