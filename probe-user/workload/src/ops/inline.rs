//! Inline extents.
use std::io;
use std::os::unix::fs::FileExt;

use super::files::{Scratch, noise, open_rw};
use super::{Ctx, OpOutcome};
use crate::rng::Rng;

/// Makes a file with an inline extent, grows it to a real extent and shrinks it again. The data reservation of an inline
/// extent is released without a data extent (`cow_file_range_inline`).
pub(super) fn grow_and_shrink(ctx: &Ctx<'_>, rng: &mut Rng) -> io::Result<OpOutcome> {
    let path = ctx.private_dir(rng)?.join(format!("inline{}", rng.below(8)));
    let file = open_rw(&path)?;
    let data = noise(rng, 6000);
    let small = rng.between(1, 2000) as usize;
    file.set_len(0)?;
    file.write_all_at(&data[..small], 0)?;
    if rng.chance(50) {
        file.sync_all()?;
    }
    if rng.chance(50) {
        file.write_all_at(&data, small as u64)?;
        file.sync_data()?;
        file.set_len(small as u64)?;
    }
    drop(file);
    if rng.chance(30) {
        drop(Scratch(path));
    }
    Ok(OpOutcome::Done)
}
