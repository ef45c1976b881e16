//! Extents of data on disk that are in `bytes_reserved`: reserved, and not in the extent tree yet.
//!
//! Events of one extent can come out of order. `btrfs_free_reserved_extent()` gives the range back before it fires its event, so
//! another task may have reserved the range again by then. Such an extent is doubtful: it is followed, and not judged.
//!
//! An ordered extent that fails, or whose range was truncated, frees its extent first and is removed afterwards. In between, another one can
//! have the same range. So the removal takes only what the thread has not freed or handed on just before.
use std::collections::{BTreeMap, VecDeque};

use rustc_hash::FxHashMap;

use crate::vocabulary::{finding::StackRef, keys::InodeKey};

/// Most extents of all filesystems. Beyond it all are forgotten.
const MAX_EXTENTS: usize = 1 << 18;
/// Most ends remembered, per filesystem.
const MAX_FREED: usize = 1 << 12;
/// Most ranges that a thread has given away and whose ordered extent it may still remove. An ordered extent has one, or a few after a split.
const MAX_GIVEN: usize = 16;
/// Most threads with such ranges. Beyond it all are forgotten.
const MAX_GIVING: usize = 1 << 12;

/// A range of bytes on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    pub start: u64,
    pub len: u64,
}

impl Range {
    const fn end(self) -> u64 {
        self.start.saturating_add(self.len)
    }

    /// What of it lies before and behind another one.
    fn without(self, other: Self) -> impl Iterator<Item = Self> {
        let part = |start: u64, end: u64| Self { start, len: end.saturating_sub(start) };
        let before = part(self.start, self.end().min(other.start));
        let behind = part(self.start.max(other.end()), self.end());
        [before, behind].into_iter().filter(|part| part.len != 0)
    }
}

/// Who has a reserved extent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// The task that reserved it.
    Task(u32),
    /// An ordered extent.
    Ordered,
}

/// A reserved extent, or what is left of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extent {
    pub range: Range,
    pub owner: Owner,
    /// The inode, as soon as it is known.
    pub key: Option<InodeKey>,
    /// Where it was reserved.
    pub stack: StackRef,
    /// An end of the range may still be on its way.
    pub doubtful: bool,
}

/// What an ordered extent still had when it was removed. The call that removed it has not returned yet.
#[derive(Debug)]
pub(crate) struct Removed {
    pub fs: u32,
    pub left: Vec<Extent>,
}

#[derive(Debug, Default)]
struct Filesystem {
    held: BTreeMap<u64, Extent>,
    /// Ranges that were freed since the last commit and not reserved again.
    freed: FxHashMap<u64, Range>,
}

/// All reserved extents.
#[derive(Debug, Default)]
pub(crate) struct Extents {
    filesystems: FxHashMap<u32, Filesystem>,
    /// Starts of extents that a thread has reserved and may still have.
    in_hand: FxHashMap<u32, Vec<(u32, u64)>>,
    /// Ranges of ordered extents that a thread has freed or handed on, oldest first: it removes the ordered extent next.
    given: FxHashMap<u32, VecDeque<(u32, Range)>>,
    count: usize,
}

impl Extents {
    pub(crate) fn forget(&mut self) {
        *self = Self::default();
    }

    pub(crate) fn forget_fs(&mut self, fs: u32) {
        if let Some(gone) = self.filesystems.remove(&fs) {
            self.count -= gone.held.len().min(self.count);
        }
        self.in_hand.retain(|_, extents| {
            extents.retain(|(of, _)| *of != fs);
            !extents.is_empty()
        });
        self.given.retain(|_, ranges| {
            ranges.retain(|(of, _)| *of != fs);
            !ranges.is_empty()
        });
    }

    /// `btrfs_add_reserved_bytes()` has taken the extent.
    pub(crate) fn reserve(&mut self, fs: u32, mut extent: Extent) {
        if self.count >= MAX_EXTENTS {
            self.forget();
        }
        extent.doubtful |= !self.cut(fs, extent.range).is_empty();
        let of = self.filesystems.entry(fs).or_default();
        if !of.freed.is_empty() {
            let Range { start, .. } = extent.range;
            of.freed.retain(|_, range| range.end() <= start || range.start >= extent.range.end());
        }
        self.put(fs, extent);
    }

    /// Takes a range out of the books and returns what was there; what lies around it stays.
    pub(crate) fn cut(&mut self, fs: u32, range: Range) -> Vec<Extent> {
        let Some(of) = self.filesystems.get_mut(&fs).filter(|of| !of.held.is_empty()) else {
            return Vec::new();
        };
        let before =
            of.held.range(..range.start).next_back().filter(|(_, extent)| extent.range.end() > range.start);
        let first = before.map_or(range.start, |(start, _)| *start);
        let starts: Vec<u64> = of.held.range(first..range.end()).map(|(start, _)| *start).collect();
        let mut taken = Vec::with_capacity(starts.len());
        for start in starts {
            let Some(extent) = self.take(fs, start) else { continue };
            let (from, to) = (extent.range.start.max(range.start), extent.range.end().min(range.end()));
            let part = |start: u64, end: u64| Extent { range: Range { start, len: end - start }, ..extent };
            if extent.range.start < from {
                self.put(fs, part(extent.range.start, from));
            }
            if to < extent.range.end() {
                self.put(fs, part(to, extent.range.end()));
            }
            taken.push(part(from, to));
        }
        taken
    }

