//! From the books to samples.
//!
//! What bounds the number of samples: labels are words of the tool or of the kernel, except for filesystems and devices. Of these, at most
//! [`MOST_FILESYSTEMS`] that are mounted have samples; failures of others count as `other`.
use std::collections::BTreeMap;

use nix::sys::resource::{UsageWho, getrusage};
use probe_common::{
    claim::{CLAIM_RESERVE, ClaimType},
    inode::DELALLOC_RESERVE,
    loss::LossClass,
};
use probe_ledger::{Account, FindingKind, FsSummary, FsWaits, Verdict};
use probe_record::{record::Record, session::SessionHeader};

use crate::{
    capture::Gauges,
    format,
    metrics::{Exposition, Value},
    report::{
        build::{self, WaitNames},
        ndjson::HeartbeatLine,
    },
    session::{books::Books, consume::Announcer, facts, top::memory},
};

/// Filesystems that have samples.
const MOST_FILESYSTEMS: usize = 32;
/// Rows of failures; what finds no room counts as `other`.
const MOST_FAILURES: usize = 1024;
/// Bounds of lengths of waits, powers of two in ns: 1 µs, then four times as much, up to 68 s.
const BOUNDS: std::ops::RangeInclusive<u32> = 10..=36;
/// Label of what has no row of its own.
const OTHER: &str = "other";

/// Accounts whose reservations the stream shows one by one, and whether it is a reservation.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// By account, then released and reserved: events and bytes.
    reservations: [[(u64, u64); 2]; ACCOUNTS.len()],
    /// How often each failure of the books had happened when it was last counted.
    failed: Vec<u64>,
    /// Failures by filesystem, kind, errno and cause.
    failures: BTreeMap<[String; 4], u64>,
}

const ACCOUNTS: [Account; 3] = [Account::InodeMetaRsv, Account::TransRsv, Account::FsDelayedRsv];

impl Counts {
    #[inline]
    pub(super) fn see(&mut self, record: &Record) {
        let (at, reserve, bytes) = match record {
            Record::Delalloc(delalloc) => (0, delalloc.flags & DELALLOC_RESERVE != 0, delalloc.bytes),
            Record::Claim(claim) => {
                let at = match ClaimType::from_u32(claim.claim) {
                    Some(ClaimType::Transaction) => 1,
                    Some(ClaimType::DelayedItem | ClaimType::DelayedInode) => 2,
                    // A claim that its thread gives back whole is no record.
                    Some(ClaimType::LocalDelayedRefs) | None => return,
                };
                (at, claim.flags & CLAIM_RESERVE != 0, claim.bytes)
            }
            _ => return,
        };
        let (events, sum) = &mut self.reservations[at][usize::from(reserve)];
        *events = events.saturating_add(1);
        *sum = sum.saturating_add(bytes);
    }

    /// Adds what failed since the last call, under the cause that the newest figures show.
    fn count_failures(&mut self, books: &Books, shown: &[&FsSummary]) {
        let all = books.ledger.shortages();
        self.failed.resize(all.len(), 0);
        for (shortage, before) in all.iter().zip(&mut self.failed) {
            let more = shortage.count.saturating_sub(*before);
            if more == 0 {
                continue;
            }
            *before = shortage.count;
            let known = shown.iter().any(|fs| fs.fs == shortage.fs);
            let mut key = [
                if known { format::uuid(&shortage.fsid) } else { OTHER.to_owned() },
                shortage.kind.name().to_owned(),
                build::errno(shortage.error),
                build::cause(shortage).unwrap_or_else(|| "unknown".to_owned()),
            ];
            if self.failures.len() >= MOST_FAILURES && !self.failures.contains_key(&key) {
                key = [OTHER, shortage.kind.name(), OTHER, OTHER].map(str::to_owned);
            }
            let count = self.failures.entry(key).or_default();
            *count = count.saturating_add(more);
        }
    }
}

