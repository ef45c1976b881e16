//! Everything that writes out.
use std::io;

use nix::unistd::syncfs;

use super::files::open_rw;
use super::{Ctx, OpOutcome};
use crate::workload::ioctl::btrfs;
use crate::workload::rng::Rng;

/// fsync, fdatasync, syncfs, or a commit by ioctl.
pub(super) fn some_kind(ctx: &Ctx<'_>, rng: &mut Rng) -> io::Result<OpOutcome> {
    match rng.below(10) {
        0..4 => open_rw(&ctx.target(rng)?)?.sync_all()?,
        4..7 => open_rw(&ctx.target(rng)?)?.sync_data()?,
        7 => syncfs(&ctx.root_dir()?)?,
        8 => btrfs::sync(&ctx.root_dir()?)?,
        _ => btrfs::start_and_wait_sync(&ctx.root_dir()?)?,
    }
    Ok(OpOutcome::Done)
}
