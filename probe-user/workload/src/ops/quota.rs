//! Quota limits, only in the subvolume `limited`.
use std::fs;
use std::io;
use std::os::unix::fs::FileExt;

use nix::errno::Errno;

use super::files::{Scratch, noise, open_rw};
use super::{Ctx, OpOutcome, QUOTA_LIMIT};
use crate::ioctl::btrfs;
use crate::rng::Rng;

/// Writes buffered until EDQUOT, to one large file or many small ones, then frees the space. Page cache and ordinary files
/// only: see the policy in [`crate`].
pub(super) fn until_limit(ctx: &Ctx<'_>, rng: &mut Rng) -> io::Result<OpOutcome> {
    let dir = Scratch(ctx.path("limited").join(format!("w{}", ctx.worker)));
    fs::create_dir_all(&dir.0)?;
    let small = rng.chance(30);
    let length = if small { 16384 } else { *rng.pick(&[65536, 1 << 20]) };
    let data = noise(rng, length);
    let mut written = 0;
    let mut outcome = OpOutcome::Done;
    // Twice the limit, so that the kernel has to refuse at some point.
    while written < 2 * QUOTA_LIMIT && !ctx.stopped() {
        let (name, offset) = if small { (written.to_string(), 0) } else { ("large".into(), written) };
        let wrote = open_rw(&dir.0.join(name)).and_then(|file| file.write_all_at(&data, offset));
        match wrote {
            Ok(()) => written += length as u64,
            Err(error) if error.raw_os_error() == Some(Errno::EDQUOT as i32) => {
                outcome = OpOutcome::OverQuota;
                break;
            }
            Err(error) => return Err(error),
        }
    }
    drop(dir);
    if rng.chance(50) {
        btrfs::sync(&ctx.root_dir()?)?;
    }
    Ok(outcome)
}
