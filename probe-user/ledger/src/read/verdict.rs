//! The verdict (clean, findings or inconclusive) and its reasons.
use probe_common::{hook::HookId, loss::LossClass};

use super::{
    kernel_lines, not_judged,
    summary::{Judged, Verdict},
};
use crate::context::statistics::Counts;
use crate::{
    book::{filesystems::Filesystems, loss::Phase},
    context::Context,
    rule::calls::books::{Calls, NEEDED},
    vocabulary::{setup::Setup, words::grouped},
};

/// The verdict so far and its reasons.
pub(crate) fn verdict(setup: &Setup, context: &Context, filesystems: &Filesystems, calls: &Calls) -> Judged {
    let mut doubts = doubts(setup, context, filesystems, calls);
    let findings = context.pending.findings().len();
    if findings > 0 {
        let mut reasons = vec![match findings {
            1 => "1 rule was broken: see the finding.".to_owned(),
            n => format!("{n} rules were broken: see the findings."),
        }];
        let beyond = context.pending.beyond_bound();
        if beyond > 0 {
            doubts.insert(0, format!("{beyond} more findings were only counted."));
        }
        reasons.extend(doubts.iter().cloned());
        return Judged { verdict: Verdict::Findings, reasons, doubts };
    }
    if !doubts.is_empty() {
        return Judged { verdict: Verdict::Inconclusive, reasons: doubts.clone(), doubts };
    }
    Judged { verdict: Verdict::Clean, reasons: checked(setup, context, filesystems, calls), doubts }
}

/// What could hide a finding.
fn doubts(setup: &Setup, context: &Context, filesystems: &Filesystems, calls: &Calls) -> Vec<String> {
    let mut doubts = Vec::new();
    let functions: &[HookId] = if calls.wanted { &NEEDED } else { &[] };
    let functions = functions.iter().filter(|hook| !setup.required.contains(hook));
    for hook in setup.required.iter().chain(functions).filter(|hook| !setup.attached.contains(hook)) {
        doubts.push(missing(setup, *hook));
    }
    if context.loss.phase() == Phase::Before {
        doubts.push(
            "The stream does not say that all hooks were attached: record again from the beginning."
                .to_owned(),
        );
    }
    let loss = &context.loss;
    for class in LossClass::ALL.into_iter().filter(|class| class.touches_books()) {
        let count = loss.count(class);
        if count > 0 {
            doubts.push(loss_sentence(class, count));
        }
    }
    if !loss.trusts_all() && loss.unclassified() > 0 {
        doubts.push(format!(
            "{} records were lost in the ring and not counted by class: run again with --ring-size 64M.",
            grouped(loss.unclassified())
        ));
    }
    let withdrawn = context.pending.withdrawn();
    if withdrawn > 0 {
        doubts.push(format!(
            "Possible findings dropped because a loss could explain them: {}.",
            grouped(withdrawn)
        ));
    }
    if context.pending.waiting() > 0 {
        doubts.push(format!(
            "Possible findings that wait for the next reading of the loss counters: {}.",
            context.pending.waiting()
        ));
    }
    if calls.checked.orphans > 0 {
        doubts.push(format!(
            "{} calls were made inside a call that was never seen to return: run again with --tier tracepoints.",
            grouped(calls.checked.orphans)
        ));
    }
    let sums = filesystems.sums();
    let unreadable = sums.not_judged.unreadable;
    if unreadable > 0 {
        doubts.push(format!(
            "The counters of {} inodes could not be read when they were destroyed: please report the kernel's version.",
            grouped(unreadable)
        ));
    }
    let unexplained = sums.unexplained;
    if unexplained > 0 {
        doubts.push(format!(
            "{} times a qgroup counter had changed without its tracepoint, as it does when quotas are switched on or off: \
             the books went on from the value that was found.",
            grouped(unexplained)
        ));
    }
    if let Some(why) = setup.deaf() {
        doubts.push(format!(
            "The kernel's log is not read ({why}): what btrfs complains of there was not seen."
        ));
    }
    doubts.extend(kernel_lines::doubts(
        &context.printed,
        &kernel_lines::list(&context.printed, setup, &context.pending, filesystems),
    ));
    let explained = sums.explained;
    if explained > 0 && loss.phase() != Phase::Before && !loss.trusts_all() {
        doubts.push(format!(
            "{} counters had changed where records were lost: what happened to them meanwhile is not known.",
            grouped(explained)
        ));
    }
    doubts
}

fn missing(setup: &Setup, hook: HookId) -> String {
    let why = setup.missing_reasons.iter().find(|(of, _)| *of == hook).map(|(_, why)| why.as_str());
    format!(
        "The hook {} is not attached ({}): `btrfs-probe doctor` says what it needs.",
        hook.name(),
        why.unwrap_or("no reason given")
    )
}

