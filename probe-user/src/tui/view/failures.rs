//! Failures: reservations that got no space, and why; and who draws on which reserve of the filesystem.
use ratatui::{buffer::Buffer, layout::Rect};

use super::draws;
use crate::{
    format::{
        self,
        escape::{escape, width},
    },
    report::{failed, model::FailureKind},
    tui::{
        columns::failure_columns,
        drawing::{Hits, Piece, put, put_text, wrap},
        palette::{Palette, Role},
        picture::{FailureRow, FailuresView, Picture},
        state::App,
        table,
    },
};

/// Said where there is no row.
const NONE: [&str; 2] = [
    "No reservation failed so far, no limit of a qgroup refused one, and no transaction was aborted.",
    "When one does, its row says who asked for how much, why it did not fit, and what helps.",
];

/// Lines that are left for the draws.
const DRAWS: u16 = 6;

/// Draws the page.
pub fn draw(buffer: &mut Buffer, area: Rect, app: &App, hits: &mut Hits) {
    let Some(picture) = &app.picture else { return };
    let rows = app.failure_rows();
    let selected = rows.get(app.failures.selected.min(rows.len().saturating_sub(1))).copied();
    let y = match selected {
        None => none(buffer, area, app.palette),
        Some(selected) => list(buffer, area, app, picture, &rows, selected, hits),
    };
    let rest = Rect { y, height: area.bottom().saturating_sub(y), ..area };
    if let Some(fs) = picture.filesystems.get(app.failing_filesystem()) {
        draws::panel(buffer, rest, fs, app.palette);
    }
}

/// Why there is no row. The first line that is free.
fn none(buffer: &mut Buffer, area: Rect, palette: Palette) -> u16 {
    let mut y = area.y + 1;
    for text in NONE {
        for line in wrap(text, usize::from(area.width).saturating_sub(4)) {
            put_text(buffer, area.x + 2, y, area.width - 2, &line, palette, Role::Text);
            y += 1;
        }
    }
    y + 1
}

/// The list, and the text of the selected row. The first line that is free.
fn list(
    buffer: &mut Buffer,
    area: Rect,
    app: &App,
    picture: &Picture,
    rows: &[&FailureRow],
    selected: &FailureRow,
    hits: &mut Hits,
) -> u16 {
    put(buffer, area.x, area.y, area.width, &sums(&picture.failures), app.palette);
    // The list takes a third at most; the text has what it needs, but leaves room for some draws.
    let third = (area.height - 1) / 3;
    let high = (rows.len() as u16 + 1).min(third.max(5));
    let table = Rect { y: area.y + 1, height: high, ..area };
    table::draw(buffer, table, rows, &failure_columns(), &app.failures, app.palette, hits);
    let mut y = table.bottom();
    let facts = facts(selected, usize::from(area.width));
    put_text(buffer, area.x, y, area.width, &facts, app.palette, Role::Head);
    y += 1;
    let lines = text(selected, usize::from(area.width).saturating_sub(1));
    let room = usize::from((area.bottom().saturating_sub(y + DRAWS)).max(third.max(5) - 1));
    let cut = lines.len() > room;
    for (at, line) in lines.into_iter().take(room).enumerate() {
        let last = cut && at + 1 == room;
        let line = if last { "(enter shows the rest)".to_owned() } else { line };
        let role = if last { Role::Faint } else { Role::Text };
        put_text(buffer, area.x + 1, y, area.width - 1, &line, app.palette, role);
        y += 1;
    }
    y + u16::from(area.height >= 30)
}

/// How many of which kind.
fn sums(failures: &FailuresView) -> Vec<Piece> {
    let part = |kind, what: &str| match failures.count(kind) {
        0 => None,
        count => Some(format::counted(count, what)),
    };
    let failed: Vec<String> = [
        part(FailureKind::Ticket, "ticket"),
        part(FailureKind::Qgroup, "qgroup limit"),
        part(FailureKind::Abort, "abort"),
    ]
    .into_iter()
    .flatten()
    .collect();
    let mut pieces = Vec::new();
    if !failed.is_empty() {
        pieces.push((format!("failed: {}", failed.join(", ")), Role::Warn));
    }
    let refused = failures.count(FailureKind::NoWait);
    if refused > 0 {
        let lead = if pieces.is_empty() { "" } else { "; " };
        let text = format!("{lead}{} refused that may not wait", format::count(refused));
        pieces.push((text, Role::Faint));
    }
    if failures.left_out > 0 {
        pieces.push((format!("; {} more only counted", format::count(failures.left_out)), Role::Warn));
    }
    pieces
}

/// Where, how often and whose; without the tasks if they do not fit.
fn facts(row: &FailureRow, columns: usize) -> String {
    let failure = &row.failure;
    let mut facts = vec![escape(&row.device), failed::of(failure)];
    facts.extend(failure.instances.last().and_then(|instance| instance.flush.clone()));
    facts.push(format::counted(failure.count, "time"));
    facts.retain(|fact| !fact.is_empty());
    let short = facts.join(", ");
    facts.pop();
    facts.push(failed::happened(failure));
    let long = facts.join(", ");
    if width(&long) <= columns { long } else { short }
}

/// Of the last one of which it is known: who, why, and what helps first.
fn text(row: &FailureRow, columns: usize) -> Vec<String> {
    let Some(instance) = failed::best(&row.failure) else { return Vec::new() };
    let mut lines = wrap(&failed::sentence(&row.failure, instance), columns);
    if !row.is_final() {
        lines.extend(wrap(failed::ANOTHER_WAY, columns));
    }
    let help = instance.why.as_ref().and_then(|why| why.help.first());
    lines.extend(help.into_iter().flat_map(|help| wrap(&format!("helps: {}", escape(help)), columns)));
    lines
}