    /// The range belongs to an ordered extent from now on.
    pub(crate) fn ordered(&mut self, fs: u32, range: Range, key: InodeKey) {
        for extent in self.cut(fs, range) {
            self.put(fs, Extent { owner: Owner::Ordered, key: Some(key), ..extent });
        }
    }

    /// The thread has put the range into a delayed ref, or the extent tree has it.
    pub(crate) fn hand_on(&mut self, tid: u32, fs: u32, range: Range) {
        if self.cut(fs, range).iter().any(|extent| extent.owner == Owner::Ordered) {
            self.give(tid, fs, range);
        }
    }

    /// The thread has given away the range of an ordered extent, which it has not removed yet.
    pub(crate) fn give(&mut self, tid: u32, fs: u32, range: Range) {
        if self.given.len() >= MAX_GIVING && !self.given.contains_key(&tid) {
            self.given.clear();
        }
        let given = self.given.entry(tid).or_default();
        if given.len() >= MAX_GIVEN {
            given.pop_front();
        }
        given.push_back((fs, range));
    }

    /// The thread has removed the ordered extent of this range: what it still had.
    pub(crate) fn remove(&mut self, tid: u32, fs: u32, range: Range) -> Vec<Extent> {
        let mut rest = vec![range];
        if let Some(given) = self.given.get_mut(&tid) {
            given.retain(|(of, gone)| {
                let its = *of == fs && gone.start >= range.start && gone.end() <= range.end();
                if its {
                    rest = rest.iter().flat_map(|part| part.without(*gone)).collect();
                }
                !its
            });
            if given.is_empty() {
                self.given.remove(&tid);
            }
        }
        let mut left: Vec<Extent> = rest.into_iter().flat_map(|part| self.cut(fs, part)).collect();
        left.retain(|extent| extent.owner == Owner::Ordered);
        left
    }

    /// The range was freed: what of it was reserved. `Err`: it was freed before, and nobody has reserved it since.
    pub(crate) fn free(&mut self, fs: u32, range: Range) -> Result<Vec<Extent>, Range> {
        let taken = self.cut(fs, range);
        let Some(of) = self.filesystems.get_mut(&fs) else { return Ok(taken) };
        if taken.is_empty() {
            return match of.freed.get(&range.start) {
                Some(before) if *before == range => Err(range),
                _ => Ok(taken),
            };
        }
        if taken.iter().all(|extent| !extent.doubtful) && of.freed.len() < MAX_FREED {
            of.freed.insert(range.start, range);
        }
        Ok(taken)
    }

    /// A commit has ended. Only after one can a block group go, and another have its addresses.
    pub(crate) fn committed(&mut self, fs: u32) {
        if let Some(of) = self.filesystems.get_mut(&fs) {
            of.freed.clear();
        }
    }

    /// The thread works on this inode: what it has in hand is probably for it.
    pub(crate) fn works_on(&mut self, tid: u32, fs: u32, key: InodeKey) {
        let Some(starts) = self.in_hand.get(&tid) else { return };
        let Some(of) = self.filesystems.get_mut(&fs) else { return };
        for (_, start) in starts.iter().filter(|(at, _)| *at == fs) {
            if let Some(extent) = of.held.get_mut(start) {
                extent.key.get_or_insert(key);
            }
        }
    }

    /// Takes out what the thread has reserved on the filesystem and not handed on.
    pub(crate) fn take_in_hand(&mut self, tid: u32, fs: u32) -> Vec<Extent> {
        let Some(starts) = self.in_hand.get(&tid) else { return Vec::new() };
        let starts: Vec<u64> = starts.iter().filter(|(of, _)| *of == fs).map(|(_, start)| *start).collect();
        starts.into_iter().filter_map(|start| self.take(fs, start)).collect()
    }

    /// All extents of the filesystem, by address.
    pub(crate) fn of_filesystem(&self, fs: u32) -> impl Iterator<Item = &Extent> {
        self.filesystems.get(&fs).into_iter().flat_map(|of| of.held.values())
    }

    /// Removes extents that a thread has in hand, since its thread id belongs to a new thread.
    pub(crate) fn thread_replaced(&mut self, tid: u32) {
        self.given.remove(&tid);
        for (fs, start) in self.in_hand.remove(&tid).unwrap_or_default() {
            if let Some(extent) = self.filesystems.get_mut(&fs).and_then(|of| of.held.get_mut(&start)) {
                extent.doubtful = true;
            }
        }
    }

