//! Columns of the page Inodes: what each shows, and the word that it is sorted by.
use crate::{
    format::{
        self,
        escape::{keep_begin, width},
    },
    tui::{
        drawing::{Cell, CellRoom, trend as trend_line},
        filter::Word,
        palette::Role,
        picture::InodeRow,
        requests::InodeSort,
        table::Column,
    },
};

/// The word that each column is sorted by, in the order of the columns.
const WORDS: [Option<Word>; 16] = [
    Some(Word::Fs),
    Some(Word::Subvol),
    Some(Word::Inode),
    Some(Word::MetaRsv),
    Some(Word::RsvSize),
    Some(Word::OutstandingExtents),
    Some(Word::CsumBytes),
    Some(Word::DelallocBytes),
    Some(Word::Rate),
    None,
    Some(Word::ReservedTotal),
    Some(Word::Reservations),
    Some(Word::Idle),
    Some(Word::Generation),
    Some(Word::Task),
    Some(Word::Path),
];

/// The column that inodes in this order are sorted by.
#[must_use]
pub fn column_of(sort: InodeSort) -> usize {
    WORDS.iter().position(|word| *word == Some(sort.word)).unwrap_or(0)
}

/// The order by a column.
#[must_use]
pub fn inode_sort(column: usize, descending: bool) -> InodeSort {
    let word = WORDS.get(column).copied().flatten().unwrap_or(Word::MetaRsv);
    InodeSort { word, descending }
}

macro_rules! by {
    ($word:ident) => {
        Some(|left: &InodeRow, right: &InodeRow| {
            InodeSort { word: Word::$word, descending: false }.compare(left, right)
        })
    };
}

/// The columns; [`WORDS`] says what each is sorted by.
pub fn inode_columns() -> [Column<InodeRow>; 16] {
    const fn column(
        title: &'static str,
        width: (u16, u16),
        rank: u8,
        right: bool,
        cell: fn(&InodeRow, &CellRoom) -> Cell,
        order: Option<fn(&InodeRow, &InodeRow) -> std::cmp::Ordering>,
    ) -> Column<InodeRow> {
        Column { title, width: width.0, most: width.1, rank, right, cell, order }
    }
    [
        column("FS", (6, 12), 8, false, |row, room| cut(&row.fs, room), by!(Fs)),
        column("SUBVOL", (6, 8), 0, true, |row, _| Cell::text(format::root(row.id.root as i64)), by!(Subvol)),
        column("INODE", (8, 10), 0, true, |row, _| Cell::text(row.id.ino.to_string()), by!(Inode)),
        column("META_RSV", (9, 9), 0, true, |row, _| held(row), by!(MetaRsv)),
        column("SIZE", (7, 7), 6, true, |row, _| counter(row, row.size), by!(RsvSize)),
        column(
            "EXTENTS",
            (7, 7),
            5,
            true,
            |row, _| count(row, u64::from(row.extents)),
            by!(OutstandingExtents),
        ),
        column("CSUM", (7, 7), 7, true, |row, _| counter(row, row.csum_bytes), by!(CsumBytes)),
        column("DELALLOC", (8, 8), 4, true, |row, _| counter(row, row.delalloc_bytes), by!(DelallocBytes)),
        column("RATE/s", (7, 7), 3, true, |row, _| amount(row.rate, Role::Text), by!(Rate)),
        column("TREND", (8, 16), 9, false, trend, None),
        column(
            "TOTAL",
            (7, 7),
            10,
            true,
            |row, _| amount(row.reserved_total, Role::Text),
            by!(ReservedTotal),
        ),
        column(
            "RESERVES",
            (8, 8),
            11,
            true,
            |row, _| Cell::text(row.reservations.to_string()),
            by!(Reservations),
        ),
        column("IDLE", (5, 6), 12, true, |row, _| idle(row), by!(Idle)),
        column("GEN", (6, 8), 13, true, |row, _| known(row.generation), by!(Generation)),
        column("TASK", (10, 22), 2, false, task, by!(Task)),
        column("PATH", (28, 120), 1, false, path, by!(Path)),
    ]
}

fn held(row: &InodeRow) -> Cell {
    let text = format::bytes(row.meta_rsv, "");
    match (row.meta_rsv, row.exact) {
        (0, true) => Cell::new(text, Role::Faint),
        (_, true) => Cell::new(text, Role::Strong),
        (0, false) => Cell::new("~0", Role::Faint),
        // Not all its records were seen: this is the kernel's figure as last seen, if there is one.
        (_, false) => Cell::new(format!("~{text}"), Role::Text),
    }
}

fn counter(row: &InodeRow, value: u64) -> Cell {
    if row.counted { amount(value, Role::Text) } else { Cell::new("-", Role::Faint) }
}

fn count(row: &InodeRow, value: u64) -> Cell {
    match (row.counted, value) {
        (false, _) => Cell::new("-", Role::Faint),
        (true, 0) => Cell::new("0", Role::Faint),
        (true, value) => Cell::text(value.to_string()),
    }
}

fn amount(value: u64, role: Role) -> Cell {
    let role = if value == 0 { Role::Faint } else { role };
    Cell::new(format::bytes(i64::try_from(value).unwrap_or(i64::MAX), ""), role)
}

fn known(value: u64) -> Cell {
    if value == 0 { Cell::new("-", Role::Faint) } else { Cell::text(value.to_string()) }
}

fn idle(row: &InodeRow) -> Cell {
    match row.idle_ns.map(|ns| ns / 1_000_000_000) {
        None => Cell::new("-", Role::Faint),
        Some(seconds @ 0..100) => Cell::text(format!("{seconds}s")),
        Some(seconds @ 100..6000) => Cell::text(format!("{}m", seconds / 60)),
        Some(seconds) => Cell::text(format!("{}h", seconds / 3600)),
    }
}

fn trend(row: &InodeRow, room: &CellRoom) -> Cell {
    Cell::new(trend_line(&row.trend, room.width, room.palette), Role::MayUse)
}

fn cut(text: &str, room: &CellRoom) -> Cell {
    Cell::text(room.end_of(text))
}

fn task(row: &InodeRow, room: &CellRoom) -> Cell {
    if row.tid == 0 {
        return Cell::new("-", Role::Faint);
    }
    if row.comm.is_empty() {
        return Cell::text(format!("tid {}", row.tid));
    }
    let (comm, tid) = (keep_begin(&room.name(&row.comm), room.width), format!(" {}", row.tid));
    // Half a number is worse than none.
    let tid = if width(&comm) + tid.len() <= room.width { tid } else { String::new() };
    Cell(vec![(comm, Role::Text), (tid, Role::Faint)])
}

fn path(row: &InodeRow, room: &CellRoom) -> Cell {
    match &row.path {
        Some(path) => Cell::text(room.end_of(path)),
        None => Cell::new("-", Role::Faint),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_with_an_order_has_its_word() {
        for (column, word) in inode_columns().iter().zip(WORDS) {
            assert_eq!(column.order.is_some(), word.is_some(), "{}", column.title);
        }
    }
}
