//! Books, names and watch of one stream, and the pictures that are made of them.
use std::{collections::BTreeMap, ops::Range, sync::Arc, time::Instant};

use probe_common::hook::HookId;
use probe_ledger::{FailedReservations, FsSummary, Origin, Shortage, Statistics, Summary, Verdict};
use probe_record::{
    batch::RecordBatch,
    record::Record,
    session::{self, HookState, SessionEnd, SessionHeader},
    stream::Source,
};
use rustc_hash::FxHashMap;

use super::walk::{self, FsNames, Walked};
use crate::{
    capture::{Gauges, HookGauge},
    format,
    report::{
        build::{
            self, FsPlaces, Group, Groups, Policy, ReportInput, STALL_NS, StackResolver as _, Tally,
            WaitNames,
        },
        model::{self, StackSource},
    },
    session::{books::Books, facts, names::Stacks, suite},
    tui::{
        picture::{
            FailureRow, FailuresView, FsView, HealthView, HookLine, InodeDetail, InodeId, OriginView,
            Picture, PoolKey, ReplayView, SessionView, SysfsComparisons, TestView, WindowView, WindowsView,
        },
        requests::Wish,
        watch::{self, SAMPLE_NS, Watch},
    },
};

/// Most findings that carry their stacks and evidence; the kernel side makes far fewer.
const MAX_FINDINGS: usize = 1000;
/// Filesystems that have ended and are still shown.
const MAX_ENDED: usize = 16;
/// Tests that are shown; the oldest give way.
const MAX_TESTS: usize = 2000;
/// Samples of an inode's history on the screen.
const CHART: usize = 200;

/// What only a live session, or only a replay, knows.
#[derive(Debug, Default)]
pub struct Extras {
    /// Counters of the capture.
    pub gauges: Option<Gauges>,
    /// Share of one CPU of this process in thousandths.
    pub cpu_permille: Option<u64>,
    /// Resident memory.
    pub memory: Option<u64>,
    /// Lines of the log.
    pub messages: Vec<String>,
    /// What a person should know of a recording that is over.
    pub notes: Vec<String>,
    /// The end of a recording.
    pub end: Option<SessionEnd>,
    /// The replay.
    pub replay: Option<ReplayView>,
    /// Filesystems mounted now.
    pub places: Option<Vec<session::FsPlace>>,
}

/// Follows one stream and makes pictures of it.
#[derive(Debug)]
pub struct PictureMaker {
    header: Arc<SessionHeader>,
    session: Arc<SessionView>,
    /// The books.
    pub books: Books,
    /// What the books do not keep.
    pub watch: Watch,
    walked: Walked,
    findings: Arc<Vec<model::Finding>>,
    /// Which instances `findings` are made of.
    groups: Groups,
    gauges: Option<(Instant, Gauges)>,
    health: Arc<HealthView>,
    places: Option<Vec<session::FsPlace>>,
}

impl PictureMaker {
    /// Empty books for a stream.
    #[must_use]
    pub fn new(header: Arc<SessionHeader>, recording: Option<String>) -> Self {
        let facts = facts::facts(&header, None, (0, 0), Vec::new());
        let session = SessionView {
            release: header.kernel.release.clone(),
            tier: facts.tier.name().to_owned(),
            tier_reason: facts.tier_reason.unwrap_or_default(),
            recording,
            command: header.command.clone(),
        };
        Self {
            books: Books::new(&header),
            header,
            session: Arc::new(session),
            watch: Watch::default(),
            walked: Walked::default(),
            findings: Arc::default(),
            groups: Groups::default(),
            gauges: None,
            health: Arc::default(),
            places: None,
        }
    }

    /// The next record.
    pub fn apply(&mut self, record: &Record) {
        self.books.apply(record);
        self.watch.apply(record, &self.books.ledger);
    }

