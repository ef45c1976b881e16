//! Failures for lack of space: the ledger's figures, explained by the rules of `explain`.
use std::cmp::Reverse;

use probe_common::shortage::{FAILURE_ABORT, FAILURE_NO_WAIT, LIMIT_MAX_EXCL, LIMIT_MAX_RFER, QgroupRefusal};
use probe_ledger::{Shortage, ShortageEvent, ShortageKind, ShortageState, TaskRef};

use super::{ReportInput, draws, findings, holders};
use crate::{
    explain::{build as explain, cause::Cause, model::Filesystem as Explanation, qgroup, state},
    format::{self, bytes},
    report::{
        failed::{EINTR, KILLED},
        model::{
            FailedTask, Failure, FailureInstance, FailureKind, Frame, GlobalDraws, InodePath, QgroupHolder,
            QgroupLimit, Task,
        },
    },
};

/// `-ENOSPC`
const ENOSPC: i32 = -28;
/// Prefixes of the functions of system calls. The last is what some of them end with: a compiler may make a jump of it, and then
/// the stack has nothing else (`write(2)` of x86).
const SYSTEM_CALLS: [&str; 6] =
    ["__x64_sys_", "__ia32_sys_", "__arm64_sys_", "__se_sys_", "__do_sys_", "ksys_"];

/// All failures, in the order of their first.
pub(super) fn build(input: &ReportInput<'_>) -> Vec<Failure> {
    input.summary.shortages.0.iter().map(|shortage| one(input, shortage)).collect()
}

/// One kind of failure. Public so that it can be shown the moment it happens.
#[must_use]
pub fn one(input: &ReportInput<'_>, shortage: &Shortage) -> Failure {
    // Destructured, so that a new field of the ledger cannot be forgotten here.
    let Shortage {
        fs: _,
        fsid,
        device: _,
        kind,
        error,
        object,
        count,
        with_state,
        largest_bytes,
        seen: (first_seen, last_seen),
        tasks,
        other_tasks,
        // See `events`.
        first: _,
        largest: _,
        last: _,
    } = shortage;
    let mut tasks: Vec<FailedTask> =
        tasks.iter().map(|(comm, count)| FailedTask { comm: comm.clone(), count: *count }).collect();
    tasks.sort_by_key(|task| Reverse(task.count));
    let of_space = matches!(kind, ShortageKind::Ticket | ShortageKind::NoWait);
    Failure {
        filesystem: (*fsid != [0; 16]).then(|| format::uuid(fsid)),
        kind: match kind {
            ShortageKind::Ticket => FailureKind::Ticket,
            ShortageKind::NoWait => FailureKind::NoWait,
            ShortageKind::Qgroup => FailureKind::Qgroup,
            ShortageKind::Abort => FailureKind::Abort,
        },
        error: *error,
        errno: errno(*error),
        space_info: of_space.then(|| format::space_type(*object).to_owned()),
        qgroup: (*kind == ShortageKind::Qgroup).then(|| format::qgroup(*object)),
        count: *count,
        with_state: *with_state,
        largest_bytes: *largest_bytes,
        first_seen_ns: input.since_start(*first_seen),
        last_seen_ns: input.since_start(*last_seen),
        tasks,
        other_tasks: *other_tasks,
        instances: shortage.events().into_iter().map(|event| instance(input, shortage, event)).collect(),
    }
}

