//! Waits and flushes of a filesystem. Left out where nothing waited and nothing was flushed.
use super::{
    super::model::{Filesystem, FlushStateTotals, ReclaimWorker, Stall, Task, WaitingTask, Waits},
    Detail,
    paper::{Paper, Tone},
    table::{self, left, right},
};
use crate::format::{self, escape::escape};

/// Rows of each list unless all is asked for.
const MOST: usize = 5;

pub(super) fn render(paper: &mut Paper, fs: &Filesystem, detail: Detail) {
    let most = if detail >= Detail::Full { usize::MAX } else { MOST };
    times(paper, fs);
    waiting(paper, &fs.waits, most);
    stalls(paper, &fs.waits, most);
    tasks(paper, &fs.waits, most);
    flushes(paper, fs, detail);
}

fn times(paper: &mut Paper, fs: &Filesystem) {
    let times = &fs.waits.times;
    if times.count == 0 {
        return;
    }
    let unmeasured = match times.unmeasured {
        0 => String::new(),
        count => format!("; {} that began before the session not measured", format::count(count)),
    };
    paper.field(
        "waits",
        &format!(
            "half took at most {}, 90% {}, 99% {}; the longest {}; {} in all{unmeasured}",
            format::length(times.p50_ns),
            format::length(times.p90_ns),
            format::length(times.p99_ns),
            format::length(times.max_ns),
            format::length(times.total_ns)
        ),
    );
}

fn waiting(paper: &mut Paper, waits: &Waits, most: usize) {
    if waits.waiting.is_empty() {
        return;
    }
    paper.blank();
    let text = format!("{} never ended in this session:", format::counted(waits.waiting_count, "wait"));
    let text = paper.tone(Tone::Doubt, &text);
    paper.line(&format!("   {text}"));
    for ticket in waits.waiting.iter().take(most) {
        paper.item(&waits_still(ticket));
    }
    let more = waits.waiting_count.saturating_sub(waits.waiting.len().min(most) as u64);
    if more > 0 {
        paper.item(&format!("and {} more", format::count(more)));
    }
    for worker in &waits.workers {
        paper.item(&works(worker));
    }
}

fn stalls(paper: &mut Paper, waits: &Waits, most: usize) {
    if waits.stalls.is_empty() {
        return;
    }
    paper.blank();
    paper.line(&format!(
        "   stalls of at least {}, the longest first:",
        format::length(waits.stall_threshold_ns)
    ));
    for stall in waits.stalls.iter().take(most) {
        paper.item(&stalled(stall));
    }
    if waits.stalls.len() > most {
        paper.item(&format!("and {} more; -v shows them", waits.stalls.len() - most));
    }
}

fn tasks(paper: &mut Paper, waits: &Waits, most: usize) {
    // Who waited for less than this in all has not waited.
    const WORTH_NS: u64 = 10_000_000;
    let rows: Vec<Vec<String>> = waits
        .tasks
        .iter()
        .filter(|task| task.total_ns >= WORTH_NS)
        .take(most)
        .map(|task| {
            vec![
                format::length(task.total_ns),
                format::length(task.longest_ns),
                format::count(task.count),
                format::count(task.failed),
                who(Some(&task.task)),
            ]
        })
        .collect();
    if rows.is_empty() {
        return;
    }
    paper.blank();
    let columns =
        [right("waited"), right("longest"), right("tickets"), right("failed"), left("task that waited most")];
    table::render(paper, &columns, &rows);
}

fn flushes(paper: &mut Paper, fs: &Filesystem, detail: Detail) {
    if fs.flushes.states.is_empty() {
        return;
    }
    paper.blank();
    let columns = [
        left("flush state"),
        left("space"),
        right("calls"),
        right("errors"),
        right("asked"),
        right("won >="),
        right("time"),
        right("longest"),
    ];
    let rows: Vec<Vec<String>> = fs.flushes.states.iter().map(row).collect();
    table::render(paper, &columns, &rows);
    let runs = |number: fn(&super::super::model::FlushRunTotals) -> u64| -> u64 {
        fs.flushes.runs.iter().map(number).sum()
    };
    let text = format!(
        "{} for tickets, {} preemptive; {}. won: by how much the tickets became fewer; the kernel does not tell what a flush freed.",
        format::counted(runs(|run| run.for_tickets), "reclaim run"),
        format::count(runs(|run| run.preemptive)),
        format::counted(fs.flushes.commits, "transaction commit")
    );
    if detail >= Detail::Full || runs(|run| run.for_tickets) > 0 {
        paper.paragraph("  ", &text);
    }
}

