//! Pools that grow while no task is at work: a hint, never a finding.
//!
//! Definition. The levels of a filesystem are read now and then, besides at commits; readings count that are [`APART`]. The time
//! between two of them is *quiet* if no thread other than
//! btrfs' own workers came with a record of a reservation, and no ticket was queued, granted or failed: a task that waits is inside
//! its call. The level is `bytes_may_use` of a space_info without what the global block_rsv holds: that one is sized by the kernel
//! itself, without a task. A pool grows while idle if its level rose in at least [`ENOUGH`] quiet intervals, and fell between no two
//! readings of the session, quiet or not.
//!
//! Why it is silent on ordinary loads: what tasks reserve makes the interval not quiet, and what is done with it afterwards
//! (write back, commit, run delayed refs) gives bytes back, so the level falls. Levels at commits do not count: inside a
//! flush they rise by what a waiting task is granted.
use probe_common::{
    fs::{LEVELS_AUDIT, Levels, SpaceLevels},
    space::{BLOCK_GROUP_METADATA, BLOCK_GROUP_TYPE_MASK},
};

use crate::vocabulary::draws::IdleGrowth;

/// Quiet intervals with a rise.
const ENOUGH: u64 = 3;
/// Readings that follow sooner, ns, do not count: a task that sleeps for so long inside its call makes no record.
const APART: u64 = 5_000_000_000;

#[derive(Debug, Default)]
pub(crate) struct Idle {
    /// A task has reserved or released since the last reading.
    pub busy: bool,
    /// Time of the last reading, ns.
    read: u64,
    pools: [Pool; 4],
}

#[derive(Clone, Copy, Debug, Default)]
struct Pool {
    /// Block group type; 0 if the entry is empty.
    space: u64,
    level: u64,
    rises: u64,
    risen: u64,
    fell: bool,
}

impl Idle {
    /// Something was not seen: the interval counts as not quiet.
    pub(crate) const fn missed(&mut self) {
        self.busy = true;
    }

    /// Takes a reading.
    pub(crate) fn levels(&mut self, levels: &Levels) {
        if levels.why != LEVELS_AUDIT {
            return;
        }
        let now = levels.header.time;
        if now.saturating_sub(self.read) < APART {
            return;
        }
        self.read = now;
        let quiet = !self.busy;
        for (pool, space) in self.pools.iter_mut().zip(&levels.space) {
            pool.reading(space, levels.global.reserved, quiet);
        }
        self.busy = false;
    }

    pub(crate) fn view(&self) -> Vec<IdleGrowth> {
        let grew = |pool: &&Pool| !pool.fell && pool.rises >= ENOUGH;
        let view = |pool: &Pool| IdleGrowth { space: pool.space, intervals: pool.rises, bytes: pool.risen };
        self.pools.iter().filter(grew).map(view).collect()
    }
}

impl Pool {
    fn reading(&mut self, now: &SpaceLevels, global: u64, quiet: bool) {
        let space = now.flags & BLOCK_GROUP_TYPE_MASK;
        let held = if space & BLOCK_GROUP_METADATA != 0 { global } else { 0 };
        let level = now.may_use.saturating_sub(held);
        if space == 0 || space != self.space {
            // The first reading, or space_infos changed places.
            *self = Self { space, level, ..Self::default() };
            return;
        }
        if quiet && level > self.level {
            self.rises += 1;
            self.risen = self.risen.saturating_add(level - self.level);
        }
        self.fell |= level < self.level;
        self.level = level;
    }
}
