//! Columns of the page Pools.
use crate::{
    format::{self, escape::escape},
    tui::{
        drawing::{Cell, CellRoom, Part, bar, trend},
        palette::Role,
        picture::PoolRow,
        table::Column,
    },
};

/// Parts of a space_info: word, role, characters.
pub const PARTS: [(&str, Role, (&str, &str)); 4] = [
    ("used", Role::Used, ("█", "#")),
    ("pinned", Role::Pinned, ("▓", "p")),
    ("reserved", Role::Reserved, ("▒", "r")),
    ("may_use", Role::MayUse, ("░", "m")),
];

/// The columns.
pub fn pool_columns() -> [Column<PoolRow>; 6] {
    [
        Column {
            title: "POOL",
            width: 16,
            most: 28,
            rank: 0,
            right: false,
            cell: |row, _| Cell::text(escape(&row.name)),
            order: None,
        },
        Column {
            title: "HELD",
            width: 8,
            most: 9,
            rank: 0,
            right: true,
            cell: |row, _| amount(row.held),
            order: None,
        },
        Column { title: "OF", width: 7, most: 9, rank: 0, right: true, cell: |row, _| of(row), order: None },
        Column {
            title: "USED PINNED RESV MAY_USE",
            width: 26,
            most: 30,
            rank: 3,
            right: false,
            cell: parts,
            order: None,
        },
        Column { title: "GAUGE", width: 16, most: 70, rank: 1, right: false, cell: gauge, order: None },
        Column { title: "HISTORY", width: 12, most: 60, rank: 2, right: false, cell: history, order: None },
    ]
}

fn amount(value: i64) -> Cell {
    let role = match value {
        0 => Role::Faint,
        ..0 => Role::Warn,
        _ => Role::Strong,
    };
    Cell::new(format::bytes(value, ""), role)
}

fn short(value: u64) -> String {
    format::bytes(i64::try_from(value).unwrap_or(i64::MAX), "")
}

fn of(row: &PoolRow) -> Cell {
    if !row.is_sized() { Cell::new("-", Role::Faint) } else { Cell::text(short(row.whole)) }
}

fn parts(row: &PoolRow, _: &CellRoom) -> Cell {
    if !row.is_space() {
        return Cell::default();
    }
    let [used, pinned, reserved, may_use] = row.parts;
    let short = |value| format::bytes(value, "");
    Cell::text(format!(
        "{:>6} {:>6} {:>6} {:>6}",
        short(used),
        short(pinned),
        short(reserved),
        short(may_use)
    ))
}

fn gauge(row: &PoolRow, room: &CellRoom) -> Cell {
    if !row.is_sized() {
        return Cell::default();
    }
    let parts: Vec<Part> = PARTS
        .iter()
        .zip(row.parts)
        .map(|((_, role, glyph), value)| Part {
            value: u64::try_from(value).unwrap_or(0),
            role: *role,
            glyph: *glyph,
        })
        .collect();
    bar(&parts, row.whole, room.width, room.palette)
}

fn history(row: &PoolRow, room: &CellRoom) -> Cell {
    Cell::new(trend(&row.history, room.width, room.palette), Role::MayUse)
}
