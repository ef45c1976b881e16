//! Short-lived subvolumes.
use std::io;
use std::os::unix::fs::FileExt;

use super::files::{noise, open_rw};
use super::{Ctx, OpOutcome};
use crate::ioctl::btrfs;
use crate::rng::Rng;

/// Creates a subvolume, dirties files in it and deletes it, sometimes with a file still open. What was reserved for its
/// inodes must be released at their evict, without being written.
pub(super) fn create_fill_delete(ctx: &Ctx<'_>, rng: &mut Rng) -> io::Result<OpOutcome> {
    let folder = ctx.path("subvols");
    let dir = btrfs::open_dir(&folder)?;
    let name = format!("v{}", ctx.worker);
    // An earlier call that ended in ENOSPC may have left a subvolume.
    if folder.join(&name).is_dir() {
        btrfs::subvol_delete(&dir, &name)?;
    }
    btrfs::subvol_create(&dir, &name)?;
    let data = noise(rng, 40_000);
    let mut held = None;
    for index in 0..rng.between(1, 8) {
        let file = open_rw(&folder.join(&name).join(format!("f{index}")))?;
        file.write_all_at(&data, rng.below(1 << 20))?;
        if rng.chance(20) {
            held = Some(file);
        }
    }
    btrfs::subvol_delete(&dir, &name)?;
    if let Some(file) = held {
        file.write_all_at(&data, 0)?;
    }
    Ok(OpOutcome::Done)
}
