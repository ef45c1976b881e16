//! Tests: what happened between two markers.
use ratatui::{buffer::Buffer, layout::Rect};

use super::{
    super::{
        chart,
        look::Role,
        picture::WindowView,
        state::{App, Hits},
        table::{self, Cell, CellRoom, Column},
    },
    wrap,
};
use crate::report::{
    escape::{escape, keep_end},
    format,
};

/// The columns.
pub fn columns() -> [Column<WindowView>; 7] {
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
            (12, 14),
            1,
            true,
            |row, _| Cell::text(format::moment(row.begun_ns)),
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
        column("STATE", (8, 8), 2, false, |row, _| state(row), None),
        column(
            "RECORDS",
            (9, 12),
            3,
            true,
            |row, _| Cell::text(format::count(row.records)),
            Some(|a, b| a.records.cmp(&b.records)),
        ),
        column("LOST", (5, 8), 0, true, |row, _| alarm(row.lost), Some(|a, b| a.lost.cmp(&b.lost))),
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
    if row.test {
        return Cell::text(keep_end(&escape(&row.name), room.width));
    }
    Cell(vec![("command ".to_owned(), Role::Faint), (escape(&row.name), Role::Text)])
}

fn state(row: &WindowView) -> Cell {
    if row.ended { Cell::new("ended", Role::Faint) } else { Cell::new("running", Role::Key) }
}

fn alarm(count: u64) -> Cell {
    if count == 0 { Cell::new("0", Role::Good) } else { Cell::new(format::count(count), Role::Bad) }
}

/// Draws the page.
pub fn draw(buffer: &mut Buffer, area: Rect, app: &App, hits: &mut Hits) {
    let Some(picture) = &app.picture else { return };
    if picture.windows.is_empty() {
        let text = "There is no marker of a test or a command in this stream. Markers come from `btrfs-probe run` and \
                    `btrfs-probe record -- COMMAND`; a recording of one of them shows its windows here.";
        for (at, line) in wrap(text, usize::from(area.width).saturating_sub(4)).into_iter().enumerate() {
            chart::text(
                buffer,
                area.x + 2,
                area.y + 1 + at as u16,
                area.width - 2,
                &line,
                app.look,
                Role::Text,
            );
        }
        return;
    }
    let mut rows: Vec<&WindowView> = picture.windows.iter().collect();
    let columns = columns();
    table::sort(&mut rows, &columns, &app.windows);
    table::draw(buffer, area, &rows, &columns, &app.windows, app.look, hits);
}
