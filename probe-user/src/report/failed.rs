//! Failures in words, for text and screen. All of it is escaped.
use super::model::{Failure, FailureInstance, FailureKind, QgroupHolder, QgroupLimit, SpaceHolders};
use crate::format::{self, bytes, escape::escape};

/// Holders that are named.
const HOLDERS: usize = 4;
/// Task names that are named.
const TASKS: usize = 4;

/// `-EINTR`
pub const EINTR: i32 = -4;
/// Said of a task that did not wait to the end, whatever the figures were.
pub const KILLED: &str = "It was killed while it waited for space.";
/// Said of a failure of a reservation that may not wait.
pub const ANOTHER_WAY: &str = "Its caller has another way, so nobody need have seen the error.";

/// Who asked for what, and why it failed.
#[must_use]
pub fn sentence(failure: &Failure, instance: &FailureInstance) -> String {
    format!("{} {}", escape(&instance.who), why(failure, instance))
}

/// Why it failed, or why that is not known.
#[must_use]
pub fn why(failure: &Failure, instance: &FailureInstance) -> String {
    match &instance.why {
        Some(why) => escape(&why.sentence),
        None if failure.error == EINTR => KILLED.to_owned(),
        None if failure.with_state > 0 => {
            "Too many failed at that time to read the figures of each.".to_owned()
        }
        None => "The figures of that moment were not recorded.".to_owned(),
    }
}

/// How often, and whose they were.
#[must_use]
pub fn happened(failure: &Failure) -> String {
    let names: Vec<String> = failure
        .tasks
        .iter()
        .take(TASKS)
        .map(|task| format!("{} {}", name(&task.comm), format::count(task.count)))
        .collect();
    let more = if failure.tasks.len() > TASKS || failure.other_tasks > 0 { ", and others" } else { "" };
    format!("{} ({}{more})", format::counted(failure.count, "time"), names.join(", "))
}

/// The task that failed most often, with a mark if there are others.
#[must_use]
pub fn most_by(failure: &Failure) -> Option<String> {
    let first = failure.tasks.first()?;
    let others = failure.tasks.len() > 1 || failure.other_tasks > 0;
    Some(format!("{}{}", name(&first.comm), if others { "+" } else { "" }))
}

/// Who held what was asked for; `None` if that is not known.
#[must_use]
pub fn held_by(instance: &FailureInstance) -> Option<String> {
    let limit = instance.limit.as_ref().filter(|limit| !limit.holders.is_empty());
    let space = instance.holders.as_ref().filter(|space| !space.holders.is_empty());
    limit.map(of_limit).or_else(|| space.map(of_space))
}

fn of_limit(limit: &QgroupLimit) -> String {
    let holder = |holder: &QgroupHolder| {
        let name = holder.path.as_deref().map_or_else(|| format!("inode {}", holder.inode), escape);
        format!("{name} {} dirty", bytes(holder.delalloc_bytes as i64, "iB"))
    };
    limit.holders.iter().map(holder).collect::<Vec<_>>().join(", ")
}

/// Who held the space_info, most first, and what it adds up to.
fn of_space(space: &SpaceHolders) -> String {
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

/// On what it failed: the space_info or the qgroup; empty if it is none.
#[must_use]
pub fn of(failure: &Failure) -> String {
    match (&failure.qgroup, &failure.space_info) {
        (Some(qgroup), _) => format!("qgroup {qgroup}"),
        (None, Some(space)) => space.clone(),
        (None, None) => String::new(),
    }
}

/// Causes of the last one of which they are known; else what there is to say instead, in few words.
///
/// # Errors
/// No cause is known.
pub fn cause(failure: &Failure) -> Result<&[String], &'static str> {
    let known = || failure.instances.iter().rev().filter_map(|instance| instance.why.as_ref());
    match (known().find(|why| !why.causes.is_empty()), known().next()) {
        (Some(why), _) => Ok(&why.causes),
        (None, Some(_)) => Err("none: see its text"),
        (None, None) => Err("figures not recorded"),
    }
}

/// The last one that is explained, else the last.
#[must_use]
pub fn best(failure: &Failure) -> Option<&FailureInstance> {
    let explained = failure.instances.iter().rfind(|instance| instance.why.is_some());
    explained.or_else(|| failure.instances.last())
}

/// Why an instance was kept: it is the first, asked for most, or is the last that was explained.
#[must_use]
pub fn which(failure: &Failure, instance: &FailureInstance) -> String {
    if failure.count == 1 {
        return "once".to_owned();
    }
    let mut words = Vec::new();
    // By their places: the time of a record is that of a jiffy, in which many fail.
    if failure.instances.first() == Some(instance) {
        words.push("the first");
    }
    if instance.bytes == Some(failure.largest_bytes) {
        words.push("the largest");
    }
    if failure.instances.len() > 1 && failure.instances.last() == Some(instance) {
        let last =
            if explained(failure) == failure.count { "the last" } else { "the last whose figures were read" };
        words.push(last);
    }
    if words.is_empty() { "one of them".to_owned() } else { words.join(", ") }
}

