//! nodatacow, by `chattr +C` on the folder `nocow`.
use std::io;
use std::os::unix::fs::FileExt;

use super::files::{AlignedBuffer, open_direct, open_rw};
use super::{Ctx, OpOutcome};
use crate::rng::Rng;

const SIZE: u64 = 2 << 20;

/// Overwrites in place, buffered or direct: data is reserved, turns out not to be needed, and is given back. The folder is
/// not in the subvolume with a limit, where direct writes of this kind can crash a 6.12 kernel.
pub(super) fn overwrite(ctx: &Ctx<'_>, rng: &mut Rng) -> io::Result<OpOutcome> {
    let path = ctx.path("nocow").join(format!("f{}", rng.below(3)));
    let file = if rng.chance(50) { open_direct(&path)? } else { open_rw(&path)? };
    let data = AlignedBuffer::noise(rng, 16384);
    for _ in 0..rng.between(1, 8) {
        file.write_all_at(data.bytes(), rng.below(SIZE) & !4095)?;
    }
    if rng.chance(20) {
        file.sync_data()?;
    }
    Ok(OpOutcome::Done)
}
