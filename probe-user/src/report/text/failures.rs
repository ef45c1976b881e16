//! Reservations that failed for lack of space: a paragraph for each cause, not for each failure.
use std::collections::BTreeSet;

use super::{
    super::{
        failed,
        model::{Failure, FailureInstance, FailureKind, Report},
    },
    Detail,
    findings::{frame_text, shown},
    paper::{Paper, Tone},
};
use crate::format::{self, escape::escape};

pub(super) fn render(paper: &mut Paper, report: &Report, detail: Detail) {
    let (waited, refused): (Vec<&Failure>, Vec<&Failure>) =
        report.failures.iter().partition(|failure| failure.kind != FailureKind::NoWait);
    if waited.is_empty() && refused.is_empty() {
        return;
    }
    paper.heading("Reservations that failed");
    // Of those that have another way, what the figures explain, and only if nothing else failed.
    let mut tries_told = false;
    let all = || waited.iter().chain(refused.iter().filter(|_| waited.is_empty() || detail >= Detail::Full));
    let mut told = BTreeSet::new();
    for failure in all() {
        for (at, instance) in failure.instances.iter().enumerate() {
            let causes = instance.why.as_ref().map_or(&[][..], |why| why.causes.as_slice());
            let key =
                (failure.filesystem.as_deref(), failure.space_info.as_deref(), failure.error, causes.first());
            let no_wait = failure.kind == FailureKind::NoWait;
            // Another instance of the same failure says more.
            let has_figures = |other: &FailureInstance| other.why.is_some();
            let says_less = instance.why.is_none() && failure.instances.iter().any(has_figures);
            if says_less || (no_wait && causes.is_empty()) {
                continue;
            }
            let all = detail >= Detail::All;
            if told.insert(key) || all || (at == 0 && failure.kind == FailureKind::Qgroup) {
                tries_told |= no_wait;
                one(paper, failure, instance);
                if all {
                    stack(paper, instance);
                }
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

/// When and where it happened, for who asks for all.
fn stack(paper: &mut Paper, instance: &FailureInstance) {
    paper.field("at", &format::moment(instance.time_ns));
    for frame in shown(&instance.stack) {
        paper.line(&format!("     {}", frame_text(frame)));
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
    let text = failed::sentence(failure, instance);
    paper.paragraph("   ", &text);
    if failure.count > 1 {
        paper.field("happened", &failed::happened(failure));
    }
    let Some(why) = &instance.why else { return };
    if let Some(held) = failed::held_by(instance) {
        paper.field("held by", &held);
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
