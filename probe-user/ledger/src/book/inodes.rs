//! The books of inodes, in one row, and the table that finds them.
//!
//! A million inodes are hit at random, so what counts is how often a look-up waits for memory: once for its slot, which alone
//! says where the book is, and once for the book. Both can be read
//! ahead of time (`Inodes::touch_slot`, `Inodes::touch_book`). The row takes no more memory than its books fill.
use std::hash::{Hash as _, Hasher as _};

use rustc_hash::FxHasher;

use super::inode::InodeBook;
use crate::vocabulary::keys::InodeKey;

/// Fewest slots of a table that is in use.
const FEWEST: usize = 16;

/// The books, in the order in which they were opened; the last one takes the place of one that is removed.
#[derive(Debug, Default)]
pub(crate) struct Inodes {
    rows: Vec<(InodeKey, InodeBook)>,
    /// As many as a power of two, at most three quarters of them used; open addressing, one after the other.
    slots: Vec<Slot>,
}

/// Where a book is: its tag above, its place in the row plus one below. 0: nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Slot(u64);

impl Slot {
    const EMPTY: Self = Self(0);

    const fn new(tag: u32, row: usize) -> Self {
        Self((tag as u64) << 32 | (row as u64 + 1) & 0xffff_ffff)
    }

    const fn tag(self) -> u32 {
        (self.0 >> 32) as u32
    }

    const fn row(self) -> usize {
        (self.0 as u32).wrapping_sub(1) as usize
    }
}

impl Inodes {
    pub(crate) const fn len(&self) -> usize {
        self.rows.len()
    }

    pub(crate) fn get(&self, key: &InodeKey) -> Option<&InodeBook> {
        self.find(key).map(|(_, row)| &self.rows[row].1)
    }

    pub(crate) fn get_mut(&mut self, key: &InodeKey) -> Option<&mut InodeBook> {
        self.find(key).map(|(_, row)| &mut self.rows[row].1)
    }

    pub(crate) fn contains_key(&self, key: &InodeKey) -> bool {
        self.find(key).is_some()
    }

    /// The book of `key`, opened with `open` if there is none.
    pub(crate) fn or_insert_with(
        &mut self,
        key: InodeKey,
        open: impl FnOnce() -> InodeBook,
    ) -> &mut InodeBook {
        let row = if let Some((_, row)) = self.find(&key) {
            row
        } else {
            let row = self.rows.len();
            self.rows.push((key, open()));
            if row + 1 > self.slots.len() / 4 * 3 {
                self.grow();
            }
            put(&mut self.slots, Slot::new(tag(&key), row));
            row
        };
        &mut self.rows[row].1
    }

