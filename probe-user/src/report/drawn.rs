//! Draws in words, for text and screen. All of it is escaped.
use super::model::{DrawMove, Draws, GlobalDraws, IdleGrowth, Moved, ReserveBalance, RootMoved};
use crate::format::{self, escape::escape};

/// Between a function and the one that called it.
pub const CALLED_BY: &str = " < ";
/// Callers that are named.
const CALLERS: usize = 3;
/// Trees that are named.
const TREES: usize = 4;

/// From where to where, and why.
#[must_use]
pub fn what(of: &DrawMove) -> String {
    let why = match &of.instead_of {
        Some(reserve) => format!("{} for {reserve}", of.kind),
        None => of.kind.clone(),
    };
    if of.to == "tree_blocks" {
        format!("{}: {why}", of.from)
    } else {
        format!("{} > {}: {why}", of.from, of.to)
    }
}

/// The function that moved most; empty if none is known.
#[must_use]
pub fn most_by(of: &DrawMove) -> String {
    of.callers.first().and_then(|by| by.caller.as_deref()).map(escape).unwrap_or_default()
}

/// The task that drew most on the global reserve.
#[must_use]
pub fn who(draw: &GlobalDraws) -> String {
    let others = draw.tasks.len().saturating_sub(1) as u64 + u64::from(draw.other_tasks.count > 0);
    let more = if others > 0 { " and others" } else { "" };
    draw.tasks
        .first()
        .map_or_else(|| "-".to_owned(), |by| format!("{} ({}){more}", escape(&by.task.comm), by.task.tid))
}

/// The functions for which the global reserve paid; empty if no stack was taken.
#[must_use]
pub fn place(draw: &GlobalDraws) -> String {
    let names: Vec<&str> = draw.stack.iter().filter_map(|frame| frame.symbol.as_deref()).collect();
    escape(&format::pays(&names))
}

/// That the global reserve was drawn on, and how low it was.
#[must_use]
pub fn lowest(draws: &Draws) -> String {
    let lowest = draws.global_lowest.map_or(String::new(), |lowest| {
        format!("; at its lowest it held {} of {}", amount(lowest.reserved), amount(lowest.size))
    });
    format!("The global reserve was drawn on{lowest}")
}

/// What the matrix does not show.
#[must_use]
pub fn unknown(releases: Moved) -> String {
    format!(
        "{} of {}: where the bytes went is not visible.",
        format::counted(releases.count, "release"),
        amount(releases.bytes)
    )
}

/// A pool that grew while no task was at work.
#[must_use]
pub fn hint(growth: &IdleGrowth) -> String {
    format!(
        "hint: bytes_may_use of {} grew by {} in {} in which no task reserved anything, and never fell.",
        growth.space_info,
        amount(growth.bytes),
        format::counted(growth.intervals, "interval")
    )
}

/// Bytes in few characters.
#[must_use]
pub fn amount(bytes: u64) -> String {
    format::bytes(i64::try_from(bytes).unwrap_or(i64::MAX), "")
}

/// Who moved bytes, most first; how many, if it is not all.
#[must_use]
pub fn callers(of: &DrawMove) -> Vec<String> {
    let named = of.callers.iter().filter_map(|by| Some((by.caller.as_deref()?, by.bytes)));
    named
        .take(CALLERS)
        .map(|(name, bytes)| {
            let part = if bytes == of.bytes { String::new() } else { format!("{} ", amount(bytes)) };
            format!("{part}by {}", escape(name))
        })
        .collect()
}

/// For which trees, most bytes first; `None` if it was for none.
#[must_use]
pub fn trees(of: &DrawMove) -> Option<String> {
    let tree = |tree: &RootMoved| match format::root(tree.root) {
        root if tree.bytes == of.bytes => root,
        root => format!("{root} ({})", amount(tree.bytes)),
    };
    let named: Vec<String> = of.roots.iter().take(TREES).map(tree).collect();
    let others = of.roots.len() > TREES || of.other_roots.count > 0;
    let (many, more) = (if named.len() > 1 { "s" } else { "" }, if others { ", others" } else { "" });
    (!named.is_empty()).then(|| format!("for tree{many} {}{more}", named.join(", ")))
}

/// Whether anything is to be said of a block_rsv.
#[must_use]
pub const fn moved(row: &ReserveBalance) -> bool {
    row.came | row.went | row.not_attributed.unsigned_abs() != 0
}
