//! Columns of the page Findings.
use crate::{
    format::{self, escape::escape},
    report::model::Finding,
    tui::{
        drawing::{Cell, CellRoom},
        palette::Role,
        table::Column,
    },
};

/// The columns.
pub fn finding_columns() -> [Column<Finding>; 11] {
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
            "INODES",
            (6, 8),
            2,
            true,
            |row, _| or_dash((row.inodes > 0).then(|| format::count(row.inodes))),
            Some(|a, b| a.inodes.cmp(&b.inodes)),
        ),
        column(
            "SUBVOL",
            (6, 8),
            5,
            true,
            |row, _| first(row.root.map(format::root), row.roots),
            Some(|a, b| a.root.cmp(&b.root)),
        ),
        column(
            "INODE",
            (7, 10),
            2,
            true,
            |row, _| first(row.inode.map(|ino| ino.to_string()), row.inodes),
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

/// The first of several has a `+` behind it.
fn first(text: Option<String>, of: u64) -> Cell {
    or_dash(text.map(|text| if of > 1 { text + "+" } else { text }))
}

fn task(row: &Finding) -> Cell {
    or_dash(row.task.as_ref().map(|task| format!("{} {}", escape(&task.comm), task.tid)))
}

fn path(row: &Finding, room: &CellRoom) -> Cell {
    or_dash(row.path.as_deref().map(|path| room.end_of(path)))
}
