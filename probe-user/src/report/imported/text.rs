//! What a trace says, for a person.
use crate::{
    format::{self, bytes, count, counted, escape::escape},
    import::model::{Imported, ImportedFs, ReservationRow, Tickets, TracePlace, Underflow},
    report::text::{Look, Paper, Tone, left, render_table, right},
};

/// The whole of it; `brief`: the verdict and the findings.
#[must_use]
pub fn render(imported: &Imported, look: Look, brief: bool) -> String {
    let mut paper = Paper::new(look);
    verdict(&mut paper, imported);
    if !brief {
        for reason in &imported.verdict_reasons {
            paper.item(&escape(reason));
        }
        paper.blank();
        trace(&mut paper, imported);
    }
    findings(&mut paper, imported);
    if !brief {
        for fs in &imported.filesystems {
            filesystem(&mut paper, fs);
        }
        seen(&mut paper, imported);
    }
    paper.into_text()
}

fn verdict(paper: &mut Paper, imported: &Imported) {
    let (tone, text) = match imported.findings_count {
        0 if imported.events == 0 => (Tone::Doubt, "INCONCLUSIVE: this is no trace of btrfs".to_owned()),
        0 => (Tone::Doubt, "INCONCLUSIVE: no counter went below zero, and a trace shows no more".to_owned()),
        findings => (Tone::Bad, format!("FINDINGS: {} below zero", counted(findings, "counter change"))),
    };
    let line = paper.tone(tone, &text);
    paper.line(&line);
}

fn trace(paper: &mut Paper, imported: &Imported) {
    if imported.events == 0 {
        paper.field("expected", "text of the kernel's trace with events of btrfs: `btrfs-probe doctor --ftrace` shows how to take one");
        return;
    }
    let span = match (imported.first_ns, imported.last_ns) {
        (Some(first), Some(last)) => {
            let length = format::duration(last.saturating_sub(first));
            format!(" in {length}, from {} to {} of its clock", moment(first), moment(last))
        }
        _ => String::new(),
    };
    paper.field("trace", &format!("{}{span}", counted(imported.events, "event")));
    let lost = &imported.lost;
    let mut parts = Vec::new();
    if lost.events > 0 {
        parts.push(counted(lost.events, "event"));
    }
    if lost.places_without_number > 0 {
        parts.push(format!("an unknown number in {}", counted(lost.places_without_number, "place")));
    }
    if lost.overwritten > 0 {
        parts.push(format!("{} overwritten before the first one", count(lost.overwritten)));
    }
    let lost = if parts.is_empty() { "nothing that the trace tells of".to_owned() } else { parts.join(", ") };
    paper.field("lost", &lost);
    let shown: Vec<String> = imported
        .tasks
        .iter()
        .take(4)
        .map(|task| format!("{}-{} {}", escape(&task.comm), task.tid, count(task.events)))
        .collect();
    let more = if imported.tasks_count > shown.len() as u64 { ", ..." } else { "" };
    paper.field("tasks", &format!("{} ({}{more})", count(imported.tasks_count), shown.join(", ")));
    for warning in &imported.warnings {
        paper.field("kernel WARN", &format!("line {}: {}", count(warning.line), escape(&warning.text)));
    }
}

fn findings(paper: &mut Paper, imported: &Imported) {
    if imported.findings.is_empty() {
        return;
    }
    paper.heading("Findings");
    for finding in &imported.findings {
        paper.item(&sentence(finding));
    }
    let more = imported.findings_count.saturating_sub(imported.findings.len() as u64);
    if more > 0 {
        paper.item(&format!("and {} more", count(more)));
    }
}

fn sentence(finding: &Underflow) -> String {
    let unit = if finding.account == "inode.outstanding_extents" { "" } else { "bytes" };
    format!(
        "underflow of {} ({}) in {}: {} were taken, {} were there; filesystem {}",
        escape(&finding.account),
        escape(&finding.object),
        place(&finding.at),
        format::amount(finding.diff.saturating_neg(), unit),
        format::amount(finding.old, unit),
        finding.filesystem,
    )
}

