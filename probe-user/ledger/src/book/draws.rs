//! Who draws on what: a matrix of moves between reserves, and draws on the global block_rsv. Bounded; what is beyond is counted.
use probe_common::fs::{Levels, Rsv};
use rustc_hash::FxHashMap;

use super::idle::Idle;
use crate::vocabulary::{
    draws::{DrawCell, FsDraws, GlobalDraw, MoveKind, Moved, Mover, RESERVES, Reserve, ReserveRow},
    finding::{StackRef, TaskRef},
};

/// Trees of one cell.
const MAX_ROOTS: usize = 8;
/// Callers of one cell.
const MAX_MOVERS: usize = 8;
/// Groups of draws on the global block_rsv.
const MAX_GROUPS: usize = 64;
/// Tasks of one group.
const MAX_TASKS: usize = 4;
/// Handles whose bytes for delayed refs are followed. Beyond it all are forgotten.
const MAX_HANDLES: usize = 1 << 14;

/// One move of bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Move {
    pub from: Reserve,
    pub to: Reserve,
    pub kind: MoveKind,
    pub instead_of: Option<Reserve>,
    pub bytes: u64,
    /// 0 if the move is for no tree block.
    pub root: u64,
    pub caller: u64,
    pub stack: StackRef,
}

impl Move {
    pub(crate) const fn new(from: Reserve, to: Reserve, kind: MoveKind, bytes: u64) -> Self {
        let stack = StackRef { id: 0, representative: false };
        Self { from, to, kind, instead_of: None, bytes, root: 0, caller: 0, stack }
    }
}

/// From, to, kind and the block_rsv that should have paid.
type Key = (Reserve, Reserve, MoveKind, Option<Reserve>);

#[derive(Debug, Default)]
struct Cell {
    moved: Moved,
    roots: Top<u64, MAX_ROOTS>,
    /// By caller and, where there is none, by stack; with a stack.
    movers: Top<(u64, u64), MAX_MOVERS>,
    stacks: Vec<((u64, u64), StackRef)>,
}

/// The keys with most bytes. One that must go is added to the others.
#[derive(Debug)]
struct Top<K, const MOST: usize> {
    kept: Vec<(K, Moved)>,
    others: Moved,
}

impl<K, const MOST: usize> Default for Top<K, MOST> {
    fn default() -> Self {
        Self { kept: Vec::new(), others: Moved::default() }
    }
}

impl<K: Copy + PartialEq + Ord, const MOST: usize> Top<K, MOST> {
    /// Adds bytes. True if the key is new.
    fn add(&mut self, key: K, bytes: u64) -> bool {
        if let Some((_, moved)) = self.kept.iter_mut().find(|(of, _)| *of == key) {
            moved.add(bytes);
            return false;
        }
        if self.kept.len() >= MOST {
            let least = (0..self.kept.len()).min_by_key(|at| self.kept[*at].1.bytes);
            if let Some(at) = least {
                let (_, moved) = self.kept.swap_remove(at);
                self.others.merge(moved);
            }
        }
        let mut moved = Moved::default();
        moved.add(bytes);
        self.kept.push((key, moved));
        true
    }

    fn sorted(&self) -> Vec<(K, Moved)> {
        let mut all = self.kept.clone();
        all.sort_unstable_by_key(|(key, moved)| (std::cmp::Reverse(moved.bytes), *key));
        all
    }
}

/// Where the bytes of a tree block came from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Draw {
    pub kind: MoveKind,
    pub root: u64,
    pub bytes: u64,
    pub stack: StackRef,
    pub tid: u32,
    pub time: u64,
}

/// The block_rsvs of the filesystem, in the order of [`FS_RSVS`].
type FsLevels = [u64; 5];
/// What came and went, by [`Reserve`].
type Tallies = [(u64, u64); RESERVES];

const FS_RSVS: [Reserve; 5] =
    [Reserve::Global, Reserve::Trans, Reserve::Chunk, Reserve::Delayed, Reserve::DelayedRefs];

/// Moves and draws of one filesystem.
#[derive(Debug, Default)]
pub(crate) struct Draws {
    by_calls: bool,
    cells: FxHashMap<Key, Cell>,
    pub unknown_releases: Moved,
    /// Bytes went into a block_rsv, and it is not known how many.
    pub gaps: bool,
    /// What came and went since the first levels.
    tallies: Tallies,
    /// Epoch and levels of the first reading; none or a lower epoch: read anew.
    first: Option<(u32, FsLevels)>,
    last: Option<(FsLevels, Tallies)>,
    groups: Vec<GlobalDraw>,
    /// Position in `groups`, and how often the reserve had been full when `since_full` of the group began.
    index: FxHashMap<(u64, u64, MoveKind), (usize, u64)>,
    beyond: Moved,
    /// How often the global block_rsv was seen full.
    full: u64,
    lowest: Option<(Rsv, u64)>,
    /// Bytes that were put into the own block_rsv of a handle, by its address.
    pub handles: FxHashMap<u64, u64>,
    /// A call of a thread in which the global block_rsv paid in place of another one; the record of the tree block says of which.
    pub fallen_back: FxHashMap<u32, Move>,
    pub idle: Idle,
}

