//! Looks: readings of the pools and of the inodes that may have dirty data, between two audits. They show who holds the pools.
use std::{
    cmp::Reverse,
    collections::BTreeMap,
    time::{Duration, Instant},
};

use crate::hooks::{InodeTarget, Probe};

/// Most inodes of a look; those with most extents come first.
const MOST: usize = 2000;
/// Looks may take one part in so many of the time.
const SHARE: u32 = 20;

/// When the next look may come.
#[derive(Debug, Default)]
pub struct Looks {
    not_before: Option<Instant>,
}

impl Looks {
    /// The inodes to read, by filesystem; `None` if the last look was so expensive that this one reads none.
    pub fn dirty_inodes(&self, probe: &Probe) -> Option<BTreeMap<u32, Vec<InodeTarget>>> {
        if self.not_before.is_some_and(|time| Instant::now() < time) {
            return None;
        }
        let inodes = probe.inodes().unwrap_or_default();
        Some(chosen(inodes.into_iter().map(|((fs, ..), target)| (fs, target))))
    }

    /// A look that began at `began` is over.
    pub fn over(&mut self, began: Instant) {
        self.not_before = Some(pause(began, Instant::now()));
    }
}

fn pause(began: Instant, ended: Instant) -> Instant {
    // A look of a few ms needs no pause that a screen would show.
    let cost = (ended - began).saturating_sub(Duration::from_millis(2));
    ended + cost * SHARE
}

/// Those that may have dirty data.
fn chosen(inodes: impl Iterator<Item = (u32, InodeTarget)>) -> BTreeMap<u32, Vec<InodeTarget>> {
    let mut busy: Vec<_> = inodes.filter(|(_, target)| target.extents > 0).collect();
    busy.sort_unstable_by_key(|(fs, target)| (Reverse(target.extents), *fs, target.root, target.ino));
    busy.truncate(MOST);
    let mut chosen: BTreeMap<u32, Vec<InodeTarget>> = BTreeMap::new();
    for (fs, target) in busy {
        chosen.entry(fs).or_default().push(target);
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_reads_those_with_most_extents() {
        let target = |ino: u64, extents: u32| InodeTarget { inode: ino * 64, root: 1, ino, extents };
        let many = (0..3000).map(|ino| (7, target(ino, ino as u32)));
        let unknown = (0..2).map(|ino| (8, target(ino, u32::MAX)));
        let chosen = chosen(many.chain(unknown));
        assert_eq!(chosen.values().map(Vec::len).collect::<Vec<_>>(), [MOST - 2, 2]);
        assert_eq!(chosen[&7].last().map(|target| target.ino), Some(3000 - MOST as u64 + 2));
    }

    #[test]
    fn an_expensive_look_puts_the_next_one_off() {
        let began = Instant::now();
        let after = |ms| pause(began, began + Duration::from_millis(ms)) - began;
        assert_eq!((after(1), after(102)), (Duration::from_millis(1), Duration::from_millis(102 + 2000)));
    }
}
