//! Remount.
use std::io;
use std::thread::sleep;
use std::time::Duration;

use nix::errno::Errno;

use super::{Ctx, OpOutcome};
use crate::loopfs;
use crate::rng::Rng;

/// Tries while others are writing.
const TRIES: u32 = 100;

/// Remounts read-only and back. Read-only needs a moment without open writers (else EBUSY); the others meet EROFS until it
/// is read-write again.
pub(super) fn read_only_and_back(ctx: &Ctx<'_>, rng: &mut Rng) -> io::Result<OpOutcome> {
    let Ok(_alone) = ctx.layout.whole.try_lock() else { return Ok(OpOutcome::Skipped) };
    let root = ctx.layout.root();
    let mut tries = 0;
    while let Err(error) = loopfs::remount(root, true) {
        tries += 1;
        if error.raw_os_error() != Some(Errno::EBUSY as i32) || tries == TRIES || ctx.stopped() {
            return Err(error);
        }
        sleep(Duration::from_millis(1));
    }
    sleep(Duration::from_millis(rng.between(1, 20)));
    loopfs::remount(root, false)?;
    Ok(OpOutcome::Done)
}
