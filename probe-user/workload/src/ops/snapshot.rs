//! Snapshots.
use std::io;
use std::os::unix::fs::FileExt;

use super::files::{noise, open_rw};
use super::{Ctx, OpOutcome, TWINS, shared_name};
use crate::ioctl::btrfs;
use crate::rng::Rng;

/// Takes a snapshot of a dirty subvolume (its delalloc is flushed first) and writes to both sides; the next call of
/// the same worker deletes it. Each worker has one at most.
pub(super) fn take_or_delete(ctx: &Ctx<'_>, rng: &mut Rng) -> io::Result<OpOutcome> {
    let snaps = btrfs::open_dir(&ctx.path("snaps"))?;
    let name = format!("s{}", ctx.worker);
    if ctx.path("snaps").join(&name).is_dir() {
        btrfs::subvol_delete(&snaps, &name)?;
        return Ok(OpOutcome::Done);
    }
    let twin = *rng.pick(&TWINS);
    let source = btrfs::open_dir(&ctx.path(twin))?;
    let data = noise(rng, 70_000);
    let file = open_rw(&ctx.path(twin).join(shared_name(0)))?;
    file.write_all_at(&data, rng.below(1 << 20))?;
    let read_only = rng.chance(40);
    btrfs::snapshot(&snaps, &name, &source, read_only)?;
    file.write_all_at(&data, rng.below(1 << 20))?;
    if !read_only {
        let copy = open_rw(&ctx.path("snaps").join(&name).join(shared_name(0)))?;
        copy.write_all_at(&data, rng.below(1 << 20))?;
    }
    Ok(OpOutcome::Done)
}
