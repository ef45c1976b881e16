//! A column is data: its title, what it costs in width, its cell, its order.
use std::cmp::Ordering;

use super::state::TableState;
use crate::tui::drawing::{Cell, CellRoom};

/// A column.
pub struct Column<R> {
    /// What it is called in its head.
    pub title: &'static str,
    /// Least width.
    pub width: u16,
    /// Most width; more than `width` if it profits from room.
    pub most: u16,
    /// 0 is always shown; higher ones go first where room is scarce.
    pub rank: u8,
    /// Numbers stand to the right.
    pub right: bool,
    /// Its text for a row.
    pub cell: fn(&R, &CellRoom) -> Cell,
    /// Order of rows by it; `None` if it has no order.
    pub order: Option<fn(&R, &R) -> Ordering>,
}

/// Sorts rows as a state asks; equal rows keep their order.
pub fn sort<R>(rows: &mut [&R], columns: &[Column<R>], state: &TableState) {
    let Some(order) = columns.get(state.sort).and_then(|column| column.order) else { return };
    if state.descending {
        rows.sort_by(|left, right| order(right, left));
    } else {
        rows.sort_by(|left, right| order(left, right));
    }
}

/// The next column that has an order, in direction `step`.
pub fn next_sort<R>(columns: &[Column<R>], from: usize, step: isize) -> usize {
    let count = columns.len() as isize;
    let mut at = from as isize;
    for _ in 0..count {
        at = (at + step).rem_euclid(count.max(1));
        if columns.get(at as usize).is_some_and(|column| column.order.is_some()) {
            return at as usize;
        }
    }
    from
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_sort_both_ways_and_ties_keep_their_order() {
        let columns = [Column {
            title: "N",
            width: 4,
            most: 4,
            rank: 0,
            right: true,
            cell: |row: &u32, _| Cell::text(row.to_string()),
            order: Some(|a: &u32, b: &u32| (a / 10).cmp(&(b / 10))),
        }];
        let numbers = [12, 31, 11, 22];
        let mut rows: Vec<&u32> = numbers.iter().collect();
        let mut state = TableState { descending: true, ..TableState::default() };
        sort(&mut rows, &columns, &state);
        assert_eq!(rows, [&31, &22, &12, &11]);
        state.descending = false;
        sort(&mut rows, &columns, &state);
        assert_eq!(rows, [&12, &11, &22, &31]);
        assert_eq!(next_sort(&columns, 0, 1), 0);
    }
}