impl Draws {
    /// Moves are read from calls from now on.
    pub(crate) const fn read_from_calls(&mut self) {
        self.by_calls = true;
    }

    pub(crate) const fn by_calls(&self) -> bool {
        self.by_calls
    }

    /// Books one move. Takes one look-up, and allocates only for a new cell, tree or caller.
    pub(crate) fn book(&mut self, moved: &Move) {
        let Move { from, to, kind, instead_of, bytes, root, caller, stack } = *moved;
        if bytes == 0 {
            return;
        }
        let cell = self.cells.entry((from, to, kind, instead_of)).or_default();
        cell.moved.add(bytes);
        if root != 0 {
            cell.roots.add(root, bytes);
        }
        if caller != 0 || stack.id != 0 {
            let key = (caller, if caller == 0 { stack.id } else { 0 });
            cell.movers.add(key, bytes);
            if stack.id != 0 {
                match cell.stacks.iter_mut().find(|(of, _)| *of == key) {
                    Some((_, known)) if known.representative && !stack.representative => *known = stack,
                    Some(_) => {}
                    None => {
                        if cell.stacks.len() >= 2 * MAX_MOVERS {
                            let Cell { stacks, movers, .. } = cell;
                            stacks.retain(|(of, _)| movers.kept.iter().any(|(kept, _)| kept == of));
                        }
                        cell.stacks.push((key, stack));
                    }
                }
            }
        }
        let [out, into] = [from as usize, to as usize];
        if let Some((_, went)) = self.tallies.get_mut(out) {
            *went = went.saturating_add(bytes);
        }
        if let Some((came, _)) = self.tallies.get_mut(into) {
            *came = came.saturating_add(bytes);
        }
    }

    /// Books a draw on the global block_rsv. `task`: called once for each task of a group.
    pub(crate) fn draw(&mut self, draw: &Draw, task: impl FnOnce() -> Option<TaskRef>) {
        let Draw { kind, root, bytes, stack, tid, time } = *draw;
        let (at, since) = match self.index.get(&(stack.id, root, kind)) {
            Some(known) => *known,
            None if self.groups.len() >= MAX_GROUPS => {
                self.beyond.add(bytes);
                return;
            }
            None => {
                self.groups.push(GlobalDraw {
                    kind,
                    root,
                    stack,
                    moved: Moved::default(),
                    since_full: Moved::default(),
                    seen: (time, time),
                    tasks: Vec::new(),
                    other_tasks: Moved::default(),
                });
                (self.groups.len() - 1, self.full)
            }
        };
        self.index.insert((stack.id, root, kind), (at, self.full));
        let Some(group) = self.groups.get_mut(at) else { return };
        if since != self.full {
            group.since_full = Moved::default();
        }
        group.moved.add(bytes);
        group.since_full.add(bytes);
        group.seen.1 = group.seen.1.max(time);
        if let Some((_, moved)) = group.tasks.iter_mut().find(|(of, _)| of.tid == tid) {
            moved.add(bytes);
        } else if group.tasks.len() < MAX_TASKS
            && let Some(task) = task()
        {
            let mut moved = Moved::default();
            moved.add(bytes);
            group.tasks.push((task, moved));
        } else {
            group.other_tasks.add(bytes);
        }
    }

    /// The global block_rsv as it was read.
    pub(crate) fn global_level(&mut self, level: Rsv, time: u64) {
        if level.size == 0 {
            return;
        }
        if level.reserved >= level.size {
            self.full += 1;
        }
        if self.lowest.is_none_or(|(lowest, _)| level.reserved < lowest.reserved) {
            self.lowest = Some((level, time));
        }
    }

    /// The levels of all block_rsvs. `epoch`: what was seen before a loss does not count.
    pub(crate) fn levels(&mut self, epoch: u32, levels: &Levels) {
        let all = [levels.global, levels.trans, levels.chunk, levels.delayed, levels.delayed_refs];
        let now = all.map(|rsv| rsv.reserved);
        if self.first.is_some_and(|(of, _)| of == epoch) {
            self.last = Some((now, self.tallies));
        } else {
            self.first = Some((epoch, now));
            self.tallies = Tallies::default();
            self.last = None;
        }
        self.global_level(levels.global, levels.header.time);
    }

