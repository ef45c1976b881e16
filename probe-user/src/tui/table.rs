//! The one table of all pages: columns that fit, a sort order, a selection, and what can be clicked.
//!
//! A column is data: its title, what it costs in width, its cell, its order. Which columns are shown follows
//! from the room: those of the lowest rank go first.
use std::cmp::Ordering;

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    style::Style,
    text::{Line, Span},
};

use super::{
    look::{Look, Role},
    state::{Hit, Hits, TableState},
};

/// What a cell needs to know to be drawn.
#[derive(Clone, Copy, Debug)]
pub struct CellRoom {
    /// Columns of the terminal that it may use.
    pub width: usize,
    /// Colours and characters.
    pub look: Look,
}

/// Pieces of text, each with its role.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cell(pub Vec<(String, Role)>);

impl Cell {
    /// A cell of one piece.
    pub fn new(text: impl Into<String>, role: Role) -> Self {
        Self(vec![(text.into(), role)])
    }

    /// An ordinary cell.
    pub fn text(text: impl Into<String>) -> Self {
        Self::new(text, Role::Text)
    }
}

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

/// Widths of the columns that are shown, in the table's order: `(column, width)`.
fn widths<R>(columns: &[Column<R>], room: u16) -> Vec<(usize, u16)> {
    let mut by_rank: Vec<usize> = (0..columns.len()).collect();
    by_rank.sort_by_key(|at| columns[*at].rank);
    let mut shown = Vec::new();
    let mut used = 0_u16;
    for at in by_rank {
        let wanted = columns[at].width.max(title_width(&columns[at])) + u16::from(!shown.is_empty());
        if columns[at].rank > 0 && used + wanted > room {
            break;
        }
        used += wanted;
        shown.push(at);
    }
    shown.sort_unstable();
    let mut widths: Vec<(usize, u16)> =
        shown.into_iter().map(|at| (at, columns[at].width.max(title_width(&columns[at])))).collect();
    let mut rest = room.saturating_sub(used);
    // Room that is left goes round, to all that profit from it alike.
    while rest > 0 {
        let before = rest;
        for (at, width) in &mut widths {
            if rest > 0 && *width < columns[*at].most {
                *width += 1;
                rest -= 1;
            }
        }
        if rest == before {
            break;
        }
    }
    widths
}

/// The title and, for columns with an order, room for its mark.
fn title_width<R>(column: &Column<R>) -> u16 {
    let mark = u16::from(column.order.is_some());
    u16::try_from(column.title.len()).unwrap_or(u16::MAX).saturating_add(mark)
}

/// Draws head and rows. `rows` are in order; `state.selected` is a position in them.
pub fn draw<R>(
    buffer: &mut Buffer,
    area: Rect,
    rows: &[&R],
    columns: &[Column<R>],
    state: &TableState,
    look: Look,
    hits: &mut Hits,
) {
    if area.height == 0 || area.width == 0 {
        return;
    }
    let widths = widths(columns, area.width);
    head(buffer, area, columns, &widths, state, look, hits);
    let body = Rect { y: area.y + 1, height: area.height - 1, ..area };
    let height = usize::from(body.height);
    hits.page(height);
    let top = first_shown(state.selected, state.top, height, rows.len());
    for (line, (at, row)) in rows.iter().enumerate().skip(top).take(height).enumerate() {
        let y = body.y + line as u16;
        let selected = at == state.selected && state.focused;
        draw_row(buffer, Rect { y, height: 1, ..body }, *row, columns, &widths, selected, look);
        hits.add(Rect { y, height: 1, ..body }, Hit::Row(at));
    }
}

/// The first row on screen, so that the selected one is on it and as little as possible moves.
pub fn first_shown(selected: usize, top: usize, height: usize, rows: usize) -> usize {
    if height == 0 {
        return 0;
    }
    let top = top.min(rows.saturating_sub(height));
    if selected < top {
        selected
    } else if selected >= top + height {
        selected + 1 - height
    } else {
        top
    }
}

fn head<R>(
    buffer: &mut Buffer,
    area: Rect,
    columns: &[Column<R>],
    widths: &[(usize, u16)],
    state: &TableState,
    look: Look,
    hits: &mut Hits,
) {
    let mut x = area.x;
    for (at, width) in widths {
        let column = &columns[*at];
        let sorted = *at == state.sort && column.order.is_some() && state.focused;
        let mark = match (sorted, state.descending) {
            (false, _) => "",
            (true, true) => look.glyph("▼", "v"),
            (true, false) => look.glyph("▲", "^"),
        };
        let text = format!("{}{mark}", column.title);
        let style = look.style(if sorted { Role::Strong } else { Role::Head });
        put(buffer, x, area.y, *width, &[(text, style)], column.right);
        if column.order.is_some() {
            hits.add(Rect { x, y: area.y, width: *width, height: 1 }, Hit::Sort(*at));
        }
        x += width + 1;
    }
}