fn filesystem(paper: &mut Paper, fs: &ImportedFs) {
    paper.heading(&format!("Filesystem {}", fs.uuid));
    if !fs.chains.is_empty() {
        let rows: Vec<Vec<String>> = fs
            .chains
            .iter()
            .map(|row| {
                let size =
                    |value: Option<i64>| value.map_or_else(|| "-".to_owned(), |value| bytes(value, ""));
                vec![
                    count(row.links),
                    count(row.breaks),
                    size(row.value),
                    size(row.peak),
                    format!("{} {}", escape(&row.account), object(&row.account, &row.object)),
                ]
            })
            .collect();
        let columns = [right("fit"), right("do not"), right("last"), right("highest"), left("changes of")];
        render_table(paper, &columns, &rows);
        paper.blank();
    }
    for broken in &fs.breaks {
        let text = format!(
            "{} ({}) in {}: {} was expected, {} was there ({})",
            escape(&broken.account),
            escape(&broken.object),
            place(&broken.at),
            format::exact(broken.expected),
            format::exact(broken.found),
            signed(broken.found.saturating_sub(broken.expected)),
        );
        paper.field("does not fit", &text);
    }
    let more = fs.breaks_count.saturating_sub(fs.breaks.len() as u64);
    if more > 0 {
        paper.field("does not fit", &format!("and {} more", count(more)));
    }
    waits(paper, fs);
    if fs.extents_allocated + fs.extents_freed > 0 {
        let (taken, freed) = (size(fs.extents_allocated), size(fs.extents_freed));
        paper.field("extents", &format!("{taken} taken for tree blocks and data, {freed} given back"));
    }
    if fs.commits > 0 {
        paper.field("commits", &count(fs.commits));
    }
    if !fs.reservations.is_empty() {
        paper.blank();
        let row = |row: &ReservationRow| vec![size(row.reserved), size(row.released), escape(&row.kind)];
        let rows: Vec<Vec<String>> = fs.reservations.iter().map(row).collect();
        render_table(
            paper,
            &[right("reserved"), right("released"), left("type of btrfs_space_reservation")],
            &rows,
        );
        // Not every way out of a block_rsv has an event of its type.
        paper.paragraph(
            "  ",
            "The kernel does not report all of a type by its own name, so these sums need not be equal.",
        );
    }
}

/// The name of the account has the type of a space_info already.
fn object(account: &str, object: &str) -> String {
    if account.starts_with("space.") { String::new() } else { escape(object) }
}

fn waits(paper: &mut Paper, fs: &ImportedFs) {
    let Tickets { granted, failed, errors, longest_ns, longest_at, unmeasured } = &fs.tickets;
    if granted + failed > 0 {
        let errors: Vec<String> =
            errors.iter().map(|row| format!("{} times {}", count(row.count), errno(row.errno))).collect();
        let errors = if errors.is_empty() { String::new() } else { format!(" ({})", errors.join(", ")) };
        let longest = match (longest_ns, longest_at) {
            (Some(wait), Some(at)) => {
                format!("; the longest took {}, ended in {}", format::duration(*wait), place(at))
            }
            _ => String::new(),
        };
        let unmeasured = match unmeasured {
            0 => String::new(),
            waits => format!("; {} of unknown length", count(*waits)),
        };
        paper.field(
            "waits",
            &format!(
                "{} got space, {} got none{errors}{longest}{unmeasured}",
                count(*granted),
                count(*failed)
            ),
        );
    }
    if fs.failed_all > 0 {
        paper.field(
            "all failed",
            &format!("{}: every ticket that waited got an error", counted(fs.failed_all, "time")),
        );
    }
    let begun: Vec<String> =
        fs.triggers.iter().map(|row| format!("{} for {}", count(row.count), escape(&row.event))).collect();
    if !begun.is_empty() {
        paper.field("flushing", &format!("begun {}", begun.join(", ")));
    }
    let steps: Vec<String> = fs
        .flushes
        .iter()
        .map(|row| {
            let errors =
                if row.errors > 0 { format!(" ({} failed)", count(row.errors)) } else { String::new() };
            format!("{} {}{errors}", escape(&row.state), count(row.calls))
        })
        .collect();
    if !steps.is_empty() {
        paper.field("steps", &steps.join(", "));
    }
}

fn seen(paper: &mut Paper, imported: &Imported) {
    if imported.events == 0 {
        return;
    }
    paper.heading("What was seen");
    let rows: Vec<Vec<String>> =
        imported.by_event.iter().map(|row| vec![count(row.count), escape(&row.event)]).collect();
    render_table(paper, &[right("events"), left("event")], &rows);
    if imported.events_not_followed > 0 {
        paper.blank();
        paper.item(&format!(
            "{} were left out to bound memory.",
            counted(imported.events_not_followed, "event")
        ));
    }
    paper.heading("Not judged");
    for text in &imported.not_judged {
        paper.item(&escape(text));
    }
}

fn place(at: &TracePlace) -> String {
    let time = at.time_ns.map(|time| format!(", {}", moment(time))).unwrap_or_default();
    format!("line {} ({}-{}{time})", count(at.line), escape(&at.comm), at.tid)
}

/// A time of the trace's clock as the trace prints it.
fn moment(ns: u64) -> String {
    format!("{}.{:06} s", ns / 1_000_000_000, ns / 1000 % 1_000_000)
}

fn size(number: u64) -> String {
    bytes(i64::try_from(number).unwrap_or(i64::MAX), "")
}

fn signed(number: i64) -> String {
    let sign = if number > 0 { "+" } else { "" };
    format!("{sign}{}", format::exact(number))
}

fn errno(number: i32) -> String {
    match number {
        28 => "ENOSPC".to_owned(),
        122 => "EDQUOT".to_owned(),
        4 => "EINTR".to_owned(),
        5 => "EIO".to_owned(),
        30 => "EROFS".to_owned(),
        number => format!("errno {number}"),
    }
}
