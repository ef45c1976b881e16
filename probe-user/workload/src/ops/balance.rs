//! Balance, while the other workers run.
use std::io;

use nix::errno::Errno;

use super::{Ctx, OpOutcome};
use crate::ioctl::btrfs::{self, BalanceFilter};
use crate::rng::Rng;

/// Moves a chunk or two of data or metadata. Relocation reserves for itself and writes through the data relocation inode.
pub(super) fn some_chunks(ctx: &Ctx<'_>, rng: &mut Rng) -> io::Result<OpOutcome> {
    let Ok(_alone) = ctx.layout.whole.try_lock() else { return Ok(OpOutcome::Skipped) };
    let root = ctx.root_dir()?;
    let data = rng.chance(60);
    let filter = BalanceFilter { data, metadata: !data, usage: None, limit: Some(rng.between(1, 2)) };
    match btrfs::balance(&root, filter) {
        // Mixed block groups contain data and metadata, and need the same filter for both.
        Err(error) if error.raw_os_error() == Some(Errno::EINVAL as i32) => {
            btrfs::balance(&root, BalanceFilter { data: true, metadata: true, ..filter })?
        }
        other => other?,
    };
    Ok(OpOutcome::Done)
}
