//! What a report needs besides the books: from the stream's header and end, so that a replay says the same.
use std::collections::BTreeMap;

use jiff::Timestamp;
use probe_common::hook::HookId;
use probe_ledger::{Account, Ledger, Origin, SeenPath, Setup, StackRef};
use probe_record::session::{self, BtrfsBuild, SessionEnd, SessionHeader};
use rustc_hash::FxHashMap;

use super::{books::Books, names::Stacks, suite};
use crate::{
    attribution::TestWindow,
    format, history,
    hooks::{catalogue, functions},
    report::{
        build::{self, FsPlaces, Part, Policy, ReportInput, SessionFacts},
        model::{BtrfsKind, Hook, HookState, Kernel, Report, Tier, Timeline},
    },
};

/// Holders that a report lists.
const TOP_INODES: usize = 20;
/// Stacks that a report lists of all that reserved.
const RESERVING_STACKS: usize = 24;

/// What the books may expect of this session.
#[must_use]
pub fn setup(header: &SessionHeader) -> Setup {
    let hook_of = |id: &str| HookId::ALL.into_iter().find(|hook| hook.name() == id);
    let attached = |row: &&session::HookRow| row.state == session::HookState::Attached;
    Setup {
        attached: header.hooks.iter().filter(attached).filter_map(|row| hook_of(&row.id)).collect(),
        required: required(header),
        missing_reasons: header
            .hooks
            .iter()
            .filter(|row| !attached(row))
            .filter_map(|row| Some((hook_of(&row.id)?, row.reason.clone())))
            .collect(),
        only_named: header.options.contains_key(session::ONLY_FILESYSTEMS),
        ..Setup::default()
    }
}

/// Hooks without which no verdict can be `clean` in this session.
fn required(header: &SessionHeader) -> Vec<HookId> {
    let mut required = catalogue::required();
    if header.tier == session::Tier::Functions {
        let present = |hook: &HookId| header.hooks.iter().any(|row| row.id == hook.name());
        let functions =
            functions::FUNCTIONS.iter().filter(|function| function.required && !function.optional);
        required.extend(functions.map(|function| function.hook).filter(present));
    }
    required
}

/// Facts of a session for its report. `end` is `None` while it runs or if the capture was cut off.
#[must_use]
pub fn facts(
    header: &SessionHeader,
    end: Option<&SessionEnd>,
    span: (u64, u64),
    doubts: Vec<String>,
) -> SessionFacts {
    let started_at = timestamp(header.started_at_ns);
    let started_monotonic_ns = started(header, span.0);
    let last = i64::try_from(span.1).unwrap_or(0).saturating_add(header.wall_offset_ns);
    let ended_ns = end.map_or(last.max(header.started_at_ns), |end| end.ended_at_ns);
    let length = length(header, ended_ns, last);
    SessionFacts {
        kernel: Kernel {
            release: header.kernel.release.clone(),
            machine: header.kernel.machine.clone(),
            btrfs: match header.kernel.btrfs {
                BtrfsBuild::Module => BtrfsKind::Module,
                BtrfsBuild::Builtin | BtrfsBuild::Unknown => BtrfsKind::Builtin,
            },
        },
        tier: match header.tier {
            session::Tier::Functions => Tier::Functions,
            session::Tier::Tracepoints | session::Tier::Unknown => Tier::Tracepoints,
        },
        tier_reason: header.tier_reason.clone(),
        hooks: header.hooks.iter().map(|row| hook(row, end)).collect(),
        command: (!header.command.is_empty()).then(|| header.command.clone()),
        started_at,
        // No session ends before it began.
        ended_at: timestamp(ended_ns.max(header.started_at_ns.saturating_add(length))),
        started_monotonic_ns,
        duration_ns: u64::try_from(length).unwrap_or(0),
        places: places(header, end),
        paths: BTreeMap::new(),
        tests: Vec::new(),
        outside_tests: Vec::new(),
        doubts,
        flush_states: header.flush_states.clone(),
        timeline: Timeline::default(),
        reserving: Default::default(),
        part: None,
    }
}

/// `CLOCK_MONOTONIC` at the start of a session, ns. `first`: time of the first record, with which a recording starts whose begin
/// is damaged.
pub(super) fn started(header: &SessionHeader, first: u64) -> u64 {
    if header.started_at_ns == 0 {
        return first;
    }
    u64::try_from(header.started_at_ns.saturating_sub(header.wall_offset_ns)).unwrap_or(0)
}

