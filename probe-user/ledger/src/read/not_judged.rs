//! Accounts that no rule of this tier judges at their closing, named only if the stream has such accounts: a clean verdict
//! says nothing about them. `docs/tiers.md` lists the bugs that each tier therefore cannot see.
use probe_common::hook::HookId;

use super::kernel_lines;
use crate::{
    book::{filesystem::Fs, filesystems::Filesystems},
    context::Context,
    rule::calls::books::Calls,
    vocabulary::{setup::Setup, words::grouped},
};

/// One sentence each.
pub(crate) fn notes(
    setup: &Setup,
    context: &Context,
    filesystems: &Filesystems,
    calls: &Calls,
) -> Vec<String> {
    let lines = kernel_lines::list(&context.printed, setup, &context.pending, filesystems);
    let mut notes = kernel_lines::notes(&context.printed, &lines);
    let with_qgroups: Vec<&Fs> = filesystems.iter().filter(|fs| fs.chains.has_qgroups()).collect();
    let ended = with_qgroups.iter().filter(|fs| fs.ended && fs.qgroups_ended == 0).count() as u64;
    if ended > 0 {
        let those = match ended {
            1 => "a filesystem held when it".to_owned(),
            n => format!("{} filesystems held when they", grouped(n)),
        };
        notes.push(format!(
            "Not judged: what the qgroups of {those} went; the kernel's own check is all there is."
        ));
    }
    if !with_qgroups.is_empty() && !calls.active {
        notes.push(
            "Not judged on the tracepoints tier: what an inode holds in its qgroups when it is destroyed."
                .to_owned(),
        );
    }
    if !with_qgroups.is_empty() && calls.active && calls.checked.qgroups == 0 {
        notes.push(
            "Not judged: reservations in qgroups, call by call; not all calls for them were followed."
                .to_owned(),
        );
    }
    let forgotten = filesystems.iter().fold(0, |sum: u64, fs| sum.saturating_add(fs.claims.nodes.forgotten));
    if forgotten > 0 {
        notes.push(format!(
            "Not judged: the end of {} delayed nodes; there were more at a time than are followed.",
            grouped(forgotten)
        ));
    }
    if setup.deaf().is_none() && !setup.attached.contains(&HookId::Console) {
        notes.push(
            "Not judged: what btrfs said in the kernel's log, which this recording does not hold.".to_owned(),
        );
    }
    notes
}
