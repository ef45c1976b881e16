//! Clean, findings or inconclusive, and why.
use probe_common::{hook::HookId, loss::LossClass};

use super::{
    kernel_lines, not_judged,
    summary::{Judged, Verdict},
};
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
            "{} suspicions were dropped because a loss could explain them.",
            grouped(withdrawn)
        ));
    }
    if context.pending.waiting() > 0 {
        doubts.push(format!("{} suspicions are not settled yet.", context.pending.waiting()));
    }
    if calls.checked.orphans > 0 {
        doubts.push(format!(
            "The calls around {} calls were never seen to return: run again with --tier tracepoints.",
            grouped(calls.checked.orphans)
        ));
    }
    let sums = filesystems.sums();
    let unreadable = sums.not_judged.unreadable;
    if unreadable > 0 {
        doubts.push(format!(
            "The counters of {} inodes could not be read at the end of their life: please report the kernel's version.",
            grouped(unreadable)
        ));
    }
    let unexplained = sums.unexplained;
    if unexplained > 0 {
        doubts.push(format!(
            "{} changes of qgroup counters came without their event, as when quotas are switched: their balances were \
             taken over as found.",
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
        doubts.push(format!("{} breaks of chains are explained by loss.", grouped(explained)));
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
        LossClass::FileRead => format!("{n} parts of the recording are damaged or cut off: record again."),
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
        LossClass::Stack | LossClass::Descriptive => format!("{n} stacks or names were lost."),
    }
}

/// What a clean run has checked, and what it could not judge without that being a doubt.
fn checked(setup: &Setup, context: &Context, filesystems: &Filesystems, calls: &Calls) -> Vec<String> {
    let links = filesystems.links();
    let sums = filesystems.sums();
    let mut reasons = vec![
        format!("{} links of counters were checked without a break.", grouped(links)),
        format!("{} inodes were empty at the end of their life.", grouped(sums.inodes_closed)),
        format!("{} reservations were made in the right order.", grouped(context.statistics.order_checked)),
    ];
    if calls.active {
        let checked = calls.checked;
        reasons.push(format!(
            "{} calls were followed, {} of them did what their arguments say.",
            grouped(checked.calls),
            grouped(checked.contracts)
        ));
        reasons.push(format!(
            "{} operations gave back all extents that they held.",
            grouped(checked.operations)
        ));
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
                "{} calls with calls inside that were not followed were not judged.",
                grouped(checked.torn)
            ));
        }
        if checked.unframed > 0 {
            reasons.push(format!(
                "{} changes of csum_bytes were made outside of all calls.",
                grouped(checked.unframed)
            ));
        }
    }
    let n = sums.not_judged;
    let notes = [
        (n.aborted, "final levels of aborted filesystems were not judged."),
        (n.unknown_root, "releases without a known subvolume were left out of their inodes' books."),
        (n.unuse, "inodes of a full filesystem fell short by tree blocks that could not be allocated."),
        (n.doubtful_blocks, "inodes had tree blocks of which it is not known who paid for them."),
        (n.not_destroyed, "inodes with a balance were still open when their filesystem ended."),
        (n.qgroup_clamps, "frees of qgroup reservations were clamped by the kernel."),
        (n.log_replay, "claims of log replay were not judged."),
        (
            n.no_final_levels,
            "filesystems went without their final levels, as when no global reserve is left.",
        ),
        (filesystems.gone_count, "filesystems that ended are counted and not listed, to bound memory."),
    ];
    for (count, what) in notes.into_iter().filter(|(count, _)| *count > 0) {
        reasons.push(format!("{} {what}", grouped(count)));
    }
    reasons.extend(not_judged::notes(setup, context, filesystems, calls));
    reasons
}
