//! Books, names and watch of one stream, and the pictures that are made of them.
use std::{sync::Arc, time::Instant};

use probe_common::hook::HookId;

use super::walk::{self, FsNames, Walked};
use crate::{
    capture::{
        batch::RecordBatch,
        live::{Gauges, HookGauge},
        record::Record,
        session::{self, HookState, SessionEnd, SessionHeader},
        stream::Source,
    },
    ledger::{
        Ledger,
        finding::{Finding, Origin},
        summary::{FailedReservations, FsSummary, Statistics, Summary, Verdict},
    },
    report::{
        build::{self, Policy, ReportInput, StackResolver as _},
        format, model,
        model::StackSource,
    },
    session::{
        facts,
        names::{Stacks, StreamNames},
    },
    tui::{
        picture::{
            FsView, HealthView, HookLine, InodeDetail, InodeId, OriginView, Picture, PoolKey, ReplayView,
            SessionView, Wish,
        },
        watch::{self, SAMPLE_NS, Watch},
    },
};

/// Findings that are carried with their stacks and evidence; the kernel side makes far fewer.
const MAX_FINDINGS: usize = 1000;
/// Filesystems that have ended and are still shown.
const MAX_ENDED: usize = 16;
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
    /// The end of a recording.
    pub end: Option<SessionEnd>,
    /// The replay.
    pub replay: Option<ReplayView>,
    /// Filesystems mounted now.
    pub places: Option<Vec<session::FsPlace>>,
}

/// See the module.
#[derive(Debug)]
pub struct Scene {
    header: Arc<SessionHeader>,
    session: Arc<SessionView>,
    /// The books.
    pub ledger: Ledger,
    /// What the books do not keep.
    pub watch: Watch,
    names: StreamNames,
    undecodable: u64,
    walked: Walked,
    findings: (Vec<(u64, u64)>, Arc<Vec<model::Finding>>),
    gauges: Option<(Instant, Gauges)>,
    health: Arc<HealthView>,
    places: Option<Vec<session::FsPlace>>,
}

