//! Orphan inodes.
use std::fs;
use std::io;
use std::os::unix::fs::FileExt;

use super::files::{Scratch, noise, open_rw};
use super::{Ctx, OpOutcome};
use crate::rng::Rng;

/// Unlinks an open file with dirty pages and writes on. Its evict drops the delalloc without writing it.
pub(super) fn unlink_while_dirty(ctx: &Ctx<'_>, rng: &mut Rng) -> io::Result<OpOutcome> {
    let path = ctx.private_dir(rng)?.join("orphan");
    let file = open_rw(&path)?;
    let scratch = Scratch(path);
    let data = noise(rng, 100_000);
    file.write_all_at(&data, 0)?;
    fs::remove_file(&scratch.0)?;
    for _ in 0..rng.between(0, 4) {
        file.write_all_at(&data, rng.below(4 << 20))?;
    }
    if rng.chance(30) {
        file.sync_all()?;
    }
    Ok(OpOutcome::Done)
}
