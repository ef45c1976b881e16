//! What one filesystem did in the trace, in bounded memory.
use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use super::{
    chain::{Chain, Change, Judged},
    event::{Event, SpaceCounter},
    model::{Break, TracePlace, Underflow},
};
use crate::format;

/// Most breaks that are listed.
const MAX_BREAKS: usize = 16;
/// Most findings that are listed of a filesystem.
pub const MAX_UNDERFLOWS: usize = 64;
/// Most counters of space_infos, of qgroups and of inodes that are followed, and most names of one kind.
const MAX_NAMES: usize = 64;
const MAX_QGROUPS: usize = 1 << 16;
const MAX_INODES: usize = 1 << 17;

/// Counts by name.
pub type Named<T> = BTreeMap<Box<str>, T>;

/// A filesystem.
#[derive(Debug, Default)]
pub struct Filesystem {
    /// By counter and type.
    pub spaces: BTreeMap<(Box<str>, SpaceCounter), Chain>,
    /// By qgroup and type.
    pub qgroups: BTreeMap<(u64, Box<str>), Chain>,
    /// `outstanding_extents`, by subvolume and inode.
    pub inodes: FxHashMap<(i64, u64), Chain>,
    /// The first ones.
    pub breaks: Vec<Break>,
    /// All.
    pub breaks_count: u64,
    /// The first ones.
    pub underflows: Vec<Underflow>,
    /// All.
    pub underflows_count: u64,
    /// Waits that got their space, and that did not, by errno.
    pub granted: u64,
    /// See above.
    pub failed: BTreeMap<i32, u64>,
    /// The longest wait and where it ended.
    pub longest: Option<(u64, TracePlace)>,
    /// Waits of unknown length.
    pub unmeasured: u64,
    /// By reason.
    pub triggers: Named<u64>,
    /// Calls and errors by state.
    pub flushes: Named<(u64, u64)>,
    /// `btrfs_fail_all_tickets`
    pub failed_all: u64,
    /// Bytes reserved and released by type.
    pub reservations: Named<(u64, u64)>,
    /// `btrfs_transaction_commit`
    pub commits: u64,
    /// Bytes taken and given back.
    pub extents: (u64, u64),
    /// Events that found no room.
    pub left_out: u64,
}

impl Filesystem {
    /// Takes an event. `place` is made only where it is kept.
    pub fn take(&mut self, event: Event<'_>, uuid: &str, time: Option<u64>, place: &dyn Fn() -> TracePlace) {
        match event {
            Event::Space { counter, kind, old, diff } => {
                let change = Change { old, diff, bits: 64 };
                let name = || (format!("space.{}.{}", kind.to_lowercase(), counter.name()), kind.to_owned());
                let key = (kind.into(), counter);
                let room = self.spaces.len() < MAX_NAMES || self.spaces.contains_key(&key);
                let judged = room.then(|| self.spaces.entry(key).or_default().take(change, true));
                self.judged(judged, change, uuid, &name, place);
            }
            Event::Qgroup { id, kind, old, diff } => {
                let change = Change { old, diff, bits: 64 };
                let name = || (format!("qgroup.{}", kind.to_lowercase()), format::qgroup(id));
                let key = (id, kind.into());
                let room = self.qgroups.len() < MAX_QGROUPS || self.qgroups.contains_key(&key);
                let judged = room.then(|| self.qgroups.entry(key).or_default().take(change, true));
                self.judged(judged, change, uuid, &name, place);
            }
            Event::Extents { root, ino, diff, new } => {
                // 6.1 prints the change alone, which shows nothing by itself.
                let Some(new) = new else { return };
                let old = new.wrapping_sub(diff as u32);
                let change = Change { old: u64::from(old), diff: i64::from(diff), bits: 32 };
                let name = || ("inode.outstanding_extents".to_owned(), format!("{root}/{ino}"));
                let key = (root, ino);
                let room = self.inodes.len() < MAX_INODES || self.inodes.contains_key(&key);
                let judged = room.then(|| self.inodes.entry(key).or_default().take(change, false));
                self.judged(judged, change, uuid, &name, place);
            }
            Event::Reservation { kind, reserve, bytes } => {
                let Some((reserved, released)) = named(&mut self.reservations, kind, &mut self.left_out)
                else {
                    return;
                };
                let sum = if reserve { reserved } else { released };
                *sum = sum.saturating_add(bytes);
            }
            Event::Ticket { start, error, .. } => self.ticket(start, error, time, place),
            Event::Trigger { reason } => {
                if let Some(count) = named(&mut self.triggers, reason, &mut self.left_out) {
                    *count += 1;
                }
            }
            Event::Flush { state, ret } => {
                if let Some((calls, errors)) = named(&mut self.flushes, state, &mut self.left_out) {
                    *calls += 1;
                    *errors += u64::from(ret < 0);
                }
            }
            Event::FailAll => self.failed_all += 1,
            Event::Commit => self.commits += 1,
            Event::Extent { alloc, bytes } => {
                let sum = if alloc { &mut self.extents.0 } else { &mut self.extents.1 };
                *sum = sum.saturating_add(bytes);
            }
            Event::Other => {}
        }
    }

    fn judged(
        &mut self,
        judged: Option<Judged>,
        change: Change,
        uuid: &str,
        name: &dyn Fn() -> (String, String),
        place: &dyn Fn() -> TracePlace,
    ) {
        let Some(judged) = judged else {
            self.left_out += 1;
            return;
        };
        if let Judged::Breaks(expected) = judged {
            self.breaks_count += 1;
            if self.breaks.len() < MAX_BREAKS {
                let (account, object) = name();
                self.breaks.push(Break { account, object, at: place(), expected, found: change.before() });
            }
        }
        if change.underflows() {
            self.underflows_count += 1;
            if self.underflows.len() < MAX_UNDERFLOWS {
                let (account, object) = name();
                self.underflows.push(Underflow {
                    filesystem: uuid.to_owned(),
                    account,
                    object,
                    at: place(),
                    old: change.before(),
                    diff: change.diff,
                });
            }
        }
    }

    fn ticket(&mut self, start: u64, error: i32, time: Option<u64>, place: &dyn Fn() -> TracePlace) {
        match error {
            0 => self.granted += 1,
            error => {
                // A ticket has few errors; a text can hold any number.
                if self.failed.len() < MAX_NAMES || self.failed.contains_key(&error) {
                    *self.failed.entry(error).or_default() += 1;
                } else {
                    self.left_out += 1;
                }
            }
        }
        match time.and_then(|time| time.checked_sub(start)).filter(|wait| start != 0 && *wait < LONGEST_WAIT)
        {
            None => self.unmeasured += 1,
            Some(wait) if self.longest.as_ref().is_none_or(|(longest, _)| wait > *longest) => {
                self.longest = Some((wait, place()));
            }
            Some(_) => {}
        }
    }
}

/// A wait of more than a day is one by two clocks.
const LONGEST_WAIT: u64 = 86_400_000_000_000;

fn named<'m, T: Default>(map: &'m mut Named<T>, name: &str, left_out: &mut u64) -> Option<&'m mut T> {
    if map.len() >= MAX_NAMES && !map.contains_key(name) {
        *left_out += 1;
        return None;
    }
    Some(map.entry(name.into()).or_default())
}