impl Scene {
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
            ledger: Ledger::new(facts::setup(&header)),
            header,
            session: Arc::new(session),
            watch: Watch::default(),
            names: StreamNames::default(),
            undecodable: 0,
            walked: Walked::default(),
            findings: Default::default(),
            gauges: None,
            health: Arc::default(),
            places: None,
        }
    }

    /// The next record.
    pub fn apply(&mut self, record: &Record) {
        self.ledger.apply(record);
        self.watch.apply(record, &self.ledger);
    }

    /// A batch of the stream.
    pub fn take(&mut self, source: &mut impl Source, batch: &RecordBatch) {
        let Self { ledger, watch, undecodable, .. } = self;
        for record in batch.decoded(undecodable) {
            ledger.apply(&record);
            watch.apply(&record, ledger);
        }
        self.names.add(source.take_symbols());
    }

    /// Names of addresses.
    pub fn add_symbols(&mut self, rows: Vec<session::SymbolRow>) {
        self.names.add(rows);
    }

    /// Follows this inode closely from now on.
    pub fn look_into(&mut self, id: Option<InodeId>) {
        self.watch.look_into(id, &self.ledger);
    }

    /// `CLOCK_MONOTONIC` ns of the session's start.
    fn started(&self) -> u64 {
        let started = u64::try_from(self.header.started_at_ns - self.header.wall_offset_ns).unwrap_or(0);
        // A recording whose begin is damaged starts with its first record.
        if self.header.started_at_ns == 0 { self.ledger.span().0 } else { started }
    }

    /// The stream's time, as ns since the start of the session.
    #[must_use]
    pub fn now_ns(&self) -> u64 {
        self.ledger.span().1.saturating_sub(self.started())
    }

    /// Whether the last picture could not show yet what the wish asks for.
    #[must_use]
    pub fn stale(&self, wish: &Wish) -> bool {
        self.walked.stale(wish)
    }

    /// Whether the next one can: nobody waits for a filter's answer longer than it takes.
    #[must_use]
    pub fn owes(&self, wish: &Wish) -> bool {
        self.stale(wish) && self.walked.due(wish)
    }

    /// One moment as the wish asks for it.
    pub fn picture(&mut self, wish: &Wish, extras: Extras) -> Picture {
        let started = self.started();
        let now_ns = self.now_ns();
        if extras.places.is_some() {
            self.places.clone_from(&extras.places);
        }
        let pools = self.ledger.pools();
        let names: FsNames = pools.iter().map(|fs| (fs.fs, short_name(fs))).collect();
        if self.walked.due(wish) {
            self.walked = Walked::walk(&self.ledger, &self.watch, &names, wish, now_ns);
            let doubts = self.failed_checks(&pools);
            self.walked.doubt(doubts);
            for (fs, held) in &self.walked.held {
                if let Some(pools) = self.watch.pools.get_mut(fs) {
                    pools.inodes(u64::try_from(*held).unwrap_or(0));
                }
            }
        }
        let findings = self.findings(&pools);
        self.health = Arc::new(self.health(&extras));
        let verdict = if findings.is_empty() { self.walked.verdict } else { Some(Verdict::Findings) };
        Picture {
            session: Arc::clone(&self.session),
            now_ns,
            verdict,
            reasons: Arc::clone(&self.walked.reasons),
            loss: self.ledger.loss(),
            records: self.watch.records(),
            record_rate: self.watch.record_rate(),
            failed: self.ledger.failed(),
            inodes: Arc::clone(&self.walked.inodes),
            focus: self.focus(&names, started, now_ns).map(Arc::new),
            filesystems: Arc::new(self.filesystems(&pools, started)),
            findings,
            windows: Arc::new(self.windows(started)),
            health: Arc::clone(&self.health),
            replay: extras.replay,
        }
    }

    /// What the kernel's own checks say, see [`build::failed_checks`].
    fn failed_checks(&self, pools: &[FsSummary]) -> Vec<String> {
        let stacks = Stacks { ledger: &self.ledger, names: &self.names };
        let findings = self.ledger.findings().iter().collect();
        let explanations = build::Explanations { findings, filesystems: pools, stacks: &stacks };
        build::failed_checks(&self.ledger.warnings(), &explanations)
    }

    fn windows(&self, started: u64) -> Vec<crate::tui::picture::WindowView> {
        let counts = self.watch.counts(&self.ledger);
        let command = self.session.command.join(" ");
        self.watch.windows.views(self.ledger.span().1, counts, &command, &|time| time.saturating_sub(started))
    }

    /// Findings as reports have them; made anew only if one is new or has grown.
    fn findings(&mut self, pools: &[FsSummary]) -> Arc<Vec<model::Finding>> {
        let all = self.ledger.findings();
        let version: Vec<(u64, u64)> =
            all.iter().take(MAX_FINDINGS).map(|finding| (finding.count, finding.last_seen)).collect();
        if version != self.findings.0 {
            let made = build_findings(&self.header, &self.ledger, &self.names, pools, all);
            self.findings = (version, Arc::new(made));
        }
        Arc::clone(&self.findings.1)
    }

    fn focus(&self, names: &FsNames, started: u64, now_ns: u64) -> Option<InodeDetail> {
        let focus = self.watch.focus.as_ref()?;
        let id = focus.id;
        let stacks = Stacks { ledger: &self.ledger, names: &self.names };
        let named = |origin: Origin| {
            let stack = if origin.stack.id == 0 { Vec::new() } else { stacks.frames(origin.stack.id) };
            let source = match (stack.is_empty(), origin.stack.representative) {
                (true, _) => StackSource::None,
                (false, true) => StackSource::Representative,
                (false, false) => StackSource::Exact,
            };
            OriginView { bytes: origin.bytes, count: origin.count, stack, source }
        };
        let origins = self.ledger.inode_origins(id.fs, id.root, id.ino);
        let (histories, span_ns) = focus.histories(CHART, &self.ledger);
        Some(InodeDetail {
            row: walk::row(&self.ledger, &self.watch, names, id),
            id,
            as_of_ns: now_ns,
            histories,
            span_ns,
            origins: origins.into_iter().map(named).collect(),
            reserved: focus.reserved().into_iter().map(named).collect(),
            records: focus.records(&self.ledger, &|time| time.saturating_sub(started)),
        })
    }

    /// Those that live first, then those that ended last.
    fn filesystems(&self, pools: &[FsSummary], started: u64) -> Vec<FsView> {
        let (live, ended): (Vec<_>, Vec<_>) = pools.iter().partition(|fs| !fs.ended);
        let ended = ended.into_iter().rev().take(MAX_ENDED);
        live.into_iter().chain(ended).map(|fs| self.filesystem(fs, started)).collect()
    }

    fn filesystem(&self, fs: &FsSummary, started: u64) -> FsView {
        let uuid = format::uuid(&fs.fsid);
        let places = self.places.as_ref().unwrap_or(&self.header.filesystems);
        let mounts = places.iter().find(|place| place.uuid == uuid).map(|place| place.mounts.clone());
        let held = self.walked.held.get(&fs.fs).map(|held| u64::try_from(*held).unwrap_or(0));
        let watched = self.watch.pools.get(&fs.fs);
        let mut rows = watch::pool_rows(fs, held);
        for row in &mut rows {
            row.history = watched.map(|pools| pools.history(&row.key)).unwrap_or_default();
        }
        let samples = rows.iter().filter(|row| row.key != PoolKey::Inodes).map(|row| row.history.len()).max();
        let tickets = self.watch.tickets.get(&fs.fs);
        FsView {
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
            span_ns: samples.unwrap_or(0) as u64 * SAMPLE_NS,
            tickets: fs.tickets,
            enospc: fs.enospc,
            flushes: tickets.map_or((0, 0), |tickets| (tickets.flushes, tickets.all_failed)),
            lines: tickets
                .map(|tickets| tickets.lines(&self.ledger, &|time| time.saturating_sub(started)))
                .unwrap_or_default(),
            audits: (fs.audit.compared, fs.audit.equal),
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
        let records = self.ledger.records().0;
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
        // Between two answers of the capture the numbers before are still the best there are.
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
            messages: extras.messages.clone(),
            warnings: self.watch.warnings,
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

fn short_name(fs: &FsSummary) -> Arc<str> {
    if fs.device.is_empty() {
        let uuid = format::uuid(&fs.fsid);
        return uuid.get(..8).unwrap_or_default().into();
    }
    fs.device.as_str().into()
}

/// Findings as reports have them, without what costs a walk.
fn build_findings(
    header: &SessionHeader,
    ledger: &Ledger,
    names: &StreamNames,
    pools: &[FsSummary],
    findings: &[Finding],
) -> Vec<model::Finding> {
    let span = ledger.span();
    let summary = Summary {
        verdict: Verdict::Findings,
        verdict_reasons: Vec::new(),
        doubts: Vec::new(),
        loss: ledger.loss(),
        filesystems: pools.to_vec(),
        failed: FailedReservations::default(),
        inodes: Vec::new(),
        warnings: Vec::new(),
        lines: ledger.kernel_lines(),
        statistics: Statistics::default(),
        span,
    };
    let mut facts = facts::facts(header, None, span, Vec::new());
    facts.paths = facts::paths(ledger);
    let stacks = Stacks { ledger, names };
    let policy = Policy::default();
    let input = ReportInput { summary: &summary, findings, stacks: &stacks, facts: &facts, policy: &policy };
    findings.iter().take(MAX_FINDINGS).map(|finding| build::build_finding(&input, finding)).collect()
}