fn draw_row<R>(
    buffer: &mut Buffer,
    area: Rect,
    row: &R,
    columns: &[Column<R>],
    widths: &[(usize, u16)],
    selected: bool,
    look: Look,
) {
    let mut x = area.x;
    for (at, width) in widths {
        let column = &columns[*at];
        let room = CellRoom { width: usize::from(*width), look };
        let Cell(pieces) = (column.cell)(row, &room);
        // A gauge says with its colours what it has to say: it is not reversed.
        let drawn = pieces
            .iter()
            .any(|(_, role)| matches!(role, Role::Used | Role::Pinned | Role::Reserved | Role::MayUse));
        let pieces: Vec<(String, Style)> =
            pieces.into_iter().map(|(text, role)| (text, look.style(role))).collect();
        put(buffer, x, area.y, *width, &pieces, column.right);
        if column.right {
            mark_cut(buffer, x, area.y, *width, &pieces, look);
        }
        if selected && !drawn {
            let wide = (*width + 1).min(area.right().saturating_sub(x));
            buffer.set_style(Rect { x, width: wide, ..area }, look.style(Role::Selected));
        }
        x += width + 1;
    }
}

/// A number whose last digits do not fit must not look like a smaller one.
fn mark_cut(buffer: &mut Buffer, x: u16, y: u16, width: u16, pieces: &[(String, Style)], look: Look) {
    let wide: usize = pieces.iter().map(|(text, _)| crate::report::escape::width(text)).sum();
    let at = x + width.saturating_sub(1);
    if wide > usize::from(width) && at < buffer.area.right() && y < buffer.area.bottom() {
        buffer[(at, y)].set_symbol(look.glyph("…", "~"));
    }
}

/// Puts pieces into a field; what does not fit is cut off.
fn put(buffer: &mut Buffer, x: u16, y: u16, width: u16, pieces: &[(String, Style)], right: bool) {
    let line = Line::from(
        pieces.iter().map(|(text, style)| Span::styled(text.as_str(), *style)).collect::<Vec<_>>(),
    );
    let taken = u16::try_from(line.width()).unwrap_or(u16::MAX).min(width);
    let x = if right { x + (width - taken) } else { x };
    if x < buffer.area.right() && y < buffer.area.bottom() {
        buffer.set_line(x, y, &line, taken.min(buffer.area.right() - x));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(title: &'static str, width: u16, most: u16, rank: u8) -> Column<u32> {
        Column {
            title,
            width,
            most,
            rank,
            right: true,
            cell: |row, _| Cell::text(row.to_string()),
            order: None,
        }
    }

    #[test]
    fn columns_of_low_rank_give_way_and_room_is_shared() {
        let columns = [column("A", 4, 4, 0), column("PATH", 6, 40, 1), column("B", 4, 4, 2)];
        assert_eq!(widths(&columns, 10), [(0, 4)]);
        assert_eq!(widths(&columns, 11), [(0, 4), (1, 6)]);
        assert_eq!(widths(&columns, 16), [(0, 4), (1, 6), (2, 4)]);
        assert_eq!(widths(&columns, 30), [(0, 4), (1, 20), (2, 4)]);
        assert_eq!(widths(&columns, 99), [(0, 4), (1, 40), (2, 4)]);
    }

    /// 10,066 losses were shown as 10,06.
    #[test]
    fn a_number_that_does_not_fit_is_seen_to_be_cut() {
        let columns = [column("N", 5, 5, 0)];
        let look = Look { theme: crate::tui::look::Theme::Plain, unicode: true };
        let mut buffer = Buffer::empty(Rect::new(0, 0, 5, 3));
        let rows = [&10_066, &100_669];
        let state = TableState::default();
        let area = buffer.area;
        draw(&mut buffer, area, &rows, &columns, &state, look, &mut Hits::default());
        let line = |y| (0..5).map(|x| buffer[(x, y)].symbol()).collect::<String>();
        assert_eq!((line(1).as_str(), line(2).as_str()), ("10066", "1006…"));
    }

    #[test]
    fn the_selected_row_is_always_on_screen() {
        assert_eq!(first_shown(0, 5, 10, 100), 0);
        assert_eq!(first_shown(20, 5, 10, 100), 11);
        assert_eq!(first_shown(7, 5, 10, 100), 5);
        assert_eq!(first_shown(3, 90, 10, 12), 2);
        assert_eq!(first_shown(3, 9, 0, 12), 0);
    }

    #[test]
    fn rows_sort_both_ways_and_ties_keep_their_order() {
        let columns =
            [Column { order: Some(|a: &u32, b: &u32| (a / 10).cmp(&(b / 10))), ..column("N", 4, 4, 0) }];
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
