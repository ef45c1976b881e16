//! Tables: columns as wide as their widest cell, the last one takes what is left.
use super::paper::{Paper, Tone};
use crate::format::escape::{keep_end, width};

/// A column.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    pub(super) title: &'static str,
    pub(super) right: bool,
}

/// A column of text.
pub(crate) const fn left(title: &'static str) -> Column {
    Column { title, right: false }
}

/// A column of numbers.
pub(crate) const fn right(title: &'static str) -> Column {
    Column { title, right: true }
}

/// Writes the first of these tables that fits the width, or the last.
pub(super) fn render_first_fit(paper: &mut Paper, columns: &[Column], variants: &[Vec<Vec<String>>]) {
    let fits = |rows: &&Vec<Vec<String>>| {
        widths(columns, rows).iter().map(|width| width + 2).sum::<usize>() <= paper.width()
    };
    if let Some(rows) = variants.iter().find(fits).or(variants.last()) {
        render(paper, columns, rows);
    }
}

fn widths(columns: &[Column], rows: &[Vec<String>]) -> Vec<usize> {
    let widest = |(at, column): (usize, &Column)| {
        let cells = rows.iter().filter_map(|row| row.get(at)).map(|cell| width(cell));
        cells.max().unwrap_or(0).max(width(column.title))
    };
    columns.iter().enumerate().map(widest).collect()
}

/// Writes the table, two blanks in front of it and between columns. A last column of text is cut at its front.
pub(crate) fn render(paper: &mut Paper, columns: &[Column], rows: &[Vec<String>]) {
    let widths = widths(columns, rows);
    let titles: Vec<String> = columns.iter().map(|column| column.title.to_owned()).collect();
    let head = row_text(paper.width(), columns, &widths, &titles);
    let head = paper.tone(Tone::Faint, head.trim_end());
    paper.line(&head);
    for row in rows {
        let text = row_text(paper.width(), columns, &widths, row);
        paper.line(&text);
    }
}

fn row_text(room: usize, columns: &[Column], widths: &[usize], cells: &[String]) -> String {
    let mut text = String::new();
    for (at, (column, cell)) in columns.iter().zip(cells).enumerate() {
        text.push_str("  ");
        let last = at + 1 == columns.len();
        if last && !column.right {
            text.push_str(&keep_end(cell, room.saturating_sub(width(&text)).max(8)));
            continue;
        }
        let pad = " ".repeat(widths.get(at).copied().unwrap_or(0).saturating_sub(width(cell)));
        if column.right {
            text.push_str(&pad);
            text.push_str(cell);
        } else {
            text.push_str(cell);
            text.push_str(&pad);
        }
    }
    text
}
