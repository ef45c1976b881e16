//! Failures in words, for text and screen. All of it is escaped.
use super::model::{Failure, FailureInstance, QgroupLimit, SpaceHolders};
use crate::format::{self, bytes, escape::escape};

/// Holders that are named.
const HOLDERS: usize = 4;
/// Task names that are named.
const TASKS: usize = 4;

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
    let holder = |holder: &super::model::QgroupHolder| {
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
