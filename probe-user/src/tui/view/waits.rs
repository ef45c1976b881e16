//! Who waits for space now, and what is done to get it: parts of the page Pools.
use ratatui::{buffer::Buffer, layout::Rect};

use crate::{
    format::{self, escape::escape},
    report::model::{FlushStateTotals, Task, WaitingTask, Waits},
    tui::{
        drawing::{Piece, put, put_text, title},
        palette::{Palette, Role},
        picture::FsView,
    },
};

/// Rows for who waits, in an area of this height; 0 if nobody does.
pub fn rows_for(waits: &Waits, height: u16) -> u16 {
    if waits.waiting.is_empty() {
        return 0;
    }
    let wanted = u16::try_from(waits.waiting.len() + waits.workers.len()).unwrap_or(u16::MAX);
    wanted.min(height / 5).saturating_add(1)
}

/// Who waits now, longest first, and the workers that reclaim.
pub fn waiting(buffer: &mut Buffer, area: Rect, waits: &Waits, palette: Palette) {
    let Some(room) = area.height.checked_sub(1) else { return };
    let longest = waits.waiting.first().map_or(0, |ticket| ticket.waited_at_least_ns);
    let verb = if waits.waiting_count == 1 { "waits" } else { "wait" };
    let head = format!(
        "{} {verb} for space now, the longest for at least {}",
        format::counted(waits.waiting_count, "task"),
        format::length(longest)
    );
    title(buffer, area.x, area.y, area.width, &head, palette);
    // What the workers do explains all waits, so it has its rows first.
    let workers = usize::from(room).saturating_sub(1).min(waits.workers.len());
    let tickets = usize::from(room) - workers;
    let lines = waits.waiting.iter().take(tickets).map(ticket);
    let workers = waits.workers.iter().take(workers).map(|worker| {
        let text = format!("  {}", works(worker));
        vec![(text, Role::Key)]
    });
    for (y, pieces) in (area.y + 1..area.bottom()).zip(lines.chain(workers)) {
        put(buffer, area.x, y, area.width, &pieces, palette);
    }
}

/// A ticket in one line: how long, who, what, and where from.
fn ticket(ticket: &WaitingTask) -> Vec<Piece> {
    let long = ticket.waited_at_least_ns >= 1_000_000_000;
    let inode = ticket.inode.map(|inode| format!(", inode {inode}")).unwrap_or_default();
    let callers = format::reserves(&ticket.stack);
    let size = format::bytes(i64::try_from(ticket.bytes).unwrap_or(i64::MAX), "");
    vec![
        (
            format!(" >={:>7}  ", format::length(ticket.waited_at_least_ns)),
            if long { Role::Warn } else { Role::Text },
        ),
        (who(ticket.task.as_ref()), Role::Strong),
        (format!("  {size} {} {}{inode}", ticket.space, ticket.flush), Role::Text),
        (if callers.is_empty() { String::new() } else { format!("  {callers}") }, Role::Faint),
    ]
}

fn works(worker: &crate::report::model::ReclaimWorker) -> String {
    let does = format::reclaims(&worker.stack);
    let last = worker.last_state.as_ref().map(|state| format!("after {state}, ")).unwrap_or_default();
    let does = if does.is_empty() { "running".to_owned() } else { does };
    format!("{} reclaims {}: {last}{does}", who(Some(&worker.task)), worker.work)
}

fn who(task: Option<&Task>) -> String {
    match task {
        None => "(task not known)".to_owned(),
        Some(task) => format!("{} {}", escape(&task.comm), task.tid),
    }
}

/// Rows for the flush states, in an area of this height; 0 if there is no room or nothing was flushed.
pub fn flush_rows(fs: &FsView, height: u16) -> u16 {
    let states = u16::try_from(fs.flush.states.len()).unwrap_or(u16::MAX);
    if states == 0 || height < 16 { 0 } else { states.saturating_add(2).min(height / 2) }
}

/// The states of flushes with what they cost and won.
pub fn flushes(buffer: &mut Buffer, area: Rect, fs: &FsView, palette: Palette) {
    if area.height < 2 {
        return;
    }
    let times = &fs.waits.times;
    let head = format!(
        "flushes; {} commits; waits: half at most {}, 99% {}, longest {}",
        format::count(fs.flush.commits),
        format::length(times.p50_ns),
        format::length(times.p99_ns),
        format::length(times.max_ns)
    );
    title(buffer, area.x, area.y, area.width, &head, palette);
    let columns = line(["STATE", "SPACE", "CALLS", "ERRORS", "ASKED", "WON >=", "TIME", "LONGEST"]);
    put_text(buffer, area.x, area.y + 1, area.width, &columns, palette, Role::Head);
    for (y, state) in (area.y + 2..area.bottom()).zip(&fs.flush.states) {
        let role = if state.errors > 0 { Role::Warn } else { Role::Text };
        put_text(buffer, area.x, y, area.width, &state_line(state), palette, role);
    }
}

fn state_line(state: &FlushStateTotals) -> String {
    let bytes = |number: u64| format::bytes(i64::try_from(number).unwrap_or(i64::MAX), "");
    let timed = |ns: u64| if state.timed == 0 { "-".to_owned() } else { format::length(ns) };
    let name = if state.preemptive { format!("{} (preemptive)", state.state) } else { state.state.clone() };
    line([
        &name,
        &state.space,
        &format::count(state.calls),
        &format::count(state.errors),
        &if state.asked_all > 0 { "all".to_owned() } else { bytes(state.asked_bytes) },
        &state.won_bytes.map_or_else(|| "-".to_owned(), bytes),
        &timed(state.time_ns),
        &timed(state.longest_ns),
    ])
}

fn line(of: [&str; 8]) -> String {
    let [state, space, calls, errors, asked, won, time, longest] = of;
    format!("  {state:<34} {space:<8} {calls:>8} {errors:>7} {asked:>8} {won:>8} {time:>9} {longest:>9}")
}
