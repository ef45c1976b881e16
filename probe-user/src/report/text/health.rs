//! How well the session could see: failed reservations, the kernel's WARNs, rates, loss, hooks.
use super::{
    super::model::{Hook, HookState, Report},
    Detail,
    findings::frame_text,
    paper::{Paper, Tone},
    table::{self, left, right},
};
use crate::format::{self, escape::escape};

pub(super) fn render(paper: &mut Paper, report: &Report, detail: Detail) {
    paper.heading("What was seen");
    failed(paper, report);
    statistics(paper, report);
    warnings(paper, report);
    said(paper, report);
    loss(paper, report);
    hooks(paper, &report.hooks, detail);
}

fn failed(paper: &mut Paper, report: &Report) {
    let text = report.failed_reservations.text();
    // What a delalloc reservation undoes is judged, so these are counted apart.
    let of_delalloc =
        if report.failures.is_empty() { text } else { format!("of delalloc reservations: {text}") };
    paper.field("failed", &of_delalloc);
}

fn statistics(paper: &mut Paper, report: &Report) {
    let numbers = &report.statistics;
    // In u128, since records times 10^9 passes u64 within hours.
    let average = (u128::from(numbers.records) * 1_000_000_000)
        .checked_div(u128::from(report.duration_ns))
        .map_or(0, |rate| u64::try_from(rate).unwrap_or(u64::MAX));
    paper.field(
        "records",
        &format!(
            "{}, {} a second on average, {} at the peak",
            format::count(numbers.records),
            format::count(average),
            format::count(numbers.peak_rates.records_per_second)
        ),
    );
    let hidden = match numbers.order_unknown {
        0 => String::new(),
        unknown => format!(" (not visible for {} more)", format::count(unknown)),
    };
    paper.field(
        "checked",
        &format!(
            "{} of counters, the order of {}{hidden}, the end of {}",
            format::counted(numbers.links, "change"),
            format::counted(numbers.order_checked, "reservation"),
            format::counted(numbers.inodes_closed, "inode")
        ),
    );
    if numbers.overlapping > 0 {
        paper.field(
            "overlapping",
            &format!(
                "{} during another one on the same inode",
                format::counted(numbers.overlapping, "reservation")
            ),
        );
    }
}

fn warnings(paper: &mut Paper, report: &Report) {
    for warning in &report.kernel_warnings {
        let at = frame_text(&warning.at);
        paper.field("kernel WARN", &format!("{at}, {}", format::counted(warning.count, "time")));
    }
}

fn said(paper: &mut Paper, report: &Report) {
    for line in &report.kernel_lines {
        let device = line.device.as_deref().unwrap_or("no device");
        let times = format::counted(line.count, "time");
        paper.field("kernel said", &format!("{} ({}, {times})", escape(&line.text), escape(device)));
    }
}

fn loss(paper: &mut Paper, report: &Report) {
    let lost: Vec<String> = report
        .loss
        .by_class
        .iter()
        .filter(|(_, count)| **count > 0)
        .map(|(class, count)| format!("{class} {}", format::count(*count)))
        .collect();
    let text = if lost.is_empty() { "nothing".to_owned() } else { lost.join(", ") };
    paper.field("lost", &text);
}

fn hooks(paper: &mut Paper, hooks: &[Hook], detail: Detail) {
    let attached = hooks.iter().filter(|hook| hook.state == HookState::Attached).count();
    let missed: u64 = hooks.iter().map(|hook| hook.missed).sum();
    paper.field(
        "hooks",
        &format!(
            "{attached} of {} attached, {} skipped by the kernel",
            hooks.len(),
            format::counted(missed, "hit")
        ),
    );
    for hook in hooks.iter().filter(|hook| hook.state != HookState::Attached) {
        let reason = hook.reason.as_deref().unwrap_or("no reason given");
        paper.item(&format!("{} {}: {}", escape(&hook.id), hook.state.name(), escape(reason)));
    }
    if detail < Detail::Full || attached == 0 {
        return;
    }
    paper.blank();
    let rows: Vec<Vec<String>> = hooks
        .iter()
        .filter(|hook| hook.state == HookState::Attached)
        .map(|hook| {
            vec![escape(&hook.id), hook.kind.clone(), format::count(hook.hits), format::count(hook.missed)]
        })
        .collect();
    table::render(paper, &[left("hook"), left("kind"), right("hits"), right("missed")], &rows);
    let title = paper
        .tone(Tone::Faint, "hits: how often a hook ran; it sends a record only when there is something new");
    paper.line(&format!("  {title}"));
}
