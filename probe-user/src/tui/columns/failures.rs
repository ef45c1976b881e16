//! Columns of the page Failures.
use crate::{
    format::{self},
    report::{
        failed,
        model::{Failure, FailureKind},
    },
    tui::{
        drawing::{Cell, CellRoom},
        palette::Role,
        picture::FailureRow,
        table::Column,
    },
};

/// The columns.
pub fn failure_columns() -> [Column<FailureRow>; 11] {
    const fn column(
        title: &'static str,
        width: (u16, u16),
        rank: u8,
        right: bool,
        cell: fn(&FailureRow, &CellRoom) -> Cell,
        order: Option<fn(&FailureRow, &FailureRow) -> std::cmp::Ordering>,
    ) -> Column<FailureRow> {
        Column { title, width: width.0, most: width.1, rank, right, cell, order }
    }
    [
        column(
            "LAST",
            (9, 13),
            0,
            true,
            |row, _| Cell::text(format::about(row.failure.last_seen_ns)),
            // Those of which nobody need know come behind: a busy kernel has them all the time.
            Some(|a, b| last(a).cmp(&last(b))),
        ),
        column(
            "TIMES",
            (5, 9),
            0,
            true,
            |row, _| Cell::text(format::count(row.failure.count)),
            Some(|a, b| a.failure.count.cmp(&b.failure.count)),
        ),
        column(
            "KIND",
            (7, 8),
            0,
            false,
            |row, _| kind(row),
            Some(|a, b| a.failure.kind.cmp(&b.failure.kind)),
        ),
        column("ERRNO", (6, 8), 0, false, |row, _| Cell::text(row.failure.errno.as_str()), None),
        column("TASK", (16, 17), 2, false, |row, _| task(row), None),
        column(
            "BYTES",
            (6, 9),
            3,
            true,
            |row, _| bytes(row.failure.largest_bytes),
            Some(|a, b| a.failure.largest_bytes.cmp(&b.failure.largest_bytes)),
        ),
        column("CAUSE", (22, 46), 1, false, cause, None),
        column(
            "FS",
            (6, 20),
            4,
            false,
            |row, room| Cell::text(room.end_of(&row.device)),
            Some(|a, b| a.device.cmp(&b.device)),
        ),
        column("OF", (12, 16), 5, false, |row, _| Cell::text(failed::of(&row.failure)), None),
        column("FLUSH", (15, 22), 6, false, |row, _| flush(&row.failure), None),
        column(
            "FIRST",
            (9, 13),
            7,
            true,
            |row, _| Cell::text(format::about(row.failure.first_seen_ns)),
            Some(|a, b| a.failure.first_seen_ns.cmp(&b.failure.first_seen_ns)),
        ),
    ]
}

const fn last(row: &FailureRow) -> (bool, u64) {
    (row.is_final(), row.failure.last_seen_ns)
}

fn kind(row: &FailureRow) -> Cell {
    let role = match row.failure.kind {
        FailureKind::NoWait => Role::Faint,
        FailureKind::Ticket | FailureKind::Qgroup => Role::Warn,
        FailureKind::Abort => Role::Bad,
    };
    Cell::new(row.failure.kind.name(), role)
}

fn or_dash(text: Option<String>) -> Cell {
    text.map_or_else(|| Cell::new("-", Role::Faint), Cell::text)
}

fn task(row: &FailureRow) -> Cell {
    or_dash(failed::most_by(&row.failure))
}

fn bytes(number: u64) -> Cell {
    let number = i64::try_from(number).unwrap_or(i64::MAX);
    or_dash((number > 0).then(|| format::bytes(number, "")))
}

/// What is behind the first one is left out whole, not cut.
fn cause(row: &FailureRow, room: &CellRoom) -> Cell {
    match failed::cause(&row.failure) {
        Ok(causes) => {
            let all = causes.join(", ");
            let first = causes.first().cloned().unwrap_or_default();
            Cell::text(if all.len() <= room.width { all } else { first })
        }
        Err(why) => Cell::new(why, Role::Faint),
    }
}

fn flush(failure: &Failure) -> Cell {
    or_dash(failure.instances.last().and_then(|instance| instance.flush.clone()))
}
