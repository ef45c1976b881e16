//! The same inode number in two subvolumes.
use std::io;
use std::os::unix::fs::FileExt;

use super::files::{noise, open_rw};
use super::{Ctx, MAX_FILE, OpOutcome, SHARED_FILES, TWINS, shared_name};
use crate::rng::Rng;

/// Writes in turn to two files that differ only in their subvolume, and ends them differently. Books that ignore the
/// subvolume would mix them up.
pub(super) fn write_both(ctx: &Ctx<'_>, rng: &mut Rng) -> io::Result<OpOutcome> {
    let name = shared_name(rng.below(SHARED_FILES));
    let [first, second] = TWINS.map(|subvol| open_rw(&ctx.path(subvol).join(&name)));
    let (first, second) = (first?, second?);
    let data = noise(rng, 12_000);
    for _ in 0..rng.between(1, 8) {
        let offset = rng.below(MAX_FILE / 4);
        first.write_all_at(&data, offset)?;
        second.write_all_at(&data[..5000], offset)?;
    }
    first.sync_data()?;
    second.set_len(rng.below(MAX_FILE / 4))?;
    Ok(OpOutcome::Done)
}