    /// Bytes went into the own block_rsv of a handle.
    pub(crate) fn handle_got(&mut self, rsv: u64, bytes: u64) {
        if self.handles.len() >= MAX_HANDLES && !self.handles.contains_key(&rsv) {
            self.handles.clear();
        }
        self.handles.insert(rsv, bytes);
    }

    /// Nothing more comes: books what still waits for its tree block.
    pub(crate) fn end(&mut self) {
        self.handles = FxHashMap::default();
        let mut left: Vec<(u32, Move)> = self.fallen_back.drain().collect();
        left.sort_unstable_by_key(|(tid, _)| *tid);
        left.iter().for_each(|(_, moved)| self.book(moved));
    }

    /// The groups of draws that are no use by the reserve's own trees and came since it was last seen full, most bytes first.
    pub(crate) fn drained_by(&self, most: usize) -> Vec<GlobalDraw> {
        let open = |group: &&GlobalDraw| {
            let key = (group.stack.id, group.root, group.kind);
            self.index.get(&key).is_some_and(|(_, since)| *since == self.full)
        };
        let mut groups: Vec<&GlobalDraw> = self.groups.iter().filter(open).collect();
        groups.sort_by_key(|group| {
            (group.kind == MoveKind::Use, std::cmp::Reverse(group.since_full.bytes), group.root)
        });
        groups.into_iter().take(most).cloned().collect()
    }

    /// Plain data; `None` if nothing moved.
    pub(crate) fn view(&self, epoch: u32) -> Option<FsDraws> {
        let idle_growth = self.idle.view();
        if self.cells.is_empty() && idle_growth.is_empty() && self.unknown_releases.count == 0 {
            return None;
        }
        let mut cells: Vec<DrawCell> = self.cells.iter().map(|(key, cell)| cell.view(*key)).collect();
        cells.sort_by_key(|cell| {
            (std::cmp::Reverse(cell.moved.bytes), cell.from, cell.to, cell.kind, cell.instead_of)
        });
        let mut global = self.groups.clone();
        for group in &mut global {
            group.tasks.sort_by_key(|(task, moved)| (std::cmp::Reverse(moved.bytes), task.tid));
            let key = (group.stack.id, group.root, group.kind);
            if self.index.get(&key).is_none_or(|(_, since)| *since != self.full) {
                group.since_full = Moved::default();
            }
        }
        global.sort_by_key(|group| {
            (std::cmp::Reverse(group.moved.bytes), group.kind, group.root, group.seen, group.stack.id)
        });
        Some(FsDraws {
            by_calls: self.by_calls,
            cells,
            unknown_releases: self.unknown_releases,
            rows: self.rows(epoch),
            global,
            global_beyond: self.beyond,
            global_lowest: self.lowest,
            idle_growth,
        })
    }

    fn rows(&self, epoch: u32) -> Vec<ReserveRow> {
        let (Some((of, first)), Some((last, tallies))) = (&self.first, &self.last) else { return Vec::new() };
        // Without calls, most of what moves is not seen.
        if *of != epoch || !self.by_calls || self.unknown_releases.count > 0 || self.gaps {
            return Vec::new();
        }
        let row = |(at, reserve): (usize, Reserve)| {
            let (came, went) = tallies.get(reserve as usize).copied().unwrap_or_default();
            let (first, last) = (*first.get(at)?, *last.get(at)?);
            let not_attributed =
                (last as i64).wrapping_sub(first as i64).wrapping_sub(came as i64).wrapping_add(went as i64);
            Some(ReserveRow { reserve, first, came, went, last, not_attributed })
        };
        FS_RSVS.into_iter().enumerate().filter_map(row).collect()
    }
}

impl Cell {
    fn view(&self, (from, to, kind, instead_of): Key) -> DrawCell {
        let stack = |key: (u64, u64)| {
            let known = self.stacks.iter().find(|(of, _)| *of == key);
            known.map_or(StackRef { id: 0, representative: false }, |(_, stack)| *stack)
        };
        let movers = self.movers.sorted();
        DrawCell {
            from,
            to,
            kind,
            instead_of,
            moved: self.moved,
            roots: self.roots.sorted(),
            other_roots: self.roots.others,
            movers: movers
                .into_iter()
                .map(|(key, moved)| Mover { caller: key.0, stack: stack(key), moved })
                .collect(),
            other_movers: self.movers.others,
        }
    }
}