    /// A batch of the stream.
    pub fn take(&mut self, source: &mut impl Source, batch: &RecordBatch) {
        let Self { books, watch, .. } = self;
        books.take(source, batch, |record, ledger| watch.apply(record, ledger));
    }

    /// The stream is over.
    pub fn finish(&mut self) {
        self.books.finish();
        self.walked.outdate();
    }

    /// The next picture is of another moment than the last: nothing of the last walk may be reused.
    pub const fn outdate(&mut self) {
        self.walked.outdate();
    }

    /// Follows this inode closely from now on.
    pub fn look_into(&mut self, id: Option<InodeId>) {
        self.watch.look_into(id, &self.books.ledger);
    }

    /// `CLOCK_MONOTONIC` ns of the session's start.
    #[must_use]
    pub fn started(&self) -> u64 {
        facts::started(&self.header, self.books.ledger.span().0)
    }

    /// The stream's time, as ns since the start of the session.
    #[must_use]
    pub fn now_ns(&self) -> u64 {
        self.books.ledger.span().1.saturating_sub(self.started())
    }

    /// Whether the last picture did not yet show what the wish asks for.
    #[must_use]
    pub fn stale(&self, wish: &Wish) -> bool {
        self.walked.stale(wish)
    }

    /// Whether the next picture can: a filter's answer comes as soon as it is computed.
    #[must_use]
    pub fn owes(&self, wish: &Wish) -> bool {
        self.stale(wish) && self.walked.due(wish)
    }

    /// A picture of this moment, as the wish asks for it.
    pub fn picture(&mut self, wish: &Wish, extras: Extras) -> Picture {
        let started = self.started();
        let now_ns = self.now_ns();
        if extras.places.is_some() {
            self.places.clone_from(&extras.places);
        }
        let pools = self.books.ledger.pools();
        let names: FsNames = pools.iter().map(|fs| (fs.fs, short_name(fs))).collect();
        let walks = self.walked.due(wish);
        if walks {
            self.walk(&pools, &names, wish, &extras, now_ns);
        }
        if !walks && self.walked.instances != self.books.ledger.findings().len() {
            // A broken rule shows at once, with its reasons. Only `clean` needs a walk.
            self.findings(&pools, false);
            self.judge(&pools, &extras);
        }
        self.health = Arc::new(self.health(&extras));
        let ledger = &self.books.ledger;
        // Before the stream has begun, there is nothing to say.
        let begun = ledger.record_count() > 0 || self.books.over;
        Picture {
            session: Arc::clone(&self.session),
            now_ns,
            verdict: self.walked.verdict.filter(|_| begun),
            reasons: Arc::clone(&self.walked.reasons),
            loss: ledger.loss(),
            records: ledger.record_count(),
            record_rate: self.watch.record_rate(),
            failed: build::failed(ledger.failed()),
            inodes: Arc::clone(&self.walked.inodes),
            focus: self.focus(&names, started, now_ns).map(Arc::new),
            filesystems: Arc::new(self.filesystems(&pools, &extras, started)),
            findings: Arc::clone(&self.findings),
            found: self.groups.list().len() as u64,
            failures: Arc::clone(&self.walked.failures),
            windows: Arc::new(self.windows(started)),
            health: Arc::clone(&self.health),
            replay: extras.replay,
        }
    }

    /// Makes the parts of a picture that are costly.
    fn walk(&mut self, pools: &[FsSummary], names: &FsNames, wish: &Wish, extras: &Extras, now_ns: u64) {
        let begun = Instant::now();
        self.walked = Walked::inodes(&self.books.ledger, &self.watch, names, wish, now_ns);
        for (fs, held) in &self.walked.held {
            if let Some(pools) = self.watch.pools.get_mut(fs) {
                pools.inodes(*held);
            }
        }
        (self.walked.tests, self.walked.test_of) = self.tests(pools);
        self.shortages(pools, names);
        self.findings(pools, true);
        self.judge(pools, extras);
        self.walked.over(begun, wish);
    }

