//! O_DIRECT.
use std::io;
use std::os::unix::fs::FileExt;

use super::files::{AlignedBuffer, open_direct};
use super::{Ctx, MAX_FILE, OpOutcome};
use crate::rng::Rng;

/// Aligned direct writes, and now and then a direct read, in files that may be dirty in the page cache as well.
/// Never in the subvolume `limited`.
pub(super) fn write_and_read(ctx: &Ctx<'_>, rng: &mut Rng) -> io::Result<OpOutcome> {
    let file = open_direct(&ctx.target(rng)?)?;
    let length = *rng.pick(&[4096, 4096, 16384, 65536, 262_144]);
    let mut data = AlignedBuffer::noise(rng, length);
    for _ in 0..rng.between(1, 8) {
        let offset = rng.below(MAX_FILE / 2) & !4095;
        file.write_all_at(data.bytes(), offset)?;
        if rng.chance(20) {
            // A short read is no error: another worker may have truncated the file.
            file.read_at(data.bytes_mut(), offset)?;
        }
    }
    Ok(OpOutcome::Done)
}