fn instance(input: &ReportInput<'_>, shortage: &Shortage, event: &ShortageEvent) -> FailureInstance {
    let ShortageEvent {
        time,
        task,
        start: _,
        bytes,
        flush,
        root,
        ino,
        path,
        stack,
        state,
        qgroup,
        holders: _,
        drained_by,
        line,
    } = event;
    let drained_by = draws::before(input, drained_by);
    let stack = findings::frames(input.stacks, *stack);
    let call = call(&stack);
    let flush_name = format::reserve_flush(*flush);
    let why = match (state, qgroup) {
        (_, Some(refusal)) => Some(of_limit(shortage, refusal)),
        (Some(state), None) => Some(of_state(shortage, state, &drained_by)),
        (None, None) => None,
    };
    let place = InodePath::from(path.as_ref());
    FailureInstance {
        time_ns: input.since_start(*time),
        task: task.as_ref().map(self::task),
        who: who(shortage, event, call.as_deref()),
        call,
        bytes: (*bytes != 0).then_some(*bytes),
        flush: (!flush_name.is_empty()).then(|| flush_name.to_owned()),
        root: (*root != 0).then_some(*root as i64),
        inode: (*ino != 0).then_some(*ino),
        path: place.path,
        path_truncated: place.path_truncated,
        path_bytes: place.path_bytes,
        aborted_at: line.clone(),
        why,
        drained_by,
        holders: state
            .as_ref()
            .filter(|_| matches!(shortage.kind, ShortageKind::Ticket | ShortageKind::NoWait))
            .and_then(|state| holders::at_failure(state.holders.as_deref()?, shortage.object)),
        limit: qgroup.as_ref().map(|refusal| limit(refusal, event)),
        stack,
    }
}

fn of_state(shortage: &Shortage, state: &ShortageState, drained_by: &[GlobalDraws]) -> Explanation {
    let ShortageState { state: figures, devices, decided: _, holders: _ } = state;
    let devices = devices.as_ref();
    let mut why = explain::filesystem(&state::case(&shortage.device, figures, devices));
    // What a text does not prove is known here.
    why.not_proven = state::left_out(figures, devices);
    if shortage.error != ENOSPC {
        why.sentence = match shortage.error {
            EINTR => KILLED.to_owned(),
            error => format!("That is no lack of space: {} has another reason.", errno(error)),
        };
        why.causes.clear();
        why.help.clear();
        return why;
    }
    if why.causes.iter().any(|cause| cause == Cause::GlobalReserveDrained.name())
        && let Some(by) = draws::drained_by(drained_by)
    {
        why.sentence = format!("{} {by}", why.sentence);
    }
    if figures.why == FAILURE_NO_WAIT {
        why.not_proven.push(
            "The reservation may not wait and its caller has another way, so nobody need have seen ENOSPC."
                .to_owned(),
        );
    }
    if figures.why == FAILURE_ABORT {
        why.not_proven.push("The figures were read right after the abort: by then block groups that were being allocated are taken back.".to_owned());
    }
    why
}

/// The cause of the newest failure with figures, by its name; `None` without figures, or if they show none.
#[must_use]
pub fn cause(shortage: &Shortage) -> Option<String> {
    let why = shortage.events().into_iter().rev().find_map(|event| match (&event.state, &event.qgroup) {
        (Some(state), _) => Some(of_state(shortage, state, &[])),
        (None, Some(refusal)) => Some(of_limit(shortage, refusal)),
        (None, None) => None,
    })?;
    why.causes.into_iter().next()
}

fn of_limit(shortage: &Shortage, refusal: &QgroupRefusal) -> Explanation {
    let mut why = explain::filesystem(&state::qgroup_case(&shortage.device, refusal));
    why.not_proven.clear();
    why
}

fn limit(refusal: &QgroupRefusal, event: &ShortageEvent) -> QgroupLimit {
    let [data, pertrans, prealloc] = refusal.reserved;
    QgroupLimit {
        qgroup: format::qgroup(refusal.qgroupid),
        max_rfer: (refusal.lim_flags & LIMIT_MAX_RFER != 0).then_some(refusal.max_rfer),
        max_excl: (refusal.lim_flags & LIMIT_MAX_EXCL != 0).then_some(refusal.max_excl),
        rfer: refusal.rfer,
        excl: refusal.excl,
        reserved_data: data,
        reserved_meta_pertrans: pertrans,
        reserved_meta_prealloc: prealloc,
        asked_for: qgroup::kind(refusal.kind).to_owned(),
        holders: event
            .holders
            .iter()
            .map(|holder| {
                let place = InodePath::from(holder.path.as_ref());
                QgroupHolder {
                    inode: holder.ino,
                    path: place.path,
                    path_truncated: place.path_truncated,
                    path_bytes: place.path_bytes,
                    delalloc_bytes: holder.delalloc_bytes,
                    meta_rsv: holder.meta_rsv,
                }
            })
            .collect(),
    }
}