    /// Failures and draws as reports have them: all of them again, since paths and function names come late.
    fn shortages(&mut self, pools: &[FsSummary], names: &FsNames) {
        let ledger = &self.books.ledger;
        let (failures, draws) = with_input(&self.header, &self.books, Vec::new(), |input| {
            let row = |(number, shortage): (usize, &Shortage)| FailureRow {
                number: u32::try_from(number).unwrap_or(u32::MAX),
                fs: shortage.fs,
                device: names.get(&shortage.fs).cloned().unwrap_or_default(),
                failure: build::build_failure(input, shortage),
            };
            let failures = FailuresView {
                rows: ledger.shortages().iter().enumerate().map(row).collect(),
                left_out: ledger.shortages_beyond(),
            };
            let of =
                |fs: &FsSummary| Some((fs.fs, Arc::new(build::build_draws(input, fs.draws.as_deref()?))));
            (failures, pools.iter().filter_map(of).collect())
        });
        self.walked.failures = Arc::new(failures);
        self.walked.draws = draws;
    }

    /// The verdict as a report of this moment has it.
    fn judge(&mut self, pools: &[FsSummary], extras: &Extras) {
        let ledger = &self.books.ledger;
        let nothing = self.books.nothing_followed(&self.header, extras.end.as_ref());
        let mut doubts = self.books.doubts(extras.notes.clone());
        // What is missing may still come while the stream goes on.
        let waits = !self.books.over;
        if !waits {
            doubts.extend(nothing.iter().cloned());
        }
        doubts.extend(self.books.failed_checks(pools));
        let mut found = Tally::of(&self.findings);
        for group in self.groups.list().iter().skip(self.findings.len()) {
            let number = if group.known.is_some() { &mut found.known } else { &mut found.counted };
            *number += 1;
        }
        let (verdict, reasons) = build::decide(ledger.judged(), found, &doubts, &Policy::default());
        self.walked.instances = ledger.findings().len();
        self.walked.verdict = Some(verdict);
        self.walked.reasons = Arc::new(reasons);
        if waits {
            self.walked.wait_for(nothing);
        }
    }

    /// Rows of the newest tests, newest first, and the names of the tests of findings.
    fn tests(&self, pools: &[FsSummary]) -> (Vec<WindowView>, FxHashMap<u32, String>) {
        let Books { ledger, windows, .. } = &self.books;
        if windows.is_empty() {
            return Default::default();
        }
        let (stacks, pools, started) = (self.books.stacks(), suite::Pools::over(pools), self.started());
        let judge = suite::TestJudge::new(windows, ledger, &stacks, &pools);
        let older = windows.list().len().saturating_sub(MAX_TESTS);
        let first = windows.list().get(older).map_or(0, |window| window.number);
        let mut tests = judge.tests(|window| window.number >= first);
        for test in &mut tests {
            test.verdict = judge.verdict(test, &Policy::default());
        }
        let rows = tests.into_iter().rev().map(|test| test_view(test, started)).collect();
        (rows, judge.test_of())
    }

    fn windows(&self, started: u64) -> WindowsView {
        let Books { ledger, windows, .. } = &self.books;
        let command = self.session.command.join(" ");
        let since_start = |time: u64| time.saturating_sub(started);
        let counts = watch::counts(ledger);
        let found = |instances: Range<u32>| self.groups.ids(&instances.collect::<Vec<_>>()).len() as u64;
        let mut rows = self.watch.commands.views(ledger.now(), counts, &command, &since_start, &found);
        rows.extend(self.walked.tests.iter().cloned());
        rows.sort_by_key(|row| std::cmp::Reverse(row.begun_ns));
        let older = windows.list().len().saturating_sub(MAX_TESTS) as u64;
        WindowsView { rows, older: older + windows.forgotten() }
    }