/// Most by which wall clock and records differ at the end of a session, ns: losses come as a record each second.
const APART_NS: u64 = 3_000_000_000;

/// Length of a session in ns. Its records have a clock that nobody sets (`CLOCK_MONOTONIC`), and that stands still while the machine sleeps;
/// the wall clock counts only as long as it agrees with them. `last`: time of the last record, by the wall clock of the start.
const fn length(header: &SessionHeader, ended_ns: i64, last: i64) -> i64 {
    let by_wall = ended_ns.saturating_sub(header.started_at_ns);
    let by_records = last.saturating_sub(header.started_at_ns);
    if header.wall_offset_ns != 0 && by_wall.abs_diff(by_records) > APART_NS && by_records > 0 {
        by_records
    } else {
        by_wall
    }
}

/// The clock of a session.
pub(super) fn clock(header: &SessionHeader, ledger: &Ledger) -> suite::Clock {
    suite::Clock { started: started(header, ledger.span().0), wall_offset_ns: header.wall_offset_ns }
}

fn timestamp(ns: i64) -> Timestamp {
    Timestamp::from_nanosecond(i128::from(ns)).unwrap_or(Timestamp::UNIX_EPOCH)
}

fn hook(row: &session::HookRow, end: Option<&SessionEnd>) -> Hook {
    let counted = end.and_then(|end| end.hooks.iter().find(|count| count.id == row.id));
    Hook {
        id: row.id.clone(),
        kind: row.kind.clone(),
        target: row.target.clone(),
        state: match row.state {
            session::HookState::Attached => HookState::Attached,
            session::HookState::Skipped => HookState::Skipped,
            session::HookState::Failed | session::HookState::Unknown => HookState::Failed,
        },
        reason: (!row.reason.is_empty()).then(|| row.reason.clone()),
        hits: counted.map_or(0, |count| count.hits),
        missed: counted.map_or(0, |count| count.missed),
    }
}

/// Places at the end of the session, and for what was gone by then, at its start.
#[must_use]
pub fn places(header: &SessionHeader, end: Option<&SessionEnd>) -> BTreeMap<[u8; 16], FsPlaces> {
    let known = header.filesystems.iter().chain(end.into_iter().flat_map(|end| &end.filesystems));
    known
        .filter_map(|place| {
            let places = FsPlaces { devices: place.devices.clone(), mounts: place.mounts.clone() };
            Some((format::parse_uuid(&place.uuid)?, places))
        })
        .collect()
}

/// Paths of the inodes that findings speak of, as far as the kernel side sent them.
#[must_use]
pub fn paths(ledger: &Ledger) -> BTreeMap<(u32, u64, u64), SeenPath> {
    ledger
        .findings()
        .iter()
        .filter_map(|finding| {
            let (root, ino) = finding.violation.root.zip(finding.violation.ino)?;
            Some(((finding.violation.fs, root, ino), ledger.path(finding.violation.fs, root, ino)?.clone()))
        })
        .collect()
}

/// What the block_rsvs of inodes hold, by the stacks that reserved since the inode was last empty: of each inode in proportion to
/// what each reserved, since it is not known whose bytes were given back. Walks all inodes.
fn held(ledger: &Ledger) -> history::Stacks {
    let ended: Vec<u32> = ledger.pools().iter().filter(|fs| fs.ended).map(|fs| fs.fs).collect();
    let mut sums: FxHashMap<(u32, u64), (u64, u64, bool)> = FxHashMap::default();
    let mut others = 0_u64;
    ledger.for_each_inode(|inode| {
        let Some(held) = u64::try_from(inode.meta_rsv).ok().filter(|held| *held > 0) else { return };
        if ended.contains(&inode.fs) {
            return;
        }
        let origins = ledger.inode_origins(inode.fs, inode.root, inode.ino);
        let all: u128 = origins.iter().map(|origin| u128::from(origin.bytes)).sum();
        let mut rest = held;
        for Origin { bytes, count, stack } in origins {
            let share = u128::from(bytes) * u128::from(held) / all.max(1);
            let share = u64::try_from(share).unwrap_or(u64::MAX).min(bytes).min(rest);
            rest -= share;
            let (sum, reservations, representative) = sums.entry((inode.fs, stack.id)).or_default();
            *sum = sum.saturating_add(share);
            *reservations += count;
            *representative |= stack.representative;
        }
        others = others.saturating_add(rest);
    });
    let list = sums.into_iter().map(|((fs, id), (bytes, count, representative))| {
        (fs, Account::InodeMetaRsv, Origin { bytes, count, stack: StackRef { id, representative } })
    });
    history::Stacks::most(list.collect(), others, RESERVING_STACKS)
}

