//! Remount.
use std::io;
use std::thread::sleep;
use std::time::Duration;

use super::{Ctx, OpOutcome};
use crate::workload::loopfs;
use crate::workload::rng::Rng;

/// Remounts read-only, which needs a moment without open writers (else EBUSY), and back. Meanwhile the others meet
/// EROFS.
pub(super) fn read_only_and_back(ctx: &Ctx<'_>, rng: &mut Rng) -> io::Result<OpOutcome> {
    let Ok(_alone) = ctx.layout.whole.try_lock() else { return Ok(OpOutcome::Skipped) };
    let root = ctx.layout.root();
    loopfs::remount(root, true)?;
    sleep(Duration::from_millis(rng.between(1, 20)));
    loopfs::remount(root, false)?;
    Ok(OpOutcome::Done)
}
