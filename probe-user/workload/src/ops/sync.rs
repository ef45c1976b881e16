//! All ways to write data back.
use std::io;
use std::os::unix::fs::FileExt;

use nix::unistd::syncfs;

use super::files::{noise, open_rw};
use super::{Ctx, MAX_FILE, OpOutcome};
use crate::ioctl::btrfs;
use crate::rng::Rng;

/// A write, then fsync, fdatasync, syncfs, or a commit by ioctl.
pub(super) fn some_kind(ctx: &Ctx<'_>, rng: &mut Rng) -> io::Result<OpOutcome> {
    let file = open_rw(&ctx.target(rng)?)?;
    file.write_all_at(&noise(rng, 10_000), rng.below(MAX_FILE / 2))?;
    match rng.below(10) {
        0..4 => file.sync_all()?,
        4..7 => file.sync_data()?,
        7 => syncfs(&ctx.root_dir()?)?,
        8 => btrfs::sync(&ctx.root_dir()?)?,
        _ => btrfs::start_and_wait_sync(&ctx.root_dir()?)?,
    }
    Ok(OpOutcome::Done)
}
