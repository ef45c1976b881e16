//! Filling up. One worker at a time; the others meet ENOSPC wherever they happen to be.
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

/// Ends the metadata fill on a filesystem with more metadata than can be filled in a reasonable time.
const METADATA_TIME: Duration = Duration::from_secs(3);

/// Buffered writes until ENOSPC, in ever smaller pieces so that the last block is reached too; then all is removed.
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
    // Delalloc over-reserves for metadata: the writeback of a full filesystem is a path of its own.
    match file.sync_all() {
        Err(error) if !is(&error, Errno::ENOSPC) => Err(error),
        _ => Ok(outcome),
    }
}

/// Takes all data space by fallocate, which leaves no room for another metadata chunk, then makes inline files until
/// the metadata is full; then all is removed. Ends without ENOSPC where there is more metadata than fits in the time:
/// close to the limit each file waits for a flush.
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
    // The space comes back with the next commit only.
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
