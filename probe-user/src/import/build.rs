//! What is told of a trace, and what cannot be.
use std::cmp::Reverse;

use super::{
    chain::Chain,
    filesystem::{Filesystem, MAX_UNDERFLOWS},
    model::{
        ChainRow, ErrorCount, EventCount, FlushRow, Imported, ImportedFs, ReservationRow, SCHEMA_VERSION,
        TaskCount, Tickets, Underflow,
    },
    seen::Seen,
};
use crate::format::{self, counted, uuid};

/// Tasks and qgroups that are listed.
const MOST: usize = 16;

/// Everything that the lines said.
#[must_use]
pub fn build(seen: Seen) -> Imported {
    let not_judged = not_judged(&seen);
    let findings_count = seen.filesystems.values().map(|fs| fs.underflows_count).sum::<u64>();
    let verdict_reasons = reasons(&seen, findings_count);
    let tasks_count = seen.tasks.len() as u64;
    let mut tasks: Vec<TaskCount> = seen
        .tasks
        .into_iter()
        .map(|(tid, (comm, events))| TaskCount { comm: comm.into(), tid, events })
        .collect();
    tasks.sort_by_key(|task| (Reverse(task.events), task.tid));
    tasks.truncate(MOST);
    let mut by_event: Vec<EventCount> =
        seen.by_event.into_iter().map(|(event, count)| EventCount { event: event.into(), count }).collect();
    by_event.sort_by_key(|row| Reverse(row.count));
    let left_out = seen.filesystems.values().map(|fs| fs.left_out).sum::<u64>();
    let mut findings: Vec<Underflow> =
        seen.filesystems.values().flat_map(|fs| fs.underflows.iter().cloned()).collect();
    findings.sort_by_key(|finding| finding.at.line);
    findings.truncate(MAX_UNDERFLOWS);
    Imported {
        schema_version: SCHEMA_VERSION,
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        verdict: if findings_count > 0 { "findings" } else { "inconclusive" }.to_owned(),
        verdict_reasons,
        lines: seen.lines,
        events: seen.events,
        not_understood: seen.not_understood,
        first_ns: seen.span.map(|(first, _)| first),
        last_ns: seen.span.map(|(_, last)| last),
        lost: seen.lost,
        by_event,
        tasks,
        tasks_count,
        findings,
        findings_count,
        warnings: seen.warnings,
        filesystems: seen.filesystems.into_iter().map(|(fsid, fs)| filesystem(uuid(&fsid), fs)).collect(),
        events_not_followed: seen.not_followed.saturating_add(left_out),
        not_judged,
    }
}

fn reasons(seen: &Seen, findings: u64) -> Vec<String> {
    let mut reasons = Vec::new();
    if seen.events == 0 {
        reasons.push(format!("Nothing in {} is an event of btrfs.", counted(seen.lines, "line")));
        return reasons;
    }
    if findings > 0 {
        let what = if findings == 1 { "change took" } else { "changes took" };
        reasons.push(format!("{} {what} more from a counter than there was.", format::count(findings)));
    }
    let all = |of: fn(&Chain) -> u64| seen.filesystems.values().flat_map(chains).map(of).sum::<u64>();
    let (links, breaks) = (all(|chain| chain.links), all(|chain| chain.breaks));
    if links > 0 {
        reasons.push(format!(
            "{} of counters found the value that the one before had left.",
            counted(links, "change")
        ));
    }
    if breaks > 0 {
        reasons.push(format!(
            "{} did not: events are missing there or stand in another order, or the filesystem has several space_infos of one type \
             (zoned). That is no finding.",
            counted(breaks, "change")
        ));
        let at_begin = |fs: &Filesystem| fs.breaks.iter().any(|at| at.at.line < seen.last_begin);
        if seen.filesystems.values().any(at_begin) {
            reasons.push(
                "The oldest events of a processor were overwritten: what is before its `buffer started` has gaps."
                    .to_owned(),
            );
        }
    }
    let lost = &seen.lost;
    if lost.events > 0 || lost.places_without_number > 0 {
        let places = match lost.places_without_number {
            0 => String::new(),
            places => format!(", and more in {}", counted(places, "place")),
        };
        reasons.push(format!(
            "The trace says that {} lost{places}: take it again with a larger buffer_size_kb.",
            are(lost.events)
        ));
    }
    if lost.overwritten > 0 {
        reasons.push(format!(
            "{} overwritten before the trace was saved: what came first is missing.",
            are(lost.overwritten)
        ));
    }
    if seen.not_understood > 0 {
        reasons.push(format!("{} not be read: they were cut or changed.", could(seen.not_understood)));
    }
    reasons.push(
        "A trace shows changes of counters, not who holds what: leaks, and releases by another owner, do not show in it.".to_owned(),
    );
    reasons
}

