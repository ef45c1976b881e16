//! Appends and holes.
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;

use super::files::{noise, open_rw};
use super::{Ctx, MAX_FILE, OpOutcome};
use crate::rng::Rng;

/// Appends to one file, and writes far beyond the end of another, which also reserves for the hole.
pub(super) fn append_and_holes(ctx: &Ctx<'_>, rng: &mut Rng) -> io::Result<OpOutcome> {
    let dir = ctx.private_dir(rng)?;
    let mut log = OpenOptions::new().append(true).create(true).open(dir.join("append"))?;
    let data = noise(rng, 30_000);
    for _ in 0..rng.between(1, 12) {
        let length = rng.between(1, data.len() as u64) as usize;
        log.write_all(&data[..length])?;
    }
    if log.metadata()?.len() > MAX_FILE {
        log.set_len(0)?;
    }
    let sparse = open_rw(&dir.join("sparse"))?;
    sparse.write_all_at(&data[..rng.between(1, 9000) as usize], rng.below(1 << 40))?;
    if rng.chance(20) {
        sparse.set_len(0)?;
    }
    Ok(OpOutcome::Done)
}
