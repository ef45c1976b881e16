//! Filling up. One worker at a time; the others meet ENOSPC in whatever they do.
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, fallocate};

use super::files::{Scratch, noise, open_rw};
use super::{Ctx, OpOutcome};
use crate::ioctl::btrfs;
use crate::rng::Rng;

/// The metadata fill ends after this time, on a filesystem with more metadata than it can fill.
const METADATA_TIME: Duration = Duration::from_secs(3);

/// Writes buffered until ENOSPC, in ever smaller pieces so that the last block is filled too; then removes all.
pub(super) fn data(ctx: &Ctx<'_>, rng: &mut Rng) -> io::Result<OpOutcome> {
    let Ok(_alone) = ctx.layout.whole.try_lock() else { return Ok(OpOutcome::Skipped) };
    let (file, _remove) = filler(ctx)?;
    let mut outcome = OpOutcome::Done;
    let mut offset = 0;
    for length in [1 << 20, 128 << 10, 4096] {
        let data = noise(rng, length);
        while !ctx.stopped() {
            match file.write_at(&data, offset) {
                Ok(written) => offset += written as u64,
                Err(error) if is(&error, Errno::ENOSPC) => {
                    outcome = OpOutcome::NoSpace;
                    break;
                }
                Err(error) => return Err(error),
            }
        }
    }
    // Delalloc over-reserves metadata, and writeback on a full filesystem is a code path of its own.
    match file.sync_all() {
        Err(error) if !is(&error, Errno::ENOSPC) => Err(error),
        _ => Ok(outcome),
    }
}

/// Takes all data space by fallocate, so that there is no room for another metadata chunk. Then makes inline files until the
/// metadata is full, and removes all. Ends without ENOSPC if there is more metadata than fits in the time, because close to
/// the limit each file waits for a flush.
pub(super) fn metadata(ctx: &Ctx<'_>, rng: &mut Rng) -> io::Result<OpOutcome> {
    let Ok(_alone) = ctx.layout.whole.try_lock() else { return Ok(OpOutcome::Skipped) };
    let (file, _remove) = filler(ctx)?;
    reserve_all(ctx, &file)?;
    let dir = Scratch(ctx.path("fill_inline"));
    fs::create_dir_all(&dir.0)?;
    let data = noise(rng, 2000);
    let mut outcome = OpOutcome::Done;
    let start = Instant::now();
    for index in 0u64.. {
        if ctx.stopped() || start.elapsed() > METADATA_TIME {
            break;
        }
        let made = open_rw(&dir.0.join(index.to_string())).and_then(|file| file.write_all_at(&data, 0));
        match made {
            Ok(()) => {}
            Err(error) if is(&error, Errno::ENOSPC) => {
                outcome = OpOutcome::NoSpace;
                break;
            }
            Err(error) => return Err(error),
        }
    }
    // Only the next commit frees the space.
    drop(dir);
    drop((file, _remove));
    btrfs::sync(&ctx.root_dir()?)?;
    Ok(outcome)
}

fn filler(ctx: &Ctx<'_>) -> io::Result<(File, Scratch)> {
    let path = ctx.path("fill");
    let file = open_rw(&path)?;
    Ok((file, Scratch(path)))
}

fn reserve_all(ctx: &Ctx<'_>, file: &File) -> io::Result<()> {
    let mut offset = 0;
    for length in [64 << 20, 4 << 20, 256 << 10, 4096] {
        while !ctx.stopped() {
            match fallocate(file, FallocateFlags::empty(), offset, length) {
                Ok(()) => offset += length,
                Err(Errno::ENOSPC) => break,
                Err(errno) => return Err(errno.into()),
            }
        }
    }
    Ok(())
}

fn is(error: &io::Error, errno: Errno) -> bool {
    error.raw_os_error() == Some(errno as i32)
}