    /// Findings of the report so far.
    pub fn found(&mut self) -> usize {
        let Self { books, groups, .. } = self;
        let findings = books.ledger.findings();
        if groups.taken() < findings.len() {
            let fsid = |fs| books.ledger.pools().iter().find(|pool| pool.fs == fs).map(|pool| pool.fsid);
            groups.add(findings, &books.stacks(), fsid);
        }
        groups.list().len()
    }

    /// Findings as reports show them. `anew`: all of them again, since counts grow, and paths and function names come late;
    /// else only the new ones.
    fn findings(&mut self, pools: &[FsSummary], anew: bool) {
        if anew {
            self.groups = Groups::default();
        }
        let known = if anew { 0 } else { self.findings.len() };
        if self.found().min(MAX_FINDINGS) <= known {
            return;
        }
        let fresh = self.groups.list().iter().take(MAX_FINDINGS).skip(known);
        let mut made = build_findings(&self.header, &self.books, pools, fresh);
        for finding in &mut made {
            finding.test = self.walked.test_of.get(&finding.id).cloned();
        }
        if known == 0 {
            self.findings = Arc::new(made);
        } else {
            Arc::make_mut(&mut self.findings).extend(made);
        }
        build::name_causes(Arc::make_mut(&mut self.findings).as_mut_slice());
    }

    fn focus(&self, names: &FsNames, started: u64, now_ns: u64) -> Option<InodeDetail> {
        let focus = self.watch.focus.as_ref()?;
        let id = focus.id;
        let (ledger, stacks) = (&self.books.ledger, self.books.stacks());
        let named = |origin: Origin| {
            let stack = if origin.stack.id == 0 { Vec::new() } else { stacks.frames(origin.stack.id) };
            let source = match (stack.is_empty(), origin.stack.representative) {
                (true, _) => StackSource::None,
                (false, true) => StackSource::Representative,
                (false, false) => StackSource::Exact,
            };
            OriginView { bytes: origin.bytes, count: origin.count, stack, source }
        };
        let origins = ledger.inode_origins(id.fs, id.root, id.ino);
        let (histories, span_ns) = focus.histories(CHART, ledger);
        Some(InodeDetail {
            row: walk::row(ledger, &self.watch, names, id),
            id,
            as_of_ns: now_ns,
            histories,
            span_ns,
            origins: origins.into_iter().map(named).collect(),
            reserved: focus.reserved().into_iter().map(named).collect(),
            records: focus.records(ledger, &|time| time.saturating_sub(started)),
        })
    }

    /// Living filesystems first, then the last that ended.
    fn filesystems(&self, pools: &[FsSummary], extras: &Extras, started: u64) -> Vec<FsView> {
        let places = facts::places(&self.header, extras.end.as_ref());
        let (live, ended): (Vec<_>, Vec<_>) = pools.iter().partition(|fs| !fs.ended);
        let ended = ended.into_iter().rev().take(MAX_ENDED);
        live.into_iter().chain(ended).map(|fs| self.filesystem(fs, &places, started)).collect()
    }

