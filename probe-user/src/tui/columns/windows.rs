//! Columns of the page Tests.
use probe_ledger::Verdict;

use crate::{
    format::{
        self,
        escape::{escape, keep_end, width},
    },
    tui::{
        drawing::{Cell, CellRoom},
        palette::Role,
        picture::WindowView,
        table::Column,
    },
};

/// The columns.
pub fn window_columns() -> [Column<WindowView>; 8] {
    const fn column(
        title: &'static str,
        width: (u16, u16),
        rank: u8,
        right: bool,
        cell: fn(&WindowView, &CellRoom) -> Cell,
        order: Option<fn(&WindowView, &WindowView) -> std::cmp::Ordering>,
    ) -> Column<WindowView> {
        Column { title, width: width.0, most: width.1, rank, right, cell, order }
    }
    [
        column("WINDOW", (18, 90), 0, false, name, Some(|a, b| a.name.cmp(&b.name))),
        column(
            "BEGUN",
            (10, 12),
            2,
            true,
            |row, _| Cell::text(format::about(row.begun_ns)),
            Some(|a, b| a.begun_ns.cmp(&b.begun_ns)),
        ),
        column(
            "LENGTH",
            (10, 12),
            0,
            true,
            |row, _| Cell::text(format::duration(row.length_ns)),
            Some(|a, b| a.length_ns.cmp(&b.length_ns)),
        ),
        column("VERDICT", (12, 12), 0, false, |row, _| verdict(row), None),
        column("STATE", (8, 8), 1, false, |row, _| state(row), None),
        column(
            "RECORDS",
            (9, 12),
            3,
            true,
            |row, _| Cell::text(format::count(row.records)),
            Some(|a, b| a.records.cmp(&b.records)),
        ),
        column("LOST", (7, 11), 0, true, |row, _| alarm(row.lost), Some(|a, b| a.lost.cmp(&b.lost))),
        column(
            "FINDINGS",
            (8, 8),
            0,
            true,
            |row, _| alarm(row.findings),
            Some(|a, b| a.findings.cmp(&b.findings)),
        ),
    ]
}

fn name(row: &WindowView, room: &CellRoom) -> Cell {
    // The name of a test is all of it; of a command the begin says most.
    let Some(test) = &row.test else {
        return Cell(vec![("command ".to_owned(), Role::Faint), (room.name(&row.name), Role::Text)]);
    };
    let section =
        test.section.as_deref().map(|section| format!("{} ", room.name(section))).unwrap_or_default();
    let left = room.width.saturating_sub(width(&section));
    Cell(vec![(section, Role::Faint), (keep_end(&room.name(&row.name), left), Role::Text)])
}

/// A command has none of its own: it is that of the session.
fn verdict(row: &WindowView) -> Cell {
    match row.test.as_ref().map(|test| test.verdict) {
        None => Cell::new("-", Role::Faint),
        // What goes on has nothing that is final.
        Some(Verdict::Clean) if !row.ended => Cell::new("clean so far", Role::Good),
        Some(Verdict::Clean) => Cell::new(Verdict::Clean.name(), Role::Good),
        Some(Verdict::Findings) => Cell::new(Verdict::Findings.name(), Role::Bad),
        Some(Verdict::Inconclusive) => Cell::new(Verdict::Inconclusive.name(), Role::Warn),
    }
}

fn state(row: &WindowView) -> Cell {
    if !row.ended {
        return Cell::new("running", Role::Key);
    }
    let result = row.test.as_ref().and_then(|test| test.result.as_deref());
    Cell::new(escape(result.unwrap_or("ended")), Role::Faint)
}

fn alarm(count: u64) -> Cell {
    if count == 0 { Cell::new("0", Role::Good) } else { Cell::new(format::count(count), Role::Bad) }
}
