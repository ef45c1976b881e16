//! Reflinks.
use std::io;
use std::os::unix::fs::FileExt;

use super::files::{Scratch, noise, open_rw};
use super::{Ctx, OpOutcome};
use crate::ioctl::file::{clone_file, clone_range};
use crate::rng::Rng;

/// Clones a file, or a range of it, into a new one and overwrites parts of the clone, so that shared extents are
/// copied on write. Source and clone may be in different subvolumes.
pub(super) fn clone_and_overwrite(ctx: &Ctx<'_>, rng: &mut Rng) -> io::Result<OpOutcome> {
    let source = open_rw(&ctx.target(rng)?)?;
    let data = noise(rng, 9000);
    let path = ctx.private_dir(rng)?.join("clone");
    let clone = open_rw(&path)?;
    let _remove = Scratch(path);
    if rng.chance(50) {
        clone_file(&clone, &source)?;
    } else {
        // The source must contain the range, even if other workers have truncated it.
        source.write_all_at(&data[..4096], 0)?;
        let blocks = (source.metadata()?.len() / 4096).min(64);
        let length = rng.between(1, blocks.max(1)) * 4096;
        match clone_range(&clone, rng.below(16) * 4096, &source, 0, length) {
            // Another worker truncated the source between the reading of its size and the clone.
            Err(error) if error.raw_os_error() == Some(nix::libc::EINVAL) => return Ok(OpOutcome::Raced),
            other => other?,
        }
    }
    let size = clone.metadata()?.len();
    for _ in 0..rng.between(1, 8) {
        clone.write_all_at(&data, rng.below(size.max(1)))?;
    }
    Ok(OpOutcome::Done)
}