fn task(of: &TaskRef) -> Task {
    Task { pid: (of.pid != 0).then_some(of.pid), tid: of.tid, comm: of.comm.clone() }
}

/// The system call in whose context it failed, or the worker.
fn call(stack: &[Frame]) -> Option<String> {
    let names = || stack.iter().filter_map(|frame| frame.symbol.as_deref());
    let of_call =
        |name: &str| SYSTEM_CALLS.iter().find_map(|prefix| name.strip_prefix(prefix).map(str::to_owned));
    // The outermost is the call as programs know it.
    names()
        .filter_map(of_call)
        .next_back()
        .or_else(|| names().any(|name| name == "process_one_work").then(|| "a worker".to_owned()))
}

fn who(shortage: &Shortage, event: &ShortageEvent, call: Option<&str>) -> String {
    let task = match &event.task {
        Some(task) if !task.comm.is_empty() => format!("{} (thread {})", task.comm, task.tid),
        Some(task) => format!("Thread {}", task.tid),
        None => "The kernel".to_owned(),
    };
    let call = match call {
        Some("a worker") => ", a worker,".to_owned(),
        Some(call) => format!(" in {call}()"),
        None => String::new(),
    };
    let error = errno(shortage.error);
    if shortage.kind == ShortageKind::Abort {
        let place = event.line.as_deref().map_or(String::new(), |line| format!(" ({line})"));
        return format!("{task}{call} aborted the transaction with {error}{place}.");
    }
    let of = match (&event.qgroup, shortage.kind) {
        (Some(refusal), _) => qgroup::kind(refusal.kind).to_owned(),
        _ => format::space_type(shortage.object).to_owned(),
    };
    let inode = match (event.ino, event.root, &event.path) {
        (0, 0, _) => String::new(),
        (0, root, _) => format!(" for subvolume {}", format::root(root as i64)),
        (ino, root, path) => {
            let path = path.as_ref().map_or(String::new(), |path| format!(" ({path})"));
            format!(" for inode {ino} of subvolume {}{path}", format::root(root as i64))
        }
    };
    let asked = format!("{task}{call} asked for {} of {of}{inode}", bytes(event.bytes as i64, "iB"));
    match shortage.kind {
        ShortageKind::NoWait => format!("{asked}, could not wait, and was refused."),
        _ => format!("{asked} and got {error}."),
    }
}

/// Name of a negative errno.
pub fn errno(error: i32) -> String {
    match error.unsigned_abs() {
        4 => "EINTR".to_owned(),
        5 => "EIO".to_owned(),
        11 => "EAGAIN".to_owned(),
        12 => "ENOMEM".to_owned(),
        28 => "ENOSPC".to_owned(),
        30 => "EROFS".to_owned(),
        122 => "EDQUOT".to_owned(),
        number => format!("errno {number}"),
    }
}

#[cfg(test)]
mod tests {
    use super::{Frame, call};

    fn of(names: &[&str]) -> Option<String> {
        let frame = |name: &&str| Frame {
            address: "0x1".to_owned(),
            symbol: Some((*name).to_owned()),
            offset: Some(0),
            module: None,
        };
        call(&names.iter().map(frame).collect::<Vec<_>>())
    }

    /// A `write` that failed was said to be made in no system call.
    #[test]
    fn a_call_is_named_although_its_own_function_is_not_in_the_stack() {
        assert_eq!(of(&["vfs_write", "ksys_write", "do_syscall_64"]).as_deref(), Some("write"));
        assert_eq!(of(&["ksys_mmap_pgoff", "__x64_sys_mmap", "do_syscall_64"]).as_deref(), Some("mmap"));
        assert_eq!(of(&["do_mkdirat", "__x64_sys_mkdir"]).as_deref(), Some("mkdir"));
        assert_eq!(of(&["wb_workfn", "process_one_work", "worker_thread"]).as_deref(), Some("a worker"));
        assert_eq!(of(&["btrfs_commit_transaction", "kthread"]), None);
    }
}
