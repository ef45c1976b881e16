//! What a qgroup holds when it is deleted, and at unmount where its end is not hooked.
//!
//! The chain of a qgroup's counter cannot be judged by itself: when quotas are switched off or a qgroup is deleted, its bytes
//! are dropped without an event. btrfs looks at the counters itself, after everything is released, and writes to its log what
//! is left, but a line alone is not a finding. A line and a chain that both have the same bytes of the same qgroup are one.
use probe_common::{
    chain::{ChainCounter, QgroupLevel},
    hook::HookId,
};

use crate::{
    book::{chains::is_qgroup, filesystem::Fs},
    context::{Context, qgroup_line::When},
    vocabulary::{
        account::{self, Account},
        finding::{FindingKind, Query, Violation},
        setup::Setup,
    },
};

/// The chain of a qgroup's counter, read after a line of the log.
pub(crate) fn level(setup: &Setup, context: &mut Context, fs: &mut Fs, record: &QgroupLevel) {
    context.recent.qgroup_level(record);
    let Some(counter) = ChainCounter::from_u32(record.counter).filter(|counter| is_qgroup(*counter)) else {
        return;
    };
    let Some(account) = account::of_chain(counter, record.qgroupid) else { return };
    if fs.aborted || !context.loss.complete() {
        return;
    }
    // The chain may have gone on since its last record, but it is the same chain.
    let chain = fs.chains.by_object.get(&(record.object, record.counter));
    if !chain.is_some_and(|chain| chain.flags == record.qgroupid && chain.links <= record.links) {
        return;
    }
    let Some(line) = context.printed.held_by_qgroups.take(fs, record.qgroupid, counter, record.value) else {
        return;
    };
    // At unmount the hook of the qgroup's end tells the same bytes.
    let ends_are_seen = context.pending.calls && setup.attached.contains(&HookId::QgroupEnd);
    if ends_are_seen && line.held.when == When::Unmounted {
        return;
    }
    let known = match account {
        Account::InodeQgroupData => fs.reported.qgroup_data,
        Account::RootQgroupMetaPertrans => fs.reported.qgroup_pertrans,
        _ => fs.reported.qgroup_prealloc,
    };
    let known = known.max(0).unsigned_abs().min(record.value);
    let amount = record.value - known;
    if amount == 0 {
        return;
    }
    let (bytes, id) = (record.value, record.qgroupid);
    let mut text = match line.held.when {
        When::Unmounted => format!("At unmount {bytes} bytes were still reserved in qgroup 0/{id}"),
        When::Deleted => format!("Qgroup 0/{id} was deleted while {bytes} bytes were still reserved in it"),
    };
    text.push_str(": its events and the kernel's log agree.");
    if known > 0 {
        text.push_str(&format!(" Other findings tell {known} of them."));
    }
    let origins = fs.reserving_stacks.origins(account);
    context.defer(Violation {
        root: Some(id),
        amount,
        origins,
        explanation: text,
        query: Query::Object { fs: fs.id, object: record.object },
        ..Violation::new(FindingKind::Leak, account, fs.id, (line.time, line.tid))
    });
}
