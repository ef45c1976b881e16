//! One finding: which rule was broken, both stacks, and the evidence in time order.
use ratatui::{buffer::Buffer, layout::Rect};

use super::frame::frame_line;
use crate::{
    format::{
        self,
        escape::{escape, keep_end, width},
    },
    report::{
        known,
        model::{Finding, Frame, OriginOf, StackSource},
        owners,
    },
    tui::{
        drawing::{Hits, Piece, put, scrolled, wrap},
        palette::Role,
        state::App,
    },
};

/// Draws the page.
pub fn draw(buffer: &mut Buffer, area: Rect, app: &App, hits: &mut Hits) {
    let (Some(picture), Some((id, from))) = (&app.picture, app.open_finding) else { return };
    let Some(finding) = picture.findings.iter().find(|finding| finding.id == id) else {
        let text = "This finding is not made yet at this moment of the recording.".to_owned();
        put(buffer, area.x + 2, area.y + 1, area.width - 2, &[(text, Role::Warn)], app.palette);
        return;
    };
    let columns = usize::from(area.width);
    let mut lines = head(finding, columns);
    if columns >= 150 {
        lines.extend(side_by_side(finding, columns));
    } else {
        lines.extend(freed(finding, columns));
        for origin in &finding.origins {
            lines.push(Vec::new());
            lines.extend(reserved(origin, columns));
        }
    }
    lines.extend(other_origins(finding));
    lines.extend(instances(finding, columns));
    lines.push(Vec::new());
    lines.extend(evidence(finding, columns));
    scrolled(buffer, area, &lines, from, app.palette, hits);
}

fn head(finding: &Finding, columns: usize) -> Vec<Vec<Piece>> {
    let mut lines = vec![vec![
        (format!("#{} {}", finding.id, finding.kind.name()), Role::Bad),
        (
            format!(" of {}: {}", finding.account.name(), format::amount(finding.amount, &finding.unit)),
            Role::Strong,
        ),
    ]];
    let several = owners::counted(finding);
    lines.extend(
        wrap(&escape(&owners::explanation(finding)), columns)
            .into_iter()
            .map(|line| vec![(line, Role::Text)]),
    );
    let of = |one: &'static str, first: &'static str| if several.is_some() { first } else { one };
    let mut facts: Vec<(&str, String)> = Vec::new();
    let mut fact = |name, value: Option<String>| facts.extend(value.map(|value| (name, value)));
    fact("filesystem", finding.filesystem.clone());
    let largest = owners::largest(finding, 1);
    if let Some((what, text)) = &largest {
        fact(what, Some(text.clone()));
        fact("first", owners::first(finding));
    } else {
        fact("subvolume", finding.root.map(format::root));
        let generation = finding.generation.map(|of| format!(", generation {of}")).unwrap_or_default();
        fact("inode", finding.inode.map(|inode| format!("{inode}{generation}")));
    }
    fact(of("path", "first path"), finding.path.as_deref().map(escape));
    fact(
        of("held before", "first held"),
        finding.balance_before.map(|held| format::amount(held, &finding.unit)),
    );
    fact(
        of("task", "first task"),
        finding.task.as_ref().map(|task| {
            let pid = task.pid.map(|pid| format!(", pid {pid}")).unwrap_or_default();
            format!("{}{pid}, tid {}", escape(&task.comm), task.tid)
        }),
    );
    fact("test", finding.test.as_deref().map(escape));
    fact("follows from", finding.cause.map(|cause| format!("#{cause}, so it is not counted")));
    let seen = format::moment(finding.first_seen_ns);
    fact(
        "seen",
        Some(match finding.count {
            1 => seen,
            count => format!(
                "{} times, {seen} first, {} last",
                format::count(count),
                format::moment(finding.last_seen_ns)
            ),
        }),
    );
    fact("confidence", Some(finding.confidence.name().to_owned()));
    fact("known", known::words(finding));
    fact("fingerprint", Some(finding.fingerprint.clone()));
    fact("read", Some(owners::pages(finding)));
    for (name, value) in facts {
        for (at, part) in wrap(&value, columns.saturating_sub(15)).into_iter().enumerate() {
            let name = if at == 0 { name } else { "" };
            lines.push(vec![(format!("  {name:<12} "), Role::Faint), (part, Role::Text)]);
        }
    }
    lines.push(Vec::new());
    lines
}

const fn source(source: StackSource) -> &'static str {
    match source {
        StackSource::Exact => "exact stack",
        StackSource::Representative => "representative stack",
        StackSource::None => "no stack was taken",
    }
}