/// All samples as of now.
pub(super) fn text(
    counts: &mut Counts,
    announcer: &Announcer,
    books: &Books,
    header: &SessionHeader,
    beat: &HeartbeatLine,
    gauges: Option<&Gauges>,
    watching: bool,
) -> String {
    let mut out = Exposition::default();
    let started = u64::try_from(header.started_at_ns).unwrap_or(0);
    let tier =
        if header.tier == probe_record::session::Tier::Functions { "functions" } else { "tracepoints" };
    out.add("build_info", &[env!("CARGO_PKG_VERSION"), &header.kernel.release, tier], 1);
    out.add("watching", &[], u64::from(watching));
    out.add("start_time_seconds", &[], Value::Ns(started));
    verdict(&mut out, beat);
    findings(&mut out, announcer, books);
    for (class, count) in losses(books) {
        out.add("lost", &[class.name()], count);
    }
    let mut own = books.ledger.record_count();
    for (hook, records) in books.ledger.records_by_hook() {
        own = own.saturating_sub(records);
        out.add("records", &[hook.name()], records);
    }
    out.add("records", &["tool"], own);
    let pools = books.ledger.pools();
    let (shown, left_out) = shown(&pools);
    counts.count_failures(books, &shown);
    reservations(&mut out, counts);
    out.add("stalls", &[], announcer.stalled() as u64);
    out.add("filesystems_left_out", &[], left_out as u64);
    let names =
        WaitNames { flush_states: &header.flush_states, started: facts::started(header, 0), stall_ns: 0 };
    for fs in shown {
        filesystem(&mut out, fs, &names);
    }
    costs(&mut out, gauges);
    out.finish()
}

/// The verdict as a set of states.
fn verdict(out: &mut Exposition, beat: &HeartbeatLine) {
    let now = beat.verdict.map_or("none", |verdict| verdict.0.name());
    let states = [Verdict::Clean, Verdict::Findings, Verdict::Inconclusive].map(Verdict::name);
    for state in states.into_iter().chain(["none"]) {
        out.add("verdict", &[state], u64::from(state == now));
    }
}

fn findings(out: &mut Exposition, announcer: &Announcer, books: &Books) {
    for kind in FindingKind::ALL {
        out.add("findings", &[kind.name()], announcer.counted_of(kind));
        let broken = books.ledger.findings().iter().filter(|finding| finding.violation.kind == kind);
        let times = broken.map(|finding| finding.count).fold(0, u64::saturating_add);
        out.add("violations", &[kind.name()], times);
    }
    let found = announcer.found();
    for (by, count) in [
        ("ignore-file", found.in_file),
        ("known", found.known),
        ("fail-on", found.of_other_kind),
        ("against", found.before),
    ] {
        out.add("findings_ignored", &[by], count as u64);
    }
}

fn losses(books: &Books) -> impl Iterator<Item = (LossClass, u64)> {
    let lost = books.ledger.loss();
    LossClass::ALL.into_iter().map(move |class| (class, lost.get(&class).copied().unwrap_or(0)))
}

/// Those that are mounted, and how many more there are. One UUID has one row.
fn shown(pools: &[FsSummary]) -> (Vec<&FsSummary>, usize) {
    let mut mounted: Vec<&FsSummary> = Vec::new();
    for fs in pools.iter().filter(|fs| !fs.ended) {
        if mounted.iter().all(|other| other.fsid != fs.fsid) {
            mounted.push(fs);
        }
    }
    let left_out = mounted.len().saturating_sub(MOST_FILESYSTEMS);
    mounted.truncate(MOST_FILESYSTEMS);
    (mounted, left_out)
}

fn reservations(out: &mut Exposition, counts: &Counts) {
    for (account, both) in ACCOUNTS.iter().zip(&counts.reservations) {
        for (direction, (events, bytes)) in ["release", "reserve"].into_iter().zip(both) {
            out.add("reservations", &[account.name(), direction], *events);
            out.add("reservation_bytes", &[account.name(), direction], *bytes);
        }
    }
    for (key, count) in &counts.failures {
        out.add("failures", &key.each_ref().map(String::as_str), *count);
    }
}

