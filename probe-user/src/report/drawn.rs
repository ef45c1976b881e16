//! Draws in words, for text and screen. All of it is escaped.
use super::model::{DrawMove, Draws, GlobalDraws, IdleGrowth, Moved};
use crate::format::{self, escape::escape};

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
