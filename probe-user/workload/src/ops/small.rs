//! Small files.
use std::fs;
use std::io;
use std::os::unix::fs::FileExt;

use super::files::{Scratch, noise, open_rw};
use super::{Ctx, OpOutcome};
use crate::rng::Rng;

/// Creates some files of 16 KiB, syncs one now and then, and unlinks all: metadata-heavy work.
pub(super) fn create_write_unlink(ctx: &Ctx<'_>, rng: &mut Rng) -> io::Result<OpOutcome> {
    let dir = ctx.private_dir(rng)?;
    let data = noise(rng, 16384);
    let mut made = Vec::new();
    for index in 0..rng.between(1, 12) {
        let path = dir.join(format!("small{index}"));
        let file = open_rw(&path)?;
        // Removed on an error as well; otherwise a full filesystem would stay full.
        made.push(Scratch(path));
        file.write_all_at(&data, 0)?;
        if rng.chance(5) {
            file.sync_all()?;
        }
    }
    for Scratch(path) in &made {
        fs::remove_file(path)?;
    }
    Ok(OpOutcome::Done)
}