    /// Removes a book; the last one takes its place.
    pub(crate) fn swap_remove(&mut self, key: &InodeKey) -> Option<InodeBook> {
        let (slot, row) = self.find(key)?;
        let last = self.rows.len() - 1;
        if row != last {
            let (moved, _) = self.find(&self.rows[last].0)?;
            self.slots[moved] = Slot::new(self.slots[moved].tag(), row);
        }
        self.free(slot);
        Some(self.rows.swap_remove(row).1)
    }

    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&InodeKey, &InodeBook) -> bool) {
        self.rows.retain(|(key, book)| keep(key, book));
        self.slots.fill(Slot::EMPTY);
        for (row, (key, _)) in self.rows.iter().enumerate() {
            put(&mut self.slots, Slot::new(tag(key), row));
        }
    }

    pub(crate) fn clear(&mut self) {
        self.rows.clear();
        self.slots.fill(Slot::EMPTY);
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = (&InodeKey, &InodeBook)> {
        self.rows.iter().map(|(key, book)| (key, book))
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &InodeBook> {
        self.rows.iter().map(|(_, book)| book)
    }

    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut InodeBook> {
        self.rows.iter_mut().map(|(_, book)| book)
    }

    /// Reads the first slot where the book of `key` may be, so that it is near when the book is looked up.
    pub(crate) fn touch_slot(&self, key: &InodeKey) -> u64 {
        self.slots.get(home(tag(key), self.slots.len())).map_or(0, |slot| slot.0)
    }

    /// Reads the book of `key` if there is one, or another's, so that it is near when it is looked up. Its slot should be near.
    pub(crate) fn touch_book(&self, key: &InodeKey) -> u64 {
        let likely = self.probe(tag(key)).next().and_then(|at| self.rows.get(self.slots[at].row()));
        likely.map_or(0, |(_, book)| book.touch())
    }

    /// Slot and place of a book.
    fn find(&self, key: &InodeKey) -> Option<(usize, usize)> {
        self.probe(tag(key)).map(|at| (at, self.slots[at].row())).find(|(_, row)| self.rows[*row].0 == *key)
    }

    /// The slots with this tag.
    fn probe(&self, tag: u32) -> impl Iterator<Item = usize> {
        // Without slots, the first of them is not there either.
        let mask = self.slots.len().wrapping_sub(1);
        let mut at = home(tag, self.slots.len());
        std::iter::from_fn(move || {
            loop {
                let (slot, found) = (*self.slots.get(at)?, at);
                if slot == Slot::EMPTY {
                    return None;
                }
                at = (at + 1) & mask;
                if slot.tag() == tag {
                    return Some(found);
                }
            }
        })
    }

    fn grow(&mut self) {
        let longer = vec![Slot::EMPTY; (self.slots.len() * 2).max(FEWEST)];
        // A slot knows its tag, so no book is read.
        for slot in std::mem::replace(&mut self.slots, longer) {
            if slot != Slot::EMPTY {
                put(&mut self.slots, slot);
            }
        }
    }

    /// Frees a slot, and moves those after it back that would no longer be found.
    fn free(&mut self, mut hole: usize) {
        let mask = self.slots.len() - 1;
        let mut at = hole;
        loop {
            at = (at + 1) & mask;
            let slot = self.slots[at];
            if slot == Slot::EMPTY {
                break;
            }
            let home = home(slot.tag(), self.slots.len());
            // It is at or before the hole, as seen from the slot.
            if at.wrapping_sub(home) & mask >= at.wrapping_sub(hole) & mask {
                self.slots[hole] = slot;
                hole = at;
            }
        }
        self.slots[hole] = Slot::EMPTY;
    }
}

fn tag(key: &InodeKey) -> u32 {
    let mut hasher = FxHasher::default();
    key.hash(&mut hasher);
    let hash = hasher.finish();
    (hash ^ (hash >> 32)) as u32
}

/// The first slot where a book with this tag may be, of `slots`, which is a power of two or 0: the uppermost bits.
const fn home(tag: u32, slots: usize) -> usize {
    ((tag as u64 * slots as u64) >> 32) as usize
}

/// Puts into the first free slot; there is one.
fn put(slots: &mut [Slot], slot: Slot) {
    let mask = slots.len().wrapping_sub(1);
    let mut at = home(slot.tag(), slots.len());
    while let Some(taken) = slots.get(at) {
        if *taken == Slot::EMPTY {
            slots[at] = slot;
            return;
        }
        at = (at + 1) & mask;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    const fn key(ino: u64) -> InodeKey {
        InodeKey { root: 5, ino }
    }

    /// Opens a book that is told from others by its number.
    fn numbered(number: u64) -> InodeBook {
        let mut book = InodeBook::open(false);
        book.address = number;
        book
    }

    #[derive(Clone, Debug)]
    enum Step {
        Open(u64),
        Remove(u64),
        Retain(u64),
        Clear,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        // Few inodes, so that slots are freed among others that are used.
        let step = prop_oneof![
            60 => (0_u64..200).prop_map(Step::Open),
            30 => (0_u64..200).prop_map(Step::Remove),
            1 => (2_u64..5).prop_map(Step::Retain),
            1 => Just(Step::Clear),
        ];
        proptest::collection::vec(step, 0..600)
    }

    proptest! {
        #[test]
        fn finds_what_a_map_finds(steps in steps()) {
            let (mut inodes, mut model) = (Inodes::default(), BTreeMap::new());
            for (number, step) in steps.iter().enumerate() {
                let number = number as u64;
                match step {
                    Step::Open(ino) => {
                        let book = inodes.or_insert_with(key(*ino), || numbered(number)).address;
                        prop_assert_eq!(book, *model.entry(*ino).or_insert(number));
                    }
                    Step::Remove(ino) => {
                        let removed = inodes.swap_remove(&key(*ino)).map(|book| book.address);
                        prop_assert_eq!(removed, model.remove(ino));
                    }
                    Step::Retain(of) => {
                        inodes.retain(|_, book| book.address % of != 0);
                        model.retain(|_, number| *number % of != 0);
                    }
                    Step::Clear => {
                        inodes.clear();
                        model.clear();
                    }
                }
                prop_assert_eq!(inodes.len(), model.len());
            }
            for ino in 0..200 {
                prop_assert_eq!(inodes.get(&key(ino)).map(|book| book.address), model.get(&ino).copied());
                prop_assert_eq!(inodes.contains_key(&key(ino)), model.contains_key(&ino));
            }
            let mut listed: Vec<(u64, u64)> = inodes.iter().map(|(key, book)| (key.ino, book.address)).collect();
            listed.sort_unstable();
            prop_assert_eq!(listed, model.into_iter().collect::<Vec<_>>());
        }
    }

    #[test]
    fn inodes_that_share_a_tag_are_told_apart() {
        // A tag has 32 bits, so among as many inodes some share one.
        let keys: Vec<InodeKey> = (1..200_000_u64).map(|number| key(number.pow(3).rotate_left(29))).collect();
        let mut inodes = Inodes::default();
        for key in &keys {
            inodes.or_insert_with(*key, || numbered(key.ino));
        }
        let mut tags: Vec<u32> = keys.iter().map(tag).collect();
        tags.sort_unstable();
        tags.dedup();
        assert!(tags.len() < keys.len(), "no two share a tag");
        for key in &keys {
            assert_eq!(inodes.get(key).map(|book| book.address), Some(key.ino));
        }
    }

    #[test]
    fn numbers_in_a_row_spread() {
        // As btrfs gives them: one after the other, in each subvolume.
        let mut inodes = Inodes::default();
        for ino in 256..20_256 {
            for root in [5, 256, 257] {
                inodes.or_insert_with(InodeKey { root, ino }, InodeBook::default);
            }
        }
        let longest = inodes.slots.split(|slot| *slot == Slot::EMPTY).map(<[Slot]>::len).max();
        assert!(longest < Some(400), "{longest:?} slots in a row are used");
    }
}