/// Of how many the figures were read. Those of a qgroup come with each refusal.
#[must_use]
pub const fn explained(failure: &Failure) -> u64 {
    if matches!(failure.kind, FailureKind::Qgroup) { failure.count } else { failure.with_state }
}

/// What failed with what, and where. `device`: of the filesystem, escaped.
#[must_use]
pub fn title(failure: &Failure, device: &str) -> String {
    let (errno, of) = (&failure.errno, of(failure));
    match failure.kind {
        FailureKind::Ticket => format!("{errno} for {of} on {device}"),
        FailureKind::NoWait => format!("{errno} for {of} on {device}, of those that may not wait"),
        FailureKind::Qgroup => format!("{errno} by the limit of {of} on {device}"),
        FailureKind::Abort => format!("transaction aborted with {errno} on {device}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::model::{FailedTask, Holder};

    fn failure(kind: FailureKind, count: u64, with_state: u64, bytes: &[u64]) -> Failure {
        let instance = |(at, bytes): (usize, &u64)| FailureInstance {
            // A jiffy for all of them.
            time_ns: 7,
            task: None,
            call: None,
            bytes: Some(*bytes),
            flush: None,
            root: None,
            inode: Some(at as u64),
            path: None,
            path_truncated: false,
            path_bytes: None,
            aborted_at: None,
            who: "mkdir\x1b asked.".to_owned(),
            why: None,
            drained_by: Vec::new(),
            holders: None,
            limit: None,
            stack: Vec::new(),
        };
        Failure {
            filesystem: None,
            kind,
            error: -28,
            errno: "ENOSPC".to_owned(),
            space_info: (kind != FailureKind::Qgroup).then(|| "metadata".to_owned()),
            qgroup: (kind == FailureKind::Qgroup).then(|| "0/257".to_owned()),
            count,
            with_state,
            largest_bytes: bytes.iter().copied().max().unwrap_or(0),
            first_seen_ns: 7,
            last_seen_ns: 7,
            tasks: Vec::new(),
            other_tasks: 0,
            instances: bytes.iter().enumerate().map(instance).collect(),
        }
    }

    fn labels(failure: &Failure) -> Vec<String> {
        failure.instances.iter().map(|instance| which(failure, instance)).collect()
    }

    #[test]
    fn instances_of_one_jiffy_are_told_apart() {
        let burst = failure(FailureKind::Ticket, 40, 3, &[4, 9, 4]);
        assert_eq!(labels(&burst), ["the first", "the largest", "the last whose figures were read"]);
        let limit = failure(FailureKind::Qgroup, 3, 0, &[9, 4]);
        assert_eq!(labels(&limit), ["the first, the largest", "the last"]);
        assert_eq!(labels(&failure(FailureKind::Abort, 1, 1, &[9])), ["once"]);
    }

    #[test]
    fn what_is_not_known_is_said() {
        let mut none = failure(FailureKind::Ticket, 2, 0, &[4]);
        let instance = none.instances[0].clone();
        assert_eq!(
            sentence(&none, &instance),
            "mkdir\\x1b asked. The figures of that moment were not recorded."
        );
        assert_eq!(cause(&none), Err("figures not recorded"));
        none.with_state = 1;
        assert_eq!(why(&none, &instance), "Too many failed at that time to read the figures of each.");
        none.error = EINTR;
        assert_eq!(why(&none, &instance), KILLED);
        assert_eq!(most_by(&none), None);
        none.tasks = vec![FailedTask { comm: String::new(), count: 1 }];
        assert_eq!(most_by(&none).as_deref(), Some("without a name"));
        none.other_tasks = 1;
        assert_eq!(most_by(&none).as_deref(), Some("without a name+"));
        assert_eq!(happened(&none), "2 times (without a name 1, and others)");
    }

    #[test]
    fn holders_that_are_not_named_are_summed() {
        let holder = |bytes| Holder {
            holder: "trans.rsv".to_owned(),
            bytes,
            count: None,
            root: None,
            inode: None,
            path: None,
            path_truncated: false,
            path_bytes: None,
        };
        let mut failure = failure(FailureKind::Ticket, 1, 1, &[4]);
        assert_eq!(held_by(&failure.instances[0]), None);
        failure.instances[0].holders = Some(SpaceHolders {
            bytes_may_use: 22,
            holders: (1..=6).rev().map(holder).collect(),
            not_attributed: 1,
            handles: 0,
            handles_claimed: 0,
        });
        let words = held_by(&failure.instances[0]).unwrap_or_default();
        assert!(words.ends_with(", 3 B others, 1 B in flight or not attributed; together 22 B"), "{words}");
    }
}