    fn filesystem(&self, fs: &FsSummary, places: &BTreeMap<[u8; 16], FsPlaces>, started: u64) -> FsView {
        let uuid = format::uuid(&fs.fsid);
        let mounts = match &self.places {
            Some(now) => now.iter().find(|place| place.uuid == uuid).map(|place| place.mounts.clone()),
            None => places.get(&fs.fsid).map(|place| place.mounts.clone()),
        };
        // One without a live inode is in no walk, and its inodes hold nothing.
        let held = Some(self.walked.held.get(&fs.fs).copied().unwrap_or(0));
        let watched = self.watch.pools.get(&fs.fs);
        let mut rows = watch::pool_rows(fs, held);
        for row in &mut rows {
            row.history = watched.map(|pools| pools.history(&row.key)).unwrap_or_default();
            // The last moment is what it is now.
            if let Some(last) = row.history.last_mut() {
                *last = u64::try_from(row.held).unwrap_or(0);
            }
        }
        let samples = rows.iter().filter(|row| row.key != PoolKey::Inodes).map(|row| row.history.len()).max();
        let tickets = self.watch.tickets.get(&fs.fs);
        let names = WaitNames { flush_states: &self.header.flush_states, started, stall_ns: STALL_NS };
        FsView {
            waits: names.waits(fs.waits.as_deref()),
            flush: names.flushes(fs),
            fs: fs.fs,
            uuid,
            device: fs.device.clone(),
            mounts: mounts.unwrap_or_default(),
            ended: fs.ended,
            aborted: fs.aborted,
            inodes: fs.inodes,
            transid: fs.levels.map_or(0, |levels| levels.transid),
            levels_ns: fs.levels.map(|levels| levels.header.time.saturating_sub(started)),
            pools: rows,
            holders: build::holders(fs, started),
            span_ns: samples.unwrap_or(0) as u64 * SAMPLE_NS,
            tickets: fs.tickets,
            enospc: fs.enospc,
            flushes: tickets.map_or((0, 0), |tickets| (tickets.flushes, tickets.all_failed)),
            lines: tickets
                .map(|tickets| tickets.lines(&self.books.ledger, &|time| time.saturating_sub(started)))
                .unwrap_or_default(),
            draws: self.walked.draws.get(&fs.fs).cloned(),
            sysfs: SysfsComparisons {
                compared: fs.audit.compared,
                equal: fs.audit.equal,
                moving: fs.audit.moving,
            },
        }
    }

    fn health(&mut self, extras: &Extras) -> HealthView {
        let now = Instant::now();
        let before = match &extras.gauges {
            Some(gauges) => self.gauges.replace((now, gauges.clone())),
            None => None,
        };
        let elapsed =
            before.as_ref().map(|(then, _)| u64::try_from((now - *then).as_nanos()).unwrap_or(u64::MAX));
        let records = self.books.ledger.records_by_hook();
        let line = |row: &session::HookRow| {
            let now = extras.gauges.as_ref().and_then(|gauges| gauge(gauges, &row.id));
            let before = before.as_ref().and_then(|(_, gauges)| gauge(gauges, &row.id));
            let ended = extras.end.as_ref().and_then(|end| end.hooks.iter().find(|hook| hook.id == row.id));
            let run = now.and_then(|now| {
                let (run, then) = (now.run?, before?.run.unwrap_or_default());
                Some((run.ns.saturating_sub(then.ns), run.runs.saturating_sub(then.runs)))
            });
            let id = HookId::ALL.into_iter().find(|hook| hook.name() == row.id);
            HookLine {
                id: row.id.clone(),
                target: row.target.clone(),
                attached: row.state == HookState::Attached,
                skipped: row.state == HookState::Skipped,
                reason: row.reason.clone(),
                hits: now.map(|now| now.hits).or(ended.map(|end| end.hits)),
                rate: now
                    .zip(before)
                    .and_then(|(now, then)| per_second(now.hits.saturating_sub(then.hits), elapsed)),
                missed: now.map(|now| now.missed).or(ended.map(|end| end.missed)),
                records: id.and_then(|id| records.get(&id).copied()).unwrap_or(0),
                ns_per_run: run.and_then(|(ns, runs)| ns.checked_div(runs)),
                cpu_permille: run.and_then(|(ns, _)| (ns * 1000).checked_div(elapsed?)),
            }
        };
        let hooks: Vec<HookLine> = self.header.hooks.iter().map(line).collect();
        let live = extras.replay.is_none();
        let keep = Arc::clone(&self.health);
        // Until the capture answers again, the old numbers are the best there are.
        let fresh = extras.gauges.is_some();
        HealthView {
            programs_permille: if fresh {
                sum(hooks.iter().map(|hook| hook.cpu_permille))
            } else {
                keep.programs_permille
            },
            hooks: if fresh || !live || keep.hooks.is_empty() { hooks } else { keep.hooks.clone() },
            ring: extras.gauges.as_ref().map(|gauges| (gauges.ring_bytes, gauges.ring_peak)).or(keep.ring),
            cpu_permille: extras.cpu_permille.or(keep.cpu_permille),
            memory: extras.memory.or(keep.memory),
            walk_ns: live.then(|| u64::try_from(self.walked.cost.as_nanos()).unwrap_or(u64::MAX)),
            closed: extras.gauges.as_ref().map(|gauges| gauges.closed).or(keep.closed),
            messages: extras.messages.iter().chain(&extras.notes).cloned().collect(),
            warnings: self.books.ledger.warned(),
        }
    }
}