fn row(state: &FlushStateTotals) -> Vec<String> {
    let errors = match state.last_errno {
        Some(errno) => format!("{} ({errno})", format::count(state.errors)),
        None => "0".to_owned(),
    };
    let timed = |ns: u64| if state.timed == 0 { "-".to_owned() } else { format::length(ns) };
    vec![
        format!("{}{}", state.state, if state.preemptive { " (preemptive)" } else { "" }),
        state.space.clone(),
        format::count(state.calls),
        errors,
        asked(state),
        state.won_bytes.map_or_else(|| "-".to_owned(), bytes),
        timed(state.time_ns),
        timed(state.longest_ns),
    ]
}

fn asked(state: &FlushStateTotals) -> String {
    if state.asked_all > 0 { "all".to_owned() } else { bytes(state.asked_bytes) }
}

fn bytes(number: u64) -> String {
    format::bytes(i64::try_from(number).unwrap_or(i64::MAX), "")
}

/// A ticket that waits, in one sentence.
#[must_use]
pub fn waits_still(ticket: &WaitingTask) -> String {
    let text = format!(
        "{} has waited at least {} for {}",
        who(ticket.task.as_ref()),
        format::length(ticket.waited_at_least_ns),
        wanted(ticket)
    );
    format!("{text}{}", callers(ticket))
}

/// A wait that is over, in one sentence.
#[must_use]
pub fn stalled(stall: &Stall) -> String {
    let outcome = match (stall.outcome.as_str(), stall.errno) {
        ("failed", Some(errno)) => format!("failed with errno {errno}"),
        ("not-seen", _) => "its end was not seen".to_owned(),
        (outcome, _) => outcome.to_owned(),
    };
    let at_least = if stall.at_least { "at least " } else { "" };
    let worker = stall.worker.as_ref().map(|worker| format!("; meanwhile {}", works(worker)));
    format!(
        "{} waited {at_least}{} for {}{}: {outcome}{}",
        who(stall.ticket.task.as_ref()),
        format::length(stall.waited_ns),
        wanted(&stall.ticket),
        callers(&stall.ticket),
        worker.unwrap_or_default()
    )
}

/// What a worker does, in one sentence.
#[must_use]
pub fn works(worker: &ReclaimWorker) -> String {
    let does = format::reclaims(&worker.stack);
    let place = if does.is_empty() { "runs".to_owned() } else { format!("is in {does}") };
    let last = worker.last_state.as_ref().map(|state| format!(" (last finished: {state})"));
    let work = match worker.work.as_str() {
        "preemptive" => "reclaims metadata preemptively",
        "data" => "reclaims data",
        _ => "reclaims metadata",
    };
    format!("{}, which {work}, {place}{}", who(Some(&worker.task)), last.unwrap_or_default())
}

fn wanted(ticket: &WaitingTask) -> String {
    let inode = ticket.inode.map(|inode| format!(", inode {inode}")).unwrap_or_default();
    let root = ticket.root.map(|root| format!(" of subvolume {root}")).unwrap_or_default();
    let own = if ticket.priority { ", flushing for itself" } else { "" };
    let size = format::bytes(i64::try_from(ticket.bytes).unwrap_or(i64::MAX), "iB");
    format!("{size} of {} space ({}{own}){inode}{root}", ticket.space, ticket.flush)
}

fn callers(ticket: &WaitingTask) -> String {
    let callers = format::reserves(&ticket.stack);
    if callers.is_empty() {
        return String::new();
    }
    let flush = if ticket.priority { format::reclaims(&ticket.stack) } else { String::new() };
    let flush = if flush.is_empty() { flush } else { format!("; its flush is in {flush}") };
    format!(", in {callers}{flush}")
}

fn who(task: Option<&Task>) -> String {
    match task {
        None => "a task that is not known".to_owned(),
        Some(task) if task.comm.is_empty() => format!("thread {}", task.tid),
        Some(task) => format!("{} ({})", escape(&task.comm), task.tid),
    }
}
