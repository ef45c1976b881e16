//! Tracks, counts and levels: bounds hold, and nothing that stands out is lost.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
use probe_common::{
    chain::{CHAIN_LEVEL, CHAIN_OPEN, Chain, ChainCounter},
    fs::{FsEnd, Levels as LevelsRecord, SpaceLevels},
    header::Header,
    inode::{DELALLOC_RESERVE, Delalloc},
    loss::{LossClass, LossSample},
};
use probe_record::record::Record;
use proptest::prelude::*;

use super::{Counts, FsLevels, History, Track};

const MS: u64 = 1 << 20;

proptest! {
    /// However many values come, the number of points has a bound, times rise, and neither the highest nor the lowest value, nor the
    /// last one, is lost.
    #[test]
    fn a_track_is_bounded_and_keeps_what_stands_out(
        steps in prop::collection::vec((0..1_u64 << 34, -5_i64..1000), 1..600),
        most in 2_usize..60,
    ) {
        let mut track = Track::default();
        let mut at = 0;
        for (step, value) in &steps {
            at += step;
            track.note(at, *value, most);
        }
        let points = track.points();
        prop_assert!(points.len() <= most);
        prop_assert!(points.windows(2).all(|two| two[0].at < two[1].at));
        prop_assert!(points.iter().all(|point| point.low <= point.last && point.last <= point.high));
        prop_assert_eq!(track.high(), steps.iter().map(|(_, value)| *value).max());
        prop_assert_eq!(points.iter().map(|point| point.low).min(), steps.iter().map(|(_, value)| *value).min());
        prop_assert_eq!(track.last(), Some(steps[steps.len() - 1].1));
    }

    #[test]
    fn counts_are_bounded_and_lose_none(steps in prop::collection::vec((0..1_u64 << 32, 1..9_u64), 1..2000)) {
        let mut counts = Counts::default();
        let mut at = 0;
        for (step, count) in &steps {
            at += step;
            counts.add(at, *count);
        }
        prop_assert!(counts.points().len() <= 500);
        let sum: u64 = counts.points().iter().map(|(_, count)| count).sum();
        prop_assert_eq!(sum, steps.iter().map(|(_, count)| count).sum::<u64>());
    }

    /// What links did that were not shown is amended; the bound holds for that too.
    #[test]
    fn amendments_are_bounded(steps in prop::collection::vec((0..1_u64 << 30, 0..50_i64, 0..50_i64), 1..300)) {
        let mut track = Track::default();
        let (mut at, mut highest) = (0, 0);
        for (step, peak, value) in &steps {
            let before = at;
            at += step;
            track.amend(before, *peak, 0, 20);
            track.note(at, *value, 20);
            highest = highest.max(*value);
        }
        prop_assert!(track.points().len() <= 21);
        prop_assert!(track.high().unwrap() >= highest);
        prop_assert!(track.points().windows(2).all(|two| two[0].at < two[1].at));
    }
}

fn header(fs: u32, time: u64) -> Header {
    Header { fs, time, ..Header::default() }
}

fn chain(time: u64, event: u32, old: u64, diff: i64, peak: u64) -> Record {
    let counter = ChainCounter::BytesMayUse as u32;
    let body =
        Chain { header: header(1, time), object: 7, object_flags: 4, counter, event, ..Chain::default() };
    Record::from(Chain { expected: old, old, diff, peak, ..body })
}

fn first(history: &History) -> &FsLevels {
    history.levels.filesystems().next().unwrap()
}

/// A chain shows a link every quarter of a second. What came after it was there and is gone when the next link is shown.
#[test]
fn a_spike_that_no_record_shows_is_where_it_was() {
    let mut history = History::default();
    history.note(&chain(10 * MS, CHAIN_OPEN, 0, 4096, 4096));
    // Up to a MiB and back to nothing, unseen; then 8 KiB.
    history.note(&chain(900 * MS, CHAIN_LEVEL, 0, 8192, 1 << 20));
    let points: Vec<_> = first(&history).spaces[0]
        .may_use
        .points()
        .iter()
        .map(|point| (point.at / MS, point.low, point.high, point.last))
        .collect();
    assert_eq!(points, [(10, 0, 1 << 20, 0), (900, 8192, 8192, 8192)]);
}

#[test]
fn the_later_of_levels_and_chain_counts_and_twins_have_their_own() {
    let mut history = History::default();
    let metadata = |may_use| SpaceLevels { flags: 4, total: 100, used: 9, may_use, ..SpaceLevels::default() };
    let levels = |time, spaces: &[SpaceLevels]| {
        let mut body = LevelsRecord { header: header(1, time), ..LevelsRecord::default() };
        body.space[..spaces.len()].copy_from_slice(spaces);
        Record::from(body)
    };
    history.note(&chain(MS, CHAIN_OPEN, 0, 4096, 4096));
    history.note(&levels(2 * MS, &[metadata(7)]));
    assert_eq!(first(&history).spaces[0].may_use.last(), Some(7));
    history.note(&chain(3 * MS, CHAIN_LEVEL, 7, 1, 8));
    assert_eq!(first(&history).spaces[0].may_use.last(), Some(8));
    history.note(&levels(4 * MS, &[metadata(5), metadata(6)]));
    history.note(&chain(5 * MS, CHAIN_LEVEL, 5, 100, 105));
    let last: Vec<_> = first(&history)
        .spaces
        .iter()
        .map(|space| (space.nth, space.may_use.last(), space.used.last()))
        .collect();
    assert_eq!(last, [(0, Some(5), Some(9)), (1, Some(6), Some(9))]);
}

/// A test suite makes thousands of filesystems.
#[test]
fn the_newest_filesystems_are_kept() {
    let mut history = History::default();
    for fs in 1..=200 {
        let time = u64::from(fs) * MS;
        history.note(&Record::from(LevelsRecord { header: header(fs, time), ..LevelsRecord::default() }));
        if fs != 3 {
            history.note(&Record::from(FsEnd { header: header(fs, time + 9), ..FsEnd::default() }));
        }
    }
    let kept: Vec<u32> = history.levels.filesystems().map(|fs| fs.fs).collect();
    assert_eq!((kept.len(), kept[0], kept[63]), (64, 3, 200), "one that lives is older and stays");
    assert_eq!(history.levels.forgotten, 136);
}

#[test]
fn losses_are_counted_once() {
    let mut history = History::default();
    for (time, lost) in [(MS, 2), (9 * MS, 2), (20 * MS, 5)] {
        let mut sample = LossSample { header: header(0, time), ..LossSample::default() };
        sample.counts[LossClass::BooksRecord as usize] = lost;
        sample.counts[LossClass::Stack as usize] = 1000;
        history.note(&Record::from(sample));
    }
    assert_eq!(history.lost.points(), [(MS, 2), (20 * MS, 3)]);
}

/// The number of stacks has a bound, and no byte is lost with one.
#[test]
fn what_stacks_reserved_adds_up() {
    let mut history = History::default();
    let mut all = 0;
    for stack in 0..5000_u64 {
        let bytes = stack % 77 + 1;
        all += bytes;
        history.note(&Record::from(Delalloc {
            header: header(1, MS),
            bytes,
            stack,
            flags: DELALLOC_RESERVE,
            ..Delalloc::default()
        }));
    }
    let most = history.reserving.most(10);
    let listed: u64 = most.list.iter().map(|(_, _, origin)| origin.bytes).sum();
    assert_eq!(most.list.len(), 10);
    assert_eq!(listed + most.others, all);
}
