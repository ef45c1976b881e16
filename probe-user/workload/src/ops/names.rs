//! Directory entries.
use std::fs;
use std::io;
use std::os::unix::fs::symlink;

use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};

use super::files::{Scratch, open_rw};
use super::{Ctx, OpOutcome};
use crate::rng::Rng;

/// Renames, exchanges, hard links and symlinks: many transactions and delayed items, hardly any data.
pub(super) fn storm(ctx: &Ctx<'_>, rng: &mut Rng) -> io::Result<OpOutcome> {
    let dir = Scratch(ctx.private_dir(rng)?.join("names"));
    fs::create_dir_all(dir.0.join("sub"))?;
    let name = |index: u64| dir.0.join(format!("n{index}"));
    for index in 0..4 {
        open_rw(&name(index))?;
    }
    for step in 0..rng.between(4, 24) {
        let from = name(rng.below(4));
        match rng.below(5) {
            0 => {
                let moved = dir.0.join("sub").join(format!("moved{step}"));
                fs::rename(&from, &moved)?;
                fs::rename(&moved, &from)?;
            }
            1 => renameat2(AT_FDCWD, &from, AT_FDCWD, &name(rng.below(4)), RenameFlags::RENAME_EXCHANGE)?,
            2 => fs::hard_link(&from, dir.0.join(format!("link{step}")))?,
            3 => symlink("somewhere", dir.0.join(format!("symlink{step}")))?,
            _ => {
                // Replaces an existing name and drops the last link of that file.
                let new = dir.0.join("new");
                open_rw(&new)?;
                fs::rename(&new, &from)?;
            }
        }
    }
    Ok(OpOutcome::Done)
}