fn filesystem(out: &mut Exposition, fs: &FsSummary, names: &WaitNames<'_>) {
    let uuid = format::uuid(&fs.fsid);
    let uuid = uuid.as_str();
    out.add("filesystem_info", &[uuid, &fs.device], 1);
    out.add("filesystem_aborted", &[uuid], u64::from(fs.aborted));
    out.add("inodes", &[uuid], fs.inodes);
    out.add("enospc_events", &[uuid], fs.enospc);
    out.add("commits", &[uuid], fs.commits);
    out.add("tickets", &[uuid, "granted"], fs.tickets.0);
    out.add("tickets", &[uuid, "failed"], fs.tickets.1);
    let none = FsWaits::default();
    let waits = fs.waits.as_deref().unwrap_or(&none);
    out.add("tickets_waiting", &[uuid], waits.counted);
    let longest = waits.waiting.iter().map(probe_ledger::WaitingTicket::age).max();
    out.add("longest_wait_seconds", &[uuid], Value::Ns(longest.unwrap_or(0)));
    out.add_histogram("ticket_wait_seconds", &[uuid], &buckets(&waits.times.octaves), waits.times.total);
    let mut flushes: BTreeMap<(String, String), u64> = BTreeMap::new();
    for flush in &waits.flushes {
        let calls =
            flushes.entry((format::space_name(flush.space_flags, 0), names.state(flush.state))).or_default();
        *calls = calls.saturating_add(flush.calls);
    }
    for ((space, state), calls) in &flushes {
        out.add("flush_calls", &[uuid, space, state], *calls);
    }
    for space in fs.spaces() {
        let labels = [uuid, &format::space_name(space.flags, space.nth)];
        out.add("space_info_may_use_bytes", &labels, Value::Level(space.may_use as i64));
        out.add("space_info_pinned_bytes", &labels, Value::Level(space.pinned as i64));
        if let Some(rest) = space.rest {
            out.add("space_info_total_bytes", &labels, Value::Level(rest.total as i64));
            out.add("space_info_used_bytes", &labels, Value::Level(rest.used as i64));
            out.add("space_info_reserved_bytes", &labels, Value::Level(rest.reserved as i64));
        }
    }
    for (account, rsv) in fs.rsvs() {
        let labels = [uuid, account.name()];
        out.add("block_rsv_size_bytes", &labels, Value::Level(rsv.size as i64));
        out.add("block_rsv_reserved_bytes", &labels, Value::Level(rsv.reserved as i64));
    }
}

/// The same bounds in every sample, of the octaves that the books count.
fn buckets(octaves: &[(u64, u64)]) -> Vec<(u64, u64)> {
    let mut below = 0_u64;
    let mut buckets: Vec<(u64, u64)> = Vec::new();
    for power in BOUNDS.step_by(2) {
        let bound = 1_u64 << power;
        let from = std::mem::replace(&mut below, bound);
        let within = octaves.iter().filter(|(less, _)| *less > from && *less <= bound);
        buckets.push((bound, within.map(|(_, count)| *count).fold(0, u64::saturating_add)));
    }
    let longer = octaves.iter().filter(|(less, _)| *less > below).map(|(_, count)| *count);
    buckets.push((u64::MAX, longer.fold(0, u64::saturating_add)));
    buckets
}

/// What the session costs.
fn costs(out: &mut Exposition, gauges: Option<&Gauges>) {
    if let Some(gauges) = gauges {
        for hook in &gauges.hooks {
            out.add("hook_runs", &[hook.id], hook.hits);
            out.add("hook_skipped", &[hook.id], hook.missed);
            if let Some(run) = hook.run {
                out.add("hook_run_seconds", &[hook.id], Value::Ns(run.ns));
            }
        }
        out.add("ring_bytes", &[], gauges.ring_bytes);
        out.add("ring_peak_bytes", &[], gauges.ring_peak);
    }
    if let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) {
        let ns = |time: nix::sys::time::TimeVal| {
            u64::try_from(time.tv_sec()).unwrap_or(0) * 1_000_000_000
                + u64::try_from(time.tv_usec()).unwrap_or(0) * 1000
        };
        out.add("process_cpu_seconds", &[], Value::Ns(ns(usage.user_time()) + ns(usage.system_time())));
    }
    if let Some(memory) = memory() {
        out.add("process_resident_memory_bytes", &[], memory);
    }
}

#[cfg(test)]
mod tests;
