//! Columns of the draws below the failures.
use crate::{
    format::{
        self,
        escape::{keep_end, width},
    },
    report::{drawn, model::DrawMove},
    tui::{
        drawing::{Cell, CellRoom},
        palette::Role,
        table::Column,
    },
};

/// The columns.
pub fn draw_columns() -> [Column<DrawMove>; 4] {
    const fn column(
        title: &'static str,
        width: (u16, u16),
        rank: u8,
        right: bool,
        cell: fn(&DrawMove, &CellRoom) -> Cell,
    ) -> Column<DrawMove> {
        Column { title, width: width.0, most: width.1, rank, right, cell, order: None }
    }
    [
        column("BYTES", (6, 9), 0, true, |row, _| Cell::text(drawn::amount(row.bytes))),
        column("MOVES", (7, 11), 2, true, |row, _| Cell::text(format::count(row.count))),
        column("FROM > TO: WHY", (48, 60), 0, false, what),
        column("MOST BY", (24, 90), 1, false, by),
    ]
}

/// Where another reserve paid stands out, in words and in colour.
fn what(row: &DrawMove, _: &CellRoom) -> Cell {
    let role = if row.instead_of.is_some() { Role::Warn } else { Role::Text };
    Cell::new(drawn::what(row), role)
}

fn by(row: &DrawMove, room: &CellRoom) -> Cell {
    match drawn::most_by(row) {
        path if path.is_empty() => Cell::new("-", Role::Faint),
        path => Cell::text(fitting(&path, room.width)),
    }
}

/// As many functions of a path as there is room for, the innermost first; where not even that one fits, the first that does.
fn fitting(path: &str, room: usize) -> String {
    let mut shown = path;
    while width(shown) > room {
        let Some((inner, _)) = shown.rsplit_once(drawn::CALLED_BY) else {
            let whole = path.split(drawn::CALLED_BY).find(|name| width(name) <= room);
            return whole.map_or_else(|| keep_end(shown, room), ToOwned::to_owned);
        };
        shown = inner;
    }
    shown.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A panel of 80 columns showed the ends of names.
    #[test]
    fn names_of_functions_are_whole_if_one_fits() {
        let path = "btrfs_delalloc_reserve_metadata < btrfs_buffered_write < btrfs_do_write_iter";
        assert_eq!(fitting(path, 90), path);
        assert_eq!(fitting(path, 60), "btrfs_delalloc_reserve_metadata < btrfs_buffered_write");
        assert_eq!(fitting(path, 40), "btrfs_delalloc_reserve_metadata");
        assert_eq!(fitting(path, 24), "btrfs_buffered_write");
        assert_eq!(fitting(path, 12), "..e_metadata");
        assert_eq!(fitting("", 12), "");
    }
}
