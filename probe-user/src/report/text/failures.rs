//! Reservations that failed for lack of space: a paragraph for each cause, not for each failure.
use std::collections::BTreeSet;

use super::{
    super::model::{Failure, FailureInstance, FailureKind, Report, SpaceHolders},
    Detail,
    paper::{Paper, Tone},
};
use crate::format::{self, bytes, escape::escape};

/// Holders that are shown.
const HOLDERS: usize = 4;
/// Task names that are shown.
const TASKS: usize = 4;

pub(super) fn render(paper: &mut Paper, report: &Report, detail: Detail) {
    let (waited, refused): (Vec<&Failure>, Vec<&Failure>) =
        report.failures.iter().partition(|failure| failure.kind != FailureKind::NoWait);
    if waited.is_empty() && refused.is_empty() {
        return;
    }
    paper.heading("Reservations that failed");
    // Of those that have another way, what the figures explain, and only if nothing else failed.
    let mut tries_told = false;
    let all = || waited.iter().chain(refused.iter().filter(|_| waited.is_empty() || detail == Detail::Full));
    let mut told = BTreeSet::new();
    for failure in all() {
        for (at, instance) in failure.instances.iter().enumerate() {
            let causes = instance.why.as_ref().map_or(&[][..], |why| why.causes.as_slice());
            let key =
                (failure.filesystem.as_deref(), failure.space_info.as_deref(), failure.error, causes.first());
            let no_wait = failure.kind == FailureKind::NoWait;
            if no_wait && causes.is_empty() {
                continue;
            }
            if told.insert(key) || (at == 0 && failure.kind == FailureKind::Qgroup) {
                tries_told |= no_wait;
                one(paper, failure, instance);
            }
        }
    }
    let tries: u64 = refused.iter().map(|failure| failure.count).sum();
    if tries > 0 && !tries_told {
        if !waited.is_empty() {
            paper.blank();
        }
        paper.paragraph(
            "   ",
            &format!(
                "{} that may not wait were refused; their callers have another way.",
                format::counted(tries, "reservation")
            ),
        );
    }
    if report.failures_left_out > 0 {
        paper.paragraph("   ", &format!("{} more failures were only counted.", report.failures_left_out));
    }
}

/// One failure for `watch`: shown the moment it happens.
pub(super) fn brief(paper: &mut Paper, failure: &Failure) {
    if let Some(instance) = failure.instances.last() {
        one(paper, failure, instance);
    }
}

fn one(paper: &mut Paper, failure: &Failure, instance: &FailureInstance) {
    paper.blank();
    let mut text = escape(&instance.who);
    if let Some(why) = &instance.why {
        text.push(' ');
        text.push_str(&escape(&why.sentence));
    } else if failure.with_state > 0 {
        text.push_str(" Too many failed at that time to read the figures of each.");
    } else {
        text.push_str(" The figures of that moment were not recorded.");
    }
    paper.paragraph("   ", &text);
    if failure.count > 1 {
        let names: Vec<String> = failure
            .tasks
            .iter()
            .take(TASKS)
            .map(|task| format!("{} {}", name(&task.comm), task.count))
            .collect();
        let more = if failure.tasks.len() > TASKS || failure.other_tasks > 0 { ", and others" } else { "" };
        paper.field(
            "happened",
            &format!("{} ({}{more})", format::counted(failure.count, "time"), names.join(", ")),
        );
    }
    let Some(why) = &instance.why else { return };
    if let Some(limit) = &instance.limit
        && !limit.holders.is_empty()
    {
        let holders: Vec<String> = limit
            .holders
            .iter()
            .map(|holder| {
                let name = holder.path.as_deref().map_or_else(|| format!("inode {}", holder.inode), escape);
                format!("{name} {} dirty", bytes(holder.delalloc_bytes as i64, "iB"))
            })
            .collect();
        paper.field("held by", &holders.join(", "));
    }
    if let Some(space) = instance.holders.as_ref().filter(|space| !space.holders.is_empty()) {
        paper.field("held by", &held_by(space));
    }
    if let Some(cause) = why.causes.first() {
        let read = paper.tone(Tone::Faint, &format!("(btrfs-probe explain {cause})"));
        paper.field("cause", &format!("{} {read}", why.causes.join(", ")));
    }
    if let Some(help) = why.help.first() {
        paper.field("helps", &escape(help));
    }
    for impossible in &why.impossible {
        paper.field("impossible", &escape(impossible));
    }
}

/// Who held the space_info, most first, and what it adds up to.
fn held_by(space: &SpaceHolders) -> String {
    let short = |number: i64| bytes(number, "iB");
    let mut parts: Vec<String> = space
        .holders
        .iter()
        .take(HOLDERS)
        .map(|holder| format!("{} {}", short(holder.bytes), holder.words()))
        .collect();
    let others =
        space.holders.iter().skip(HOLDERS).fold(0, |sum: i64, holder| sum.wrapping_add(holder.bytes));
    if others != 0 {
        parts.push(format!("{} others", short(others)));
    }
    if space.not_attributed != 0 {
        parts.push(format!("{} in flight or not attributed", short(space.not_attributed)));
    }
    format!("{}; together {}", parts.join(", "), short(space.bytes_may_use))
}

fn name(comm: &str) -> String {
    if comm.is_empty() { "without a name".to_owned() } else { escape(comm) }
}
