//! Accounts that no rule of this tier looks at where they are closed, said only where the stream has such accounts: a
//! clean verdict says nothing of them. `docs/tiers.md` has the bugs that each tier cannot see for it.
use probe_common::hook::HookId;

use crate::{
    Desk, Setup,
    calls::Calls,
    filesystem::{Filesystems, Fs},
    printed,
    verdict::grouped,
};

/// One sentence each.
pub(super) fn notes(setup: &Setup, desk: &Desk, filesystems: &Filesystems, calls: &Calls) -> Vec<String> {
    let lines = desk.printed.list(setup, &desk.docket, filesystems);
    let mut notes = printed::notes(&desk.printed, &lines);
    let with_qgroups: Vec<&Fs> = filesystems.iter().filter(|fs| fs.chains.has_qgroups()).collect();
    let ended = with_qgroups.iter().filter(|fs| fs.ended).count() as u64;
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
    if setup.deaf().is_none() && !setup.attached.contains(&HookId::Console) {
        notes.push(
            "Not judged: what btrfs said in the kernel's log, which this recording does not hold.".to_owned(),
        );
    }
    notes
}

impl Setup {
    /// Why the kernel's log could not be read, if it was to be read and was not. Recordings of before it was read do not
    /// name the hook.
    pub(super) fn deaf(&self) -> Option<&str> {
        let (_, why) = self.missing_reasons.iter().find(|(hook, _)| *hook == HookId::Console)?;
        Some(why.as_str()).filter(|_| !self.attached.contains(&HookId::Console))
    }
}