fn gauge<'a>(gauges: &'a Gauges, id: &str) -> Option<&'a HookGauge> {
    gauges.hooks.iter().find(|gauge| gauge.id == id)
}

fn per_second(count: u64, elapsed_ns: Option<u64>) -> Option<u64> {
    let per = u128::from(count) * 1_000_000_000 / u128::from(elapsed_ns.filter(|ns| *ns > 0)?);
    u64::try_from(per).ok()
}

/// The sum of what is known; `None` if nothing is.
fn sum(values: impl Iterator<Item = Option<u64>>) -> Option<u64> {
    values.flatten().reduce(u64::saturating_add)
}

fn test_view(test: suite::TestNow<'_>, started: u64) -> WindowView {
    let suite::TestNow { window, verdict, reasons: _, instances: _, found, duration_ns, records, lost } =
        test;
    WindowView {
        name: window.name.clone(),
        test: Some(TestView {
            number: window.number,
            run: window.run,
            section: window.section.clone(),
            result: window.result.as_ref().map(|(word, _)| word.clone()),
            verdict,
        }),
        begun_ns: window.began.saturating_sub(started),
        length_ns: duration_ns,
        ended: window.ended.is_some(),
        records,
        lost,
        findings: found,
    }
}

fn short_name(fs: &FsSummary) -> Arc<str> {
    if fs.device.is_empty() {
        let uuid = format::uuid(&fs.fsid);
        return uuid.get(..8).unwrap_or_default().into();
    }
    fs.device.as_str().into()
}

/// These findings as reports have them.
fn build_findings<'a>(
    header: &SessionHeader,
    books: &Books,
    pools: &[FsSummary],
    groups: impl Iterator<Item = &'a Group>,
) -> Vec<model::Finding> {
    with_input(header, books, pools.to_vec(), |input| {
        groups.filter_map(|group| build::build_finding(input, group)).collect()
    })
}

/// Gives what a report is made of: the books as of now, without the sums over all inodes.
fn with_input<T>(
    header: &SessionHeader,
    books: &Books,
    pools: Vec<FsSummary>,
    make: impl FnOnce(&ReportInput<'_>) -> T,
) -> T {
    let ledger = &books.ledger;
    let span = ledger.span();
    let summary = Summary {
        verdict: Verdict::Findings,
        verdict_reasons: Vec::new(),
        doubts: Vec::new(),
        loss: ledger.loss(),
        filesystems: pools,
        failed: FailedReservations::default(),
        shortages: (Vec::new(), 0),
        inodes: Vec::new(),
        warnings: Vec::new(),
        lines: ledger.kernel_lines(),
        statistics: Statistics::default(),
        span,
    };
    let mut facts = facts::facts(header, None, span, Vec::new());
    facts.paths = facts::paths(ledger);
    let stacks = Stacks { ledger, names: &books.names };
    let policy = Policy::default();
    let input = ReportInput {
        summary: &summary,
        findings: ledger.findings(),
        stacks: &stacks,
        facts: &facts,
        policy: &policy,
    };
    make(&input)
}
