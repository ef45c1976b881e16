//! How a session stands, now and then: for the status line and the heartbeat.
use std::time::{Duration, Instant};

use probe_ledger::{FsSummary, Verdict};
use probe_record::stream::Source;

use super::{books::Books, facts};
use crate::{
    format,
    report::{
        build::{self, Policy, Tally},
        ndjson::{BiggestPool, HeartbeatLine},
    },
};

/// Judging may take one part in so many of the time: a clean verdict costs a walk over all inodes.
const SHARE: u32 = 20;

/// Makes heartbeats of one session.
#[derive(Debug, Default)]
pub struct Pulse {
    /// When the last one was made, and how many records there were.
    last: Option<(Instant, u64)>,
    verdict: Option<Verdict>,
    /// The verdict is good until then, unless there are findings.
    judge_again: Option<Instant>,
}

impl Pulse {
    /// How the session stands now. `found`: the findings so far.
    pub fn beat(
        &mut self,
        books: &Books,
        source: &impl Source,
        found: Tally,
        policy: &Policy,
    ) -> HeartbeatLine {
        let (ledger, header, now) = (&books.ledger, source.header(), Instant::now());
        let records = ledger.record_count();
        let rate = self.last.map_or(0, |(then, before)| per_second(records - before, now - then));
        self.last = Some((now, records));
        let pools = ledger.pools();
        if found.counted > 0 {
            self.verdict = Some(Verdict::Findings);
        } else if self.judge_again.is_none_or(|time| now >= time) {
            let mut doubts = books.doubts(source.notes());
            doubts.extend(books.failed_checks(&pools));
            let (verdict, _) = build::decide(ledger.judged(), found, &doubts, policy);
            // Before there was anything to judge, clean would say too much.
            let nothing =
                verdict == Verdict::Clean && !books.nothing_followed(header, source.end()).is_empty();
            self.verdict = (!nothing).then_some(verdict);
            self.judge_again = Some(Instant::now() + now.elapsed() * SHARE);
        }
        let waits: Vec<_> =
            ledger.waiting().filter_map(|fs| ledger.waits(fs)).map(|(_, waits)| waits).collect();
        let longest =
            waits.iter().flat_map(|waits| &waits.waiting).map(probe_ledger::WaitingTicket::age).max();
        HeartbeatLine {
            time_ns: ledger.now().saturating_sub(facts::started(header, ledger.span().0)),
            records,
            records_per_second: rate,
            lost: ledger.touching_loss(),
            findings: found.counted as u64,
            verdict: self.verdict.map(Into::into),
            biggest_pool: biggest(&pools),
            waiting: waits.iter().map(|waits| waits.counted).fold(0, u64::saturating_add),
            longest_wait_ns: longest.unwrap_or(0),
        }
    }
}

fn per_second(records: u64, time: Duration) -> u64 {
    let per = u128::from(records) * 1_000_000_000 / time.as_nanos().max(1);
    u64::try_from(per).unwrap_or(u64::MAX)
}

/// The space_info with the highest `bytes_may_use`.
fn biggest(pools: &[FsSummary]) -> Option<BiggestPool> {
    let live = pools.iter().filter(|fs| !fs.ended);
    let spaces = live.flat_map(|fs| fs.spaces().into_iter().map(move |space| (fs, space)));
    let (fs, space) = spaces.max_by_key(|(_, space)| space.may_use as i64)?;
    Some(BiggestPool {
        filesystem: format::uuid(&fs.fsid),
        device: fs.device.clone(),
        space: format::space_name(space.flags, space.nth),
        bytes_may_use: space.may_use as i64,
        total: space.rest.map(|rest| rest.total as i64),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use std::path::Path;

    use probe_common::fs::{Levels, SpaceLevels};
    use probe_record::file::RecordingReader;

    use super::*;
    use crate::session::consume::{Onlooker, into_books};

    /// Beats whenever it is asked to look.
    struct Beats<'a>(&'a mut Vec<HeartbeatLine>, Pulse);

    impl<S: Source> Onlooker<S> for Beats<'_> {
        fn now_and_then(&mut self, books: &Books, source: &S) {
            self.0.push(self.1.beat(books, source, Tally::default(), &Policy::default()));
        }
    }

    #[test]
    fn a_beat_says_how_the_session_stands() {
        let mut beats = Vec::new();
        let mut reader = RecordingReader::open(Path::new("testdata/recordings/audited.rsv")).unwrap();
        let books = into_books(&mut reader, Beats(&mut beats, Pulse::default()));
        let last = beats.last().unwrap();
        assert_eq!((last.records, last.findings, last.lost), (books.ledger.record_count(), 0, 0));
        assert_eq!(last.verdict.map(|verdict| verdict.0), Some(Verdict::Clean));
        let pool = last.biggest_pool.as_ref().unwrap();
        assert_eq!((pool.space.as_str(), pool.bytes_may_use), ("metadata", 5_767_168));
        assert_eq!((last.waiting, last.longest_wait_ns), (0, 0));
    }

    #[test]
    fn a_finding_is_told_at_once() {
        let reader = RecordingReader::open(Path::new("testdata/recordings/audited.rsv")).unwrap();
        let books = Books::new(reader.header());
        let mut pulse = Pulse::default();
        let mut beat = |counted| {
            let found = Tally { counted, ..Tally::default() };
            pulse.beat(&books, &reader, found, &Policy::default()).verdict.map(|verdict| verdict.0)
        };
        assert_ne!(beat(0), Some(Verdict::Findings));
        assert_eq!(beat(1), Some(Verdict::Findings));
    }

    #[test]
    fn the_biggest_pool_is_of_a_filesystem_that_lives() {
        let of = |fs, ended, may_use| {
            let mut levels = Levels::default();
            levels.space[0] = SpaceLevels { flags: 1, total: 1 << 30, ..SpaceLevels::default() };
            levels.space[1] = SpaceLevels { flags: 4, may_use, ..SpaceLevels::default() };
            FsSummary { fs, ended, levels: Some(levels), device: format!("loop{fs}"), ..FsSummary::default() }
        };
        let pools = [of(1, false, 4096), of(2, true, 8192), of(3, false, 1)];
        let biggest = biggest(&pools).unwrap();
        assert_eq!(
            (biggest.device.as_str(), biggest.space.as_str(), biggest.bytes_may_use),
            ("loop1", "metadata", 4096)
        );
        assert_eq!(super::biggest(&pools[1..2]), None);
    }
}