fn loss_sentence(class: LossClass, count: u64) -> String {
    let n = grouped(count);
    match class {
        LossClass::BooksRecord | LossClass::ChainRecord => {
            format!("{n} records ({}) were lost in the ring: run again with --ring-size 64M.", class.name())
        }
        LossClass::TaskCell | LossClass::InodeCell | LossClass::FsCell | LossClass::ChainCell => format!(
            "{n} times there was no room to follow one more object ({}): follow fewer filesystems with --fs.",
            class.name()
        ),
        LossClass::ReadFault => {
            format!("{n} kernel pointers could not be read: please report the kernel's version.")
        }
        LossClass::Recursion => {
            format!("{n} events were skipped because their program was running on the same CPU: run again.")
        }
        LossClass::FileWrite => {
            format!("{n} records could not be written to the recording: make room and record again.")
        }
        LossClass::FileRead => format!(
            "Where the recording is damaged or cut off, {n} or more of its records are missing: record again."
        ),
        LossClass::LedgerBound => {
            format!("{n} accounts were folded to bound memory: follow fewer filesystems with --fs.")
        }
        LossClass::UnknownType => {
            format!("{n} reservations had a type that is not known: please report the kernel's version.")
        }
        LossClass::MissedReturn => format!(
            "{n} returns of hooked functions were missed, as when more tasks are in one than its kretprobe has room for: \
             if tracefs is not mounted, mount it on /sys/kernel/tracing, which gives it more; or run again with --tier \
             tracepoints."
        ),
        LossClass::CallFrame => {
            format!(
                "{n} calls of hooked functions found no room to be followed: run again with --tier tracepoints."
            )
        }
        LossClass::NotKept => format!(
            "This recording begins in the middle of its session: {n} records before its first one were not kept, and what \
             was held then is not known."
        ),
        LossClass::Stack | LossClass::Descriptive => format!("{n} stacks or names were lost."),
    }
}

/// What a clean run has checked, and what it could not judge without a doubt.
fn checked(setup: &Setup, context: &Context, filesystems: &Filesystems, calls: &Calls) -> Vec<String> {
    let links = filesystems.links();
    let sums = filesystems.sums();
    let mut reasons = vec![
        format!(
            "{} changes of counters were checked: each found the value that the one before had left.",
            grouped(links)
        ),
        destroyed(sums.inodes_closed),
        order(&context.statistics),
    ];
    let (tickets, unknown) = (context.statistics.tickets, context.statistics.tickets_unknown);
    if tickets > 0 {
        reasons.push(format!(
            "Tickets that were granted what they asked for, or failed and got nothing: {}.",
            grouped(tickets)
        ));
    }
    if unknown > 0 {
        reasons
            .push(format!("Tickets of which it is not known what they were granted: {}.", grouped(unknown)));
    }
    if calls.active {
        let checked = calls.checked;
        reasons.push(format!(
            "{} calls of hooked functions were followed; {} were compared with their arguments, and did what those say.",
            grouped(checked.calls),
            grouped(checked.contracts.saturating_add(checked.qgroups))
        ));
        reasons.push(format!(
            "Operations that released all extents that they had reserved: {}.",
            grouped(checked.operations)
        ));
        if checked.returned > 0 {
            reasons.push(format!(
                "System calls and work items that ended, and whose tasks had given back or handed on all that they had taken: {}.",
                grouped(checked.returned)
            ));
        }
        if checked.commits > 0 {
            reasons.push(format!(
                "Transactions that ended, and had left nothing in the pools of delayed items and delayed refs: {}.",
                grouped(checked.commits)
            ));
        }
        if checked.balanced > 0 {
            reasons.push(format!(
                "Calls in which bytes_may_use and the block_rsvs were compared, and had changed together: {}.",
                grouped(checked.balanced)
            ));
        }
        let failed = calls.failures();
        if failed.total > 0 {
            reasons.push(format!(
                "{} reservations failed, {} of them raced by a release; {} gave back exactly what they had taken, {} \
                 could not be followed.",
                grouped(failed.total),
                grouped(failed.raced),
                grouped(failed.balanced),
                grouped(failed.undecided)
            ));
        }
        if checked.torn > 0 {
            reasons.push(format!(
                "{} calls were not judged, because a call inside them was not followed.",
                grouped(checked.torn)
            ));
        }
        if checked.unframed > 0 {
            reasons.push(format!(
                "{} changes of csum_bytes came from outside the hooked functions.",
                grouped(checked.unframed)
            ));
        }
    }
    let n = sums.not_judged;
    let notes = [
        (n.aborted, "filesystems were aborted: what they held at unmount was not judged."),
        (n.unknown_root, "releases named an inode without its subvolume, so they are in no inode's book."),
        (n.unuse, "inodes of a full filesystem fell short by tree blocks that could not be allocated."),
        (n.doubtful_blocks, "inodes may or may not have paid for some tree blocks."),
        (
            n.not_destroyed,
            "inodes still held something when their filesystem ended, and were not seen to be destroyed.",
        ),
        (n.qgroup_clamps, "frees of qgroup reservations were clamped by the kernel."),
        (n.log_replay, "reservations of log replay were not judged."),
        (
            n.no_final_levels,
            "filesystems ended without a last reading of their pools, as when no global reserve is left.",
        ),
        (filesystems.gone_count, "filesystems that ended are counted and not listed, to bound memory."),
    ];
    for (count, what) in notes.into_iter().filter(|(count, _)| *count > 0) {
        reasons.push(format!("{} {what}", grouped(count)));
    }
    reasons.extend(not_judged::notes(setup, context, filesystems, calls));
    reasons
}

/// A clause about the destroyed inodes.
fn destroyed(inodes: u64) -> String {
    match inodes {
        0 => "No inode was destroyed.".to_owned(),
        1 => "1 inode was destroyed, and held nothing.".to_owned(),
        n => format!("{} inodes were destroyed, and none held anything.", grouped(n)),
    }
}

/// A clause about the order check.
fn order(counts: &Counts) -> String {
    match (counts.order_checked, counts.order_unknown) {
        (0, 0) => "No delalloc reservation was made.".to_owned(),
        (0, _) => "Whether extents were published before they were reserved could not be seen.".to_owned(),
        (1, _) => "1 reservation was granted before its extents were published.".to_owned(),
        (n, _) => format!("{} reservations were granted before their extents were published.", grouped(n)),
    }
}
