//! The pools of filesystems over time: what every record shows of them.
use std::collections::VecDeque;

use probe_common::{
    chain::{CHAIN_OPEN, CHAIN_REST, Chain, ChainCounter},
    fs::{self, Rsv, SpaceLevels},
    shortage::FailureState,
    space::BLOCK_GROUP_TYPE_MASK,
};
use probe_ledger::Account;
use probe_record::record::Record;

use super::{Counts, Track};

/// Most points of a counter.
const MOST: usize = 2000;
/// Fewest points that a counter may keep, however many filesystems there are.
const LEAST: usize = 250;
/// So many filesystems may have [`MOST`] points a counter; if more live, each has fewer.
const WITH_MOST: usize = 4;
/// Points of a counter of a filesystem that is gone.
const AFTER_END: usize = 250;
/// Filesystems that are kept, the newest ones: a test suite makes thousands.
const FILESYSTEMS: usize = 64;
/// The block_rsvs of a filesystem.
const RSVS: [Account; 5] = [
    Account::FsGlobalRsv,
    Account::TransRsv,
    Account::FsChunkRsv,
    Account::FsDelayedRsv,
    Account::FsDelayedRefsRsv,
];

/// All filesystems.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Levels {
    filesystems: VecDeque<FsLevels>,
    /// Filesystems that gave way to newer ones.
    pub forgotten: u64,
}

/// One filesystem.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FsLevels {
    /// Filesystem id of the stream.
    pub fs: u32,
    /// `fs_devices->fsid`; zero while it is not known.
    pub fsid: [u8; 16],
    /// First record, `CLOCK_MONOTONIC` ns.
    pub from: u64,
    /// When its end was seen; `None` while it lives.
    pub to: Option<u64>,
    /// Its space_infos, in the kernel's order.
    pub spaces: Vec<SpaceTracks>,
    /// `reserved` of its block_rsvs.
    pub rsvs: Vec<Pool>,
    /// Tickets that failed.
    pub failed: Counts,
    /// Requests that may not wait and were refused; their callers have another way.
    pub refused: Counts,
    /// When each chain was last shown, by `space_info->flags` and counter.
    shown: Vec<(u64, u32, u64)>,
}

/// A block_rsv.
#[derive(Clone, Debug, PartialEq)]
pub struct Pool {
    /// Which.
    pub account: Account,
    /// `reserved`, bytes.
    pub reserved: Track,
}

/// A space_info. Bytes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SpaceTracks {
    /// `space_info->flags`
    pub flags: u64,
    /// 0 for the first space_info of its type, 1 for the second.
    pub nth: u32,
    /// `bytes_may_use`
    pub may_use: Track,
    /// `bytes_reserved`
    pub reserved: Track,
    /// `bytes_pinned`
    pub pinned: Track,
    /// `bytes_used`
    pub used: Track,
    /// `total_bytes`
    pub total: Track,
}

impl Levels {
    /// The filesystems that are kept, in the order in which they were met.
    pub fn filesystems(&self) -> impl Iterator<Item = &FsLevels> {
        self.filesystems.iter()
    }

    /// The next record.
    pub(super) fn note(&mut self, record: &Record) {
        let header = record.header();
        let at = header.time;
        match record {
            Record::FsSeen(body) => {
                self.of(header.fs, at).fsid = body.fsid;
            }
            Record::FsEnd(_) => {
                let fs = self.of(header.fs, at);
                fs.to.get_or_insert(at);
                fs.shrink(AFTER_END);
            }
            Record::Levels(body) => {
                let most = self.most();
                self.of(header.fs, at).levels(at, body, most);
            }
            Record::Chain(body) => {
                let most = self.most();
                self.of(header.fs, at).chain(at, body, most);
            }
            Record::FailureState(body) => {
                let most = self.most();
                self.of(header.fs, at).state(at, body, most);
            }
            Record::Ticket(body) if body.error != 0 => self.of(header.fs, at).failed.add(at, 1),
            Record::Enospc(_) => self.of(header.fs, at).refused.add(at, 1),
            _ => {}
        }
    }

    /// Points that a counter of a living filesystem may have.
    fn most(&self) -> usize {
        let live = self.filesystems.iter().filter(|fs| fs.to.is_none()).count().max(1);
        (MOST * WITH_MOST / live).clamp(LEAST, MOST)
    }

    fn of(&mut self, id: u32, at: u64) -> &mut FsLevels {
        // Newest last, and what happens happens to them.
        let place = self.filesystems.iter().rposition(|fs| fs.fs == id).unwrap_or_else(|| {
            if self.filesystems.len() >= FILESYSTEMS {
                let oldest = self.filesystems.iter().position(|fs| fs.to.is_some()).unwrap_or(0);
                self.filesystems.remove(oldest);
                self.forgotten += 1;
            }
            self.filesystems.push_back(FsLevels { fs: id, from: at, ..FsLevels::default() });
            self.filesystems.len() - 1
        });
        &mut self.filesystems[place]
    }
}