/// The report of a stream that has ended. `doubts`: what the books do not know of.
#[must_use]
pub fn report(
    header: &SessionHeader,
    end: Option<&SessionEnd>,
    doubts: Vec<String>,
    books: &Books,
    policy: &Policy,
) -> Report {
    report_of_part(header, end, doubts, books, (policy, None))
}

/// The report of a part of a stream that has ended.
#[must_use]
pub fn report_of_part(
    header: &SessionHeader,
    end: Option<&SessionEnd>,
    doubts: Vec<String>,
    books: &Books,
    (policy, part): (&Policy, Option<Part>),
) -> Report {
    let Books { ledger, names, windows, history, .. } = books;
    let summary = ledger.summary(TOP_INODES);
    let mut facts = facts(header, end, summary.span, doubts);
    facts.paths = paths(ledger);
    let stacks = Stacks { ledger, names };
    let ended = facts.started_monotonic_ns.saturating_add(facts.duration_ns).max(summary.span.1);
    facts.timeline = build::timeline(history, facts.started_monotonic_ns, ended);
    facts.reserving = (held(ledger), history.reserving.most(RESERVING_STACKS));
    (facts.tests, facts.outside_tests) = suite::tests(windows, ledger, &stacks, clock(header, ledger));
    if let Some(part) = &part {
        let wanted = |window: &TestWindow| match &part.test {
            Some(name) => window.name == *name,
            None => window.touches(part.from, part.to),
        };
        let mut kept = windows.list().iter().map(wanted);
        facts.tests.retain(|_| kept.next().unwrap_or(true));
    }
    facts.part = part;
    build::build(&ReportInput {
        summary: &summary,
        findings: ledger.findings(),
        stacks: &stacks,
        facts: &facts,
        policy,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
mod tests {
    use probe_common::{
        header::Header,
        inode::{COUNTERS_VALID, Counters, InodeState, MOMENT_DESTROY, Name},
    };

    use super::*;
    use probe_record::record::Record;

    /// `date -s` during a session made it last for days, or no time at all.
    #[test]
    fn a_wall_clock_that_is_set_does_not_change_the_length_of_a_session() {
        const SECOND: i64 = 1_000_000_000;
        let header = SessionHeader {
            started_at_ns: 1_000_000 * SECOND,
            wall_offset_ns: 999_000 * SECOND,
            ..SessionHeader::default()
        };
        let span = (1_000 * SECOND.unsigned_abs(), 1_009 * SECOND.unsigned_abs());
        let of = |seconds: i64| {
            let end =
                SessionEnd { ended_at_ns: header.started_at_ns + seconds * SECOND, ..SessionEnd::default() };
            let facts = facts(&header, Some(&end), span, Vec::new());
            let lasted = facts.ended_at.duration_since(facts.started_at).as_secs();
            (facts.duration_ns / SECOND.unsigned_abs(), lasted)
        };
        assert_eq!(of(10), (10, 10));
        assert_eq!(of(-86_400), (9, 9), "set back by a day");
        assert_eq!(of(86_410), (9, 86_410), "set to the next day, or asleep for one");
    }

    #[test]
    fn a_finding_names_the_path_of_its_inode() {
        let header = Header { fs: 256, tid: 7, time: 5, ..Header::default() };
        let mut components = [[0; 48]; 4];
        components[0][..4].copy_from_slice(b"file");
        components[1][..3].copy_from_slice(b"dir");
        let counters = Counters { reserved: 131_072, flags: COUNTERS_VALID, ..Counters::default() };
        let state = InodeState {
            header,
            root: 5,
            ino: 257,
            counters,
            moment: MOMENT_DESTROY,
            ..InodeState::default()
        };
        let mut books = Books::new(&SessionHeader::default());
        let ledger = &mut books.ledger;
        ledger.apply(&Record::from(Name { header, root: 5, ino: 257, components }));
        ledger.apply(&Record::from(state));
        ledger.finish();
        let report = report(&SessionHeader::default(), None, Vec::new(), &books, &Policy::default());
        let paths: Vec<_> = report.findings.iter().map(|finding| finding.path.as_deref()).collect();
        assert_eq!(paths, [Some("dir/file")]);
    }
}
