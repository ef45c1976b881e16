//! Findings: the rules that were broken.
use ratatui::{buffer::Buffer, layout::Rect};

use super::{
    super::{
        chart,
        look::Role,
        state::{App, Hits},
        table::{self, Cell, CellRoom, Column},
    },
    put, wrap,
};
use crate::report::{
    escape::{escape, keep_end},
    format,
    model::Finding,
};

/// The columns.
pub fn columns() -> [Column<Finding>; 10] {
    const fn column(
        title: &'static str,
        width: (u16, u16),
        rank: u8,
        right: bool,
        cell: fn(&Finding, &CellRoom) -> Cell,
        order: Option<fn(&Finding, &Finding) -> std::cmp::Ordering>,
    ) -> Column<Finding> {
        Column { title, width: width.0, most: width.1, rank, right, cell, order }
    }
    [
        column("#", (3, 5), 0, true, |row, _| Cell::text(row.id.to_string()), Some(|a, b| a.id.cmp(&b.id))),
        column("KIND", (14, 24), 0, false, |row, _| kind(row), Some(|a, b| a.kind.name().cmp(b.kind.name()))),
        column(
            "ACCOUNT",
            (14, 32),
            1,
            false,
            |row, _| Cell::text(row.account.name()),
            Some(|a, b| a.account.name().cmp(b.account.name())),
        ),
        column("AMOUNT", (9, 12), 0, true, |row, _| amount(row), Some(|a, b| a.amount.cmp(&b.amount))),
        column(
            "TIMES",
            (5, 8),
            3,
            true,
            |row, _| Cell::text(format::count(row.count)),
            Some(|a, b| a.count.cmp(&b.count)),
        ),
        column(
            "SUBVOL",
            (6, 8),
            5,
            true,
            |row, _| or_dash(row.root.map(format::root)),
            Some(|a, b| a.root.cmp(&b.root)),
        ),
        column(
            "INODE",
            (7, 10),
            2,
            true,
            |row, _| or_dash(row.inode.map(|ino| ino.to_string())),
            Some(|a, b| a.inode.cmp(&b.inode)),
        ),
        column(
            "SEEN",
            (12, 14),
            4,
            true,
            |row, _| Cell::text(format::moment(row.first_seen_ns)),
            Some(|a, b| a.first_seen_ns.cmp(&b.first_seen_ns)),
        ),
        column("TASK", (10, 22), 7, false, |row, _| task(row), None),
        column("PATH", (10, 100), 6, false, path, Some(|a, b| a.path.cmp(&b.path))),
    ]
}

fn kind(row: &Finding) -> Cell {
    let role = if row.ignored.is_some() { Role::Faint } else { Role::Bad };
    Cell::new(row.kind.name(), role)
}

fn amount(row: &Finding) -> Cell {
    Cell::text(if row.unit == "bytes" { format::bytes(row.amount, "") } else { format::exact(row.amount) })
}

fn or_dash(text: Option<String>) -> Cell {
    text.map_or_else(|| Cell::new("-", Role::Faint), Cell::text)
}

fn task(row: &Finding) -> Cell {
    or_dash(row.task.as_ref().map(|task| format!("{} {}", escape(&task.comm), task.tid)))
}

fn path(row: &Finding, room: &CellRoom) -> Cell {
    or_dash(row.path.as_deref().map(|path| keep_end(&escape(path), room.width)))
}

/// Draws the page.
pub fn draw(buffer: &mut Buffer, area: Rect, app: &App, hits: &mut Hits) {
    let Some(picture) = &app.picture else { return };
    let rows = app.finding_rows();
    if rows.is_empty() {
        let text = if picture.findings.is_empty() {
            "No rule was broken so far.".to_owned()
        } else {
            format!(
                "None of {} matches `{}`: esc takes the filter off.",
                format::counted(picture.found, "finding"),
                app.filter
            )
        };
        chart::text(buffer, area.x + 2, area.y + 1, area.width - 2, &escape(&text), app.look, Role::Text);
        let mut y = area.y + 3;
        for reason in picture.reasons.iter() {
            for (at, line) in
                wrap(&escape(reason), usize::from(area.width).saturating_sub(6)).iter().enumerate()
            {
                if y < area.bottom() {
                    let lead = if at == 0 { "- " } else { "  " };
                    chart::text(
                        buffer,
                        area.x + 2,
                        y,
                        area.width - 2,
                        &format!("{lead}{line}"),
                        app.look,
                        Role::Faint,
                    );
                    y += 1;
                }
            }
        }
        return;
    }
    let high = area.height.saturating_sub(5);
    let beyond = picture.found.saturating_sub(picture.findings.len() as u64);
    if beyond > 0 {
        let text = format!("{} more are in a report and not here", format::count(beyond));
        let foot = Rect { y: area.y + high, height: 1, ..area };
        put(buffer, foot.x + 1, foot.y, foot.width - 2, &[(text, Role::Warn)], app.look);
    }
    table::draw(buffer, Rect { height: high, ..area }, &rows, &columns(), &app.findings, app.look, hits);
    // What the selected one is about, without opening it.
    if let Some(finding) = rows.get(app.findings.selected) {
        let lines = wrap(&escape(&finding.explanation), usize::from(area.width).saturating_sub(2));
        for (at, line) in lines.into_iter().take(4).enumerate() {
            put(
                buffer,
                area.x + 1,
                area.y + high + 1 + at as u16,
                area.width - 2,
                &[(line, Role::Text)],
                app.look,
            );
        }
    }
}