    fn put(&mut self, fs: u32, extent: Extent) {
        let start = extent.range.start;
        if extent.range.len == 0 {
            return;
        }
        if let Owner::Task(tid) = extent.owner {
            self.in_hand.entry(tid).or_default().push((fs, start));
        }
        let old = self.filesystems.entry(fs).or_default().held.insert(start, extent);
        self.count += usize::from(old.is_none());
    }

    fn take(&mut self, fs: u32, start: u64) -> Option<Extent> {
        let extent = self.filesystems.get_mut(&fs)?.held.remove(&start)?;
        self.count -= 1;
        if let Owner::Task(tid) = extent.owner
            && let Some(starts) = self.in_hand.get_mut(&tid)
        {
            starts.retain(|of| *of != (fs, start));
            if starts.is_empty() {
                self.in_hand.remove(&tid);
            }
        }
        Some(extent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FS: u32 = 1;

    fn range(start: u64, len: u64) -> Range {
        Range { start, len }
    }

    fn reserved(start: u64, len: u64) -> Extent {
        let stack = StackRef { id: 1, representative: false };
        let owner = Owner::Task(7);
        Extent { range: range(start, len), owner, key: None, stack, doubtful: false }
    }

    fn ranges(extents: &Extents) -> Vec<(u64, u64)> {
        extents.of_filesystem(FS).map(|extent| (extent.range.start, extent.range.len)).collect()
    }

    #[test]
    fn a_part_that_goes_leaves_what_lies_around_it() {
        let mut extents = Extents::default();
        extents.reserve(FS, reserved(100, 30));
        assert_eq!(extents.cut(FS, range(110, 10)).len(), 1);
        assert_eq!(ranges(&extents), [(100, 10), (120, 10)]);
        assert_eq!(extents.cut(FS, range(90, 15)).first().map(|of| of.range), Some(range(100, 5)));
        assert_eq!(ranges(&extents), [(105, 5), (120, 10)]);
        // The thread still has both parts.
        let mut left: Vec<_> = extents.take_in_hand(7, FS).iter().map(|of| of.range.len).collect();
        left.sort_unstable();
        assert_eq!(left, [5, 10]);
        assert_eq!((ranges(&extents), extents.count), (Vec::new(), 0));
    }

    #[test]
    fn an_ordered_extent_takes_it_out_of_the_threads_hands() {
        let mut extents = Extents::default();
        let key = InodeKey { root: 5, ino: 257 };
        extents.reserve(FS, reserved(100, 30));
        extents.ordered(FS, range(100, 30), key);
        assert_eq!(extents.take_in_hand(7, FS).len(), 0);
        assert_eq!(extents.cut(FS, range(100, 30)).first().and_then(|of| of.key), Some(key));
    }

    #[test]
    fn a_second_free_is_told_unless_the_range_was_reserved_again_or_a_commit_ended() {
        let mut extents = Extents::default();
        extents.reserve(FS, reserved(100, 30));
        assert!(extents.free(FS, range(100, 30)).is_ok());
        assert_eq!(extents.free(FS, range(100, 30)).err(), Some(range(100, 30)));
        extents.committed(FS);
        assert!(extents.free(FS, range(100, 30)).is_ok());
        // The event of the first free comes after the range was reserved again.
        extents.reserve(FS, reserved(100, 30));
        extents.reserve(FS, reserved(100, 30));
        assert!(extents.free(FS, range(100, 30)).is_ok_and(|of| of.iter().all(|of| of.doubtful)));
        assert!(extents.free(FS, range(100, 30)).is_ok());
    }

    #[test]
    fn a_removal_takes_what_its_thread_has_not_given_away_yet() {
        let key = InodeKey { root: 5, ino: 257 };
        let mut extents = Extents::default();
        extents.reserve(FS, reserved(100, 30));
        extents.ordered(FS, range(100, 30), key);
        assert!(extents.free(FS, range(110, 10)).is_ok());
        extents.give(7, FS, range(110, 10));
        extents.reserve(FS, reserved(110, 10));
        extents.ordered(FS, range(110, 10), key);
        let left: Vec<_> = extents.remove(7, FS, range(100, 30)).iter().map(|of| of.range).collect();
        assert_eq!(left, [range(100, 10), range(120, 10)]);
        // The other one has nothing given away.
        assert_eq!(extents.remove(8, FS, range(110, 10)).len(), 1);
        assert!(extents.given.is_empty() && extents.count == 0);
        for start in 0..100 {
            extents.give(7, FS, range(start, 1));
        }
        assert_eq!(extents.given[&7].len(), MAX_GIVEN);
        extents.forget_fs(FS);
        assert!(extents.given.is_empty());
    }

    #[test]
    fn a_new_thread_with_the_same_id_has_nothing() {
        let mut extents = Extents::default();
        extents.reserve(FS, reserved(100, 30));
        extents.thread_replaced(7);
        assert_eq!(extents.take_in_hand(7, FS).len(), 0);
        assert!(extents.of_filesystem(FS).all(|of| of.doubtful));
        extents.forget_fs(FS);
        assert_eq!(extents.count, 0);
    }
}
