//! Shared mappings.
use std::fs::File;
use std::io::{self, Write};

use nix::sys::memfd::{MFdFlags, memfd_create};

use super::files::{noise, open_rw};
use super::{Ctx, OpOutcome};
use crate::ioctl::file::Mapping;
use crate::rng::Rng;

const LENGTH: u64 = 512 * 1024;

/// Dirties pages through a mapping: space is reserved page by page in the fault handler (btrfs_page_mkwrite).
pub(super) fn store(ctx: &Ctx<'_>, rng: &mut Rng) -> io::Result<OpOutcome> {
    let file = open_rw(&ctx.target(rng)?)?;
    if file.metadata()?.len() < LENGTH {
        file.set_len(LENGTH)?;
    }
    let mut source = File::from(memfd_create(c"btrfs-probe", MFdFlags::MFD_CLOEXEC)?);
    source.write_all(&noise(rng, 65536))?;
    let mut mapping = Mapping::new(&file, LENGTH as usize)?;
    for _ in 0..rng.between(1, 32) {
        let length = *rng.pick(&[1, 100, 4096, 10_000, 65536]);
        let to = rng.below(LENGTH - length as u64) as usize;
        mapping.store(to, length, &source, 0)?;
    }
    if rng.chance(30) {
        mapping.sync()?;
    }
    Ok(OpOutcome::Done)
}