impl FsLevels {
    fn levels(&mut self, at: u64, body: &fs::Levels, most: usize) {
        let flags = |space: &SpaceLevels| space.flags;
        for (space, nth) in numbered(&body.space, flags) {
            let tracks = self.space(space.flags, nth);
            tracks.may_use.note(at, space.may_use as i64, most);
            tracks.reserved.note(at, space.reserved as i64, most);
            tracks.pinned.note(at, space.pinned as i64, most);
            tracks.used.note(at, space.used as i64, most);
            tracks.total.note(at, space.total as i64, most);
        }
        let rsvs = [body.global, body.trans, body.chunk, body.delayed, body.delayed_refs];
        self.rsvs(at, &rsvs, most);
    }

    /// What is read at a failure shows the moment that matters most.
    fn state(&mut self, at: u64, body: &FailureState, most: usize) {
        let flags = |space: &probe_common::shortage::SpaceState| space.flags;
        for (space, nth) in numbered(&body.space, flags) {
            let tracks = self.space(space.flags, nth);
            tracks.may_use.note(at, space.may_use as i64, most);
            tracks.reserved.note(at, space.reserved as i64, most);
            tracks.pinned.note(at, space.pinned as i64, most);
            tracks.used.note(at, space.used as i64, most);
            tracks.total.note(at, space.total as i64, most);
        }
        let [global, trans, chunk, delayed, delayed_refs, ..] = body.rsvs;
        self.rsvs(at, &[global, trans, chunk, delayed, delayed_refs], most);
    }

    fn rsvs(&mut self, at: u64, rsvs: &[Rsv; 5], most: usize) {
        if self.rsvs.is_empty() {
            let pool = |account| Pool { account, reserved: Track::default() };
            self.rsvs = RSVS.map(pool).into();
        }
        for (pool, rsv) in self.rsvs.iter_mut().zip(rsvs) {
            pool.reserved.note(at, rsv.reserved as i64, most);
        }
    }

    /// A link of a chain. Links that fit are shown now and then only: what they did right after the last one that was shown is known
    /// when the next one is.
    fn chain(&mut self, at: u64, body: &Chain, most: usize) {
        let counter = match ChainCounter::from_u32(body.counter) {
            Some(counter @ (ChainCounter::BytesMayUse | ChainCounter::BytesPinned)) => counter,
            _ => return,
        };
        if body.event == CHAIN_REST {
            return;
        }
        let same = |space: &&SpaceTracks| space.flags == body.object_flags;
        let twins = self.spaces.iter().filter(same).count() > 1;
        if twins {
            // The chain may belong to either.
            return;
        }
        let key = (body.object_flags, body.counter);
        let shown = self.shown.iter_mut().find(|(flags, counter, _)| (*flags, *counter) == key);
        let before = match shown {
            Some((_, _, shown)) => Some(std::mem::replace(shown, at)),
            None => {
                self.shown.push((key.0, key.1, at));
                None
            }
        };
        let nth = self.next_of_type(body.object_flags);
        let nth = self.spaces.iter().find(same).map_or(nth, |space| space.nth);
        let tracks = self.space(body.object_flags, nth);
        let track = match counter {
            ChainCounter::BytesPinned => &mut tracks.pinned,
            _ => &mut tracks.may_use,
        };
        let underflow = body.diff < 0 && body.old < body.diff.unsigned_abs();
        let value = if underflow { 0 } else { body.old.wrapping_add_signed(body.diff) };
        if let Some(before) = before.filter(|_| body.event != CHAIN_OPEN) {
            // The value of this link is in its peak as well.
            let high = if body.peak > value { body.peak } else { body.expected };
            track.amend(before, high as i64, body.expected as i64, most);
        }
        track.note(at, value as i64, most);
    }

    fn next_of_type(&self, flags: u64) -> u32 {
        let of_type = |space: &&SpaceTracks| (space.flags ^ flags) & BLOCK_GROUP_TYPE_MASK == 0;
        self.spaces.iter().filter(of_type).count() as u32
    }

    fn space(&mut self, flags: u64, nth: u32) -> &mut SpaceTracks {
        let place = self.spaces.iter().position(|space| space.flags == flags && space.nth == nth);
        let place = place.unwrap_or_else(|| {
            self.spaces.push(SpaceTracks { flags, nth, ..SpaceTracks::default() });
            self.spaces.len() - 1
        });
        &mut self.spaces[place]
    }

    fn shrink(&mut self, most: usize) {
        for space in &mut self.spaces {
            let SpaceTracks { flags: _, nth: _, may_use, reserved, pinned, used, total } = space;
            [may_use, reserved, pinned, used, total].into_iter().for_each(|track| track.shrink(most));
        }
        self.rsvs.iter_mut().for_each(|pool| pool.reserved.shrink(most));
    }
}

/// The entries that are in use, each with its place among those of its type.
fn numbered<S>(spaces: &[S], flags: impl Fn(&S) -> u64) -> Vec<(&S, u32)> {
    let mut numbered: Vec<(&S, u32)> = Vec::with_capacity(spaces.len());
    for space in spaces.iter().filter(|space| flags(space) != 0) {
        let same = |(other, _): &&(&S, u32)| (flags(other) ^ flags(space)) & BLOCK_GROUP_TYPE_MASK == 0;
        let nth = numbered.iter().filter(same).count() as u32;
        numbered.push((space, nth));
    }
    numbered
}
