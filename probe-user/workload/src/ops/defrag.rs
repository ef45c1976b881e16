//! Defragmentation.
use std::io;
use std::os::unix::fs::FileExt;

use super::files::{noise, open_rw};
use super::{Ctx, OpOutcome};
use crate::ioctl::btrfs;
use crate::rng::Rng;

/// Writes every other block first and the rest later, each with a sync, then rewrites the file as delalloc.
pub(super) fn fragment_and_defrag(ctx: &Ctx<'_>, rng: &mut Rng) -> io::Result<OpOutcome> {
    let file = open_rw(&ctx.private_dir(rng)?.join("fragmented"))?;
    let data = noise(rng, 4096);
    let blocks = rng.between(8, 64);
    for start in 0..2 {
        for block in (start..blocks).step_by(2) {
            file.write_all_at(&data, block * 4096)?;
        }
        file.sync_data()?;
    }
    btrfs::defrag(&file, 0)?;
    Ok(OpOutcome::Done)
}