fn are(events: u64) -> String {
    format!("{} {}", counted(events, "event"), if events == 1 { "was" } else { "were" })
}

fn could(events: u64) -> String {
    format!("{} could", counted(events, "event"))
}

fn chains(fs: &Filesystem) -> impl Iterator<Item = &Chain> {
    fs.spaces.values().chain(fs.qgroups.values()).chain(fs.inodes.values())
}

/// What each event would show, if it is not in the trace.
const SHOWN_BY: [(&[&str], &str); 6] = [
    (&["update_bytes_may_use"], "bytes_may_use of the space_infos"),
    (&["update_bytes_pinned"], "bytes_pinned of the space_infos"),
    (
        &["qgroup_update_reserve", "btrfs_qgroup_update_reserve"],
        "what qgroups have reserved (if quotas are on)",
    ),
    (&["btrfs_inode_mod_outstanding_extents"], "outstanding_extents of inodes (from 6.12 on)"),
    (&["btrfs_reserve_ticket"], "waits for space (if there were any)"),
    (&["btrfs_space_reservation"], "sums by type of reservation"),
];

fn not_judged(seen: &Seen) -> Vec<String> {
    if seen.events == 0 {
        return Vec::new();
    }
    let mut list: Vec<String> = SHOWN_BY
        .iter()
        .filter(|(names, _)| names.iter().all(|name| !seen.by_event.contains_key(*name)))
        .map(|(names, what)| format!("{}: {what}.", names[0]))
        .map(|text| format!("No event {text}"))
        .collect();
    list.push(
        "What the block_rsvs of inodes, transactions and the filesystem hold: no event shows their counters."
            .to_owned(),
    );
    list.push("Whether what was reserved before the trace, or is held at its end, is right.".to_owned());
    list
}

fn filesystem(uuid: String, fs: Filesystem) -> ImportedFs {
    let chains = rows(&fs);
    let tickets = tickets(&fs);
    ImportedFs {
        uuid,
        chains,
        breaks: fs.breaks,
        breaks_count: fs.breaks_count,
        tickets,
        triggers: fs
            .triggers
            .into_iter()
            .map(|(event, count)| EventCount { event: event.into(), count })
            .collect(),
        flushes: fs
            .flushes
            .into_iter()
            .map(|(state, (calls, errors))| FlushRow { state: state.into(), calls, errors })
            .collect(),
        failed_all: fs.failed_all,
        reservations: fs
            .reservations
            .into_iter()
            .map(|(kind, (reserved, released))| ReservationRow { kind: kind.into(), reserved, released })
            .collect(),
        commits: fs.commits,
        extents_allocated: fs.extents.0,
        extents_freed: fs.extents.1,
    }
}

fn tickets(fs: &Filesystem) -> Tickets {
    let (longest_ns, longest_at) = fs.longest.clone().unzip();
    Tickets {
        granted: fs.granted,
        failed: fs.failed.values().sum(),
        errors: fs
            .failed
            .iter()
            .map(|(error, count)| ErrorCount { errno: error.saturating_neg(), count: *count })
            .collect(),
        longest_ns,
        longest_at,
        unmeasured: fs.unmeasured,
    }
}

fn rows(fs: &Filesystem) -> Vec<ChainRow> {
    let row = |account: String, object: String, chain: &Chain| ChainRow {
        account,
        object,
        links: chain.links,
        breaks: chain.breaks,
        value: chain.value,
        peak: Some(chain.peak),
    };
    let many = |account: &str, object: String, chains: &mut dyn Iterator<Item = &Chain>| {
        let (links, breaks) = chains.fold((0, 0), |sum, chain| (sum.0 + chain.links, sum.1 + chain.breaks));
        ChainRow { account: account.to_owned(), object, links, breaks, value: None, peak: None }
    };
    let mut rows: Vec<ChainRow> = fs
        .spaces
        .iter()
        .map(|((kind, counter), chain)| {
            row(format!("space.{}.{}", kind.to_lowercase(), counter.name()), kind.to_string(), chain)
        })
        .collect();
    let of_qgroup = |((id, kind), chain): (&(u64, Box<str>), &Chain)| {
        row(format!("qgroup.{}", kind.to_lowercase()), format::qgroup(*id), chain)
    };
    rows.extend(fs.qgroups.iter().take(MOST).map(of_qgroup));
    if fs.qgroups.len() > MOST {
        let rest = format!("{} more", fs.qgroups.len() - MOST);
        rows.push(many("qgroup", rest, &mut fs.qgroups.values().skip(MOST)));
    }
    if !fs.inodes.is_empty() {
        let all = counted(fs.inodes.len() as u64, "inode");
        rows.push(many("inode.outstanding_extents", all, &mut fs.inodes.values()));
    }
    rows
}
