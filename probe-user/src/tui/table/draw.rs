//! Draws a table: columns that fit, a sort order, a selection, and what can be clicked.
use ratatui::{
    buffer::Buffer,
    layout::Rect,
    style::Style,
    text::{Line, Span},
};

use super::{
    column::Column,
    state::{TableState, first_shown},
    widths::widths,
};
use crate::tui::{
    drawing::{Cell, CellRoom, Hit, Hits},
    palette::{Palette, Role},
};

/// Draws head and rows. `rows` are in order; `state.selected` is a position in them.
pub fn draw<R>(
    buffer: &mut Buffer,
    area: Rect,
    rows: &[&R],
    columns: &[Column<R>],
    state: &TableState,
    palette: Palette,
    hits: &mut Hits,
) {
    if area.height == 0 || area.width == 0 {
        return;
    }
    let widths = widths(columns, area.width);
    head(buffer, area, columns, &widths, state, palette, hits);
    let body = Rect { y: area.y + 1, height: area.height - 1, ..area };
    let height = usize::from(body.height);
    hits.page(height);
    let top = first_shown(state.selected, state.top, height, rows.len());
    for (line, (at, row)) in rows.iter().enumerate().skip(top).take(height).enumerate() {
        let y = body.y + line as u16;
        let selected = at == state.selected && state.focused;
        draw_row(buffer, Rect { y, height: 1, ..body }, *row, columns, &widths, selected, palette);
        hits.add(Rect { y, height: 1, ..body }, Hit::Row(at));
    }
}

fn head<R>(
    buffer: &mut Buffer,
    area: Rect,
    columns: &[Column<R>],
    widths: &[(usize, u16)],
    state: &TableState,
    palette: Palette,
    hits: &mut Hits,
) {
    let mut x = area.x;
    for (at, width) in widths {
        let column = &columns[*at];
        let sorted = *at == state.sort && column.order.is_some() && state.focused;
        let mark = match (sorted, state.descending) {
            (false, _) => "",
            (true, true) => palette.glyph("▼", "v"),
            (true, false) => palette.glyph("▲", "^"),
        };
        let text = format!("{}{mark}", column.title);
        let style = palette.style(if sorted { Role::Strong } else { Role::Head });
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
    palette: Palette,
) {
    let mut x = area.x;
    for (at, width) in widths {
        let column = &columns[*at];
        let room = CellRoom { width: usize::from(*width), palette };
        let Cell(pieces) = (column.cell)(row, &room);
        // A gauge says with its colours what it has to say: it is not reversed.
        let drawn = pieces
            .iter()
            .any(|(_, role)| matches!(role, Role::Used | Role::Pinned | Role::Reserved | Role::MayUse));
        let pieces: Vec<(String, Style)> = pieces
            .into_iter()
            .map(|(text, role)| (palette.shown(&text).into_owned(), palette.style(role)))
            .collect();
        put(buffer, x, area.y, *width, &pieces, column.right);
        if column.right {
            mark_cut(buffer, x, area.y, *width, &pieces, palette);
        }
        if selected && !drawn {
            let wide = (*width + 1).min(area.right().saturating_sub(x));
            buffer.set_style(Rect { x, width: wide, ..area }, palette.style(Role::Selected));
        }
        x += width + 1;
    }
}

/// A number whose last digits do not fit must not look like a smaller one.
fn mark_cut(buffer: &mut Buffer, x: u16, y: u16, width: u16, pieces: &[(String, Style)], palette: Palette) {
    let wide: usize = pieces.iter().map(|(text, _)| crate::format::escape::width(text)).sum();
    let at = x + width.saturating_sub(1);
    if wide > usize::from(width) && at < buffer.area.right() && y < buffer.area.bottom() {
        buffer[(at, y)].set_symbol(palette.glyph("…", ">"));
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
    use crate::tui::palette::Theme;

    /// A task can be called anything, and a terminal can be one that shows ASCII only.
    #[test]
    fn no_name_moves_the_column_behind_it() {
        let columns = [
            Column {
                title: "TASK",
                width: 12,
                most: 12,
                rank: 0,
                right: false,
                cell: |row: &&str, room| Cell::text(room.end_of(row)),
                order: None,
            },
            Column {
                title: "N",
                width: 3,
                most: 3,
                rank: 0,
                right: true,
                cell: |_, _| Cell::text("7"),
                order: None,
            },
        ];
        let names = [
            "plain",
            "\x1b[2J\x1b[31mred",
            "日本語日本語日本",
            "e\u{301}e\u{301}e\u{301}",
            "\u{301}\u{302}\u{303}",
            "\u{202e}txt.exe",
            "שלום",
            "a\u{fe0f}b\u{200d}c",
        ];
        let rows: Vec<&&str> = names.iter().collect();
        for unicode in [true, false] {
            let palette = Palette { theme: Theme::Plain, unicode };
            let mut buffer = Buffer::empty(Rect::new(0, 0, 16, names.len() as u16 + 1));
            let area = buffer.area;
            draw(&mut buffer, area, &rows, &columns, &TableState::default(), palette, &mut Hits::default());
            for y in 1..=names.len() as u16 {
                assert_eq!(buffer[(15, y)].symbol(), "7", "{:?}", names[usize::from(y) - 1]);
                let line: String = (0..16).map(|x| buffer[(x, y)].symbol()).collect();
                assert!(!line.chars().any(char::is_control) && (unicode || line.is_ascii()), "{line}");
            }
        }
    }

    /// 10,066 losses were shown as 10,06.
    #[test]
    fn a_number_that_does_not_fit_is_seen_to_be_cut() {
        let columns = [Column {
            title: "N",
            width: 5,
            most: 5,
            rank: 0,
            right: true,
            cell: |row: &u32, _| Cell::text(row.to_string()),
            order: None,
        }];
        let palette = Palette { theme: Theme::Plain, unicode: true };
        let mut buffer = Buffer::empty(Rect::new(0, 0, 5, 3));
        let rows = [&10_066, &100_669];
        let state = TableState::default();
        let area = buffer.area;
        draw(&mut buffer, area, &rows, &columns, &state, palette, &mut Hits::default());
        let line = |y| (0..5).map(|x| buffer[(x, y)].symbol()).collect::<String>();
        assert_eq!((line(1).as_str(), line(2).as_str()), ("10066", "1006…"));
    }
}