fn freed(finding: &Finding, columns: usize) -> Vec<Vec<Piece>> {
    let mut lines =
        vec![vec![(format!("freed, or where it showed ({})", source(finding.stack_source)), Role::Head)]];
    lines.extend(frames(&finding.stack, columns));
    lines
}

fn reserved(origin: &OriginOf, columns: usize) -> Vec<Vec<Piece>> {
    let amount = format::amount(i64::try_from(origin.bytes).unwrap_or(i64::MAX), "bytes");
    let text = format!(
        "reserved {amount} in {} ({})",
        format::counted(origin.count, "reservation"),
        source(origin.stack_source)
    );
    let mut lines = vec![vec![(text, Role::Head)]];
    lines.extend(frames(&origin.stack, columns));
    lines
}

fn frames(frames: &[Frame], columns: usize) -> Vec<Vec<Piece>> {
    frames
        .iter()
        .map(|frame| vec![(format!("  {}", frame_line(frame, columns.saturating_sub(2))), Role::Text)])
        .collect()
}

/// Stacks that are not listed.
fn other_origins(finding: &Finding) -> Vec<Vec<Piece>> {
    if finding.origins_left_out == 0 {
        return Vec::new();
    }
    let bytes = i64::try_from(finding.origins_left_out_bytes).unwrap_or(i64::MAX);
    let amount = format::amount(bytes, "bytes");
    let stacks = format::counted(finding.origins_left_out, "more stack");
    vec![Vec::new(), vec![(format!("reserved {amount} from {stacks}"), Role::Head)]]
}

/// The instances of a finding that is about several.
fn instances(finding: &Finding, columns: usize) -> Vec<Vec<Piece>> {
    let Some(several) = owners::counted(finding) else { return Vec::new() };
    let mut lines =
        vec![Vec::new(), vec![(format!("{several}, the first, the last and the largest"), Role::Head)]];
    for instance in &finding.instances {
        let name = owners::name(instance).unwrap_or_else(|| "the filesystem".to_owned());
        let text = format!(
            "  {} {name}: {} in {}",
            format::moment(instance.first_seen_ns),
            owners::amount(instance, finding),
            format::counted(instance.count, "violation"),
        );
        let room = columns.saturating_sub(width(&text) + 2);
        let path = instance.path.as_deref().map(|path| format!("  {}", keep_end(&escape(path), room)));
        lines.push(vec![(text, Role::Text), (path.unwrap_or_default(), Role::Faint)]);
    }
    if finding.instances_left_out > 0 {
        lines.push(vec![(format!("  and {} more", format::count(finding.instances_left_out)), Role::Faint)]);
    }
    lines
}

/// The stack that freed at the left, those that reserved at the right.
fn side_by_side(finding: &Finding, columns: usize) -> Vec<Vec<Piece>> {
    let half = columns / 2 - 1;
    let left = freed(finding, half);
    let mut right: Vec<Vec<Piece>> = Vec::new();
    for origin in &finding.origins {
        right.extend(reserved(origin, half));
    }
    if right.is_empty() {
        right.push(vec![("no stack that reserved is known".to_owned(), Role::Faint)]);
    }
    (0..left.len().max(right.len()))
        .map(|at| {
            let mut line = left.get(at).cloned().unwrap_or_default();
            let used: usize = line.iter().map(|(text, _)| width(text)).sum();
            line.push((" ".repeat((half + 2).saturating_sub(used)), Role::Text));
            line.extend(right.get(at).cloned().unwrap_or_default());
            line
        })
        .collect()
}

fn evidence(finding: &Finding, columns: usize) -> Vec<Vec<Piece>> {
    let of = if owners::counted(finding).is_some() { " of the first" } else { "" };
    let mut lines = vec![vec![(format!("evidence{of}, oldest first"), Role::Head)]];
    if finding.evidence.is_empty() {
        lines.push(vec![("  none was kept".to_owned(), Role::Faint)]);
    }
    for line in &finding.evidence {
        let head = format!("  {} tid {:<7} ", format::moment(line.time_ns), line.tid);
        for (at, part) in
            wrap(&escape(&line.text), columns.saturating_sub(head.len()).max(10)).into_iter().enumerate()
        {
            let lead = if at == 0 { head.clone() } else { " ".repeat(head.len()) };
            lines.push(vec![(lead, Role::Faint), (part, Role::Text)]);
        }
        for frame in line.stack.iter().take(3) {
            lines.push(vec![(
                format!("      in {}", frame_line(frame, columns.saturating_sub(9))),
                Role::Faint,
            )]);
        }
    }
    lines
}
