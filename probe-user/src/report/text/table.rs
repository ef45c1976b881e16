//! Tables: columns as wide as their widest cell, the last one takes what is left.
use super::paper::{Paper, Tone};
use crate::format::escape::{keep_begin, keep_end, width};

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

/// Writes the table, two blanks in front of it and between columns. On a screen a last column of text is cut at its front.
pub(crate) fn render(paper: &mut Paper, columns: &[Column], rows: &[Vec<String>]) {
    let rows: Vec<Vec<String>> = rows.iter().map(|row| cells(paper, columns, row)).collect();
    let widths = widths(columns, &rows);
    let titles: Vec<String> = columns.iter().map(|column| column.title.to_owned()).collect();
    let head = row_text(paper, columns, &widths, &titles);
    let head = paper.tone(Tone::Faint, head.trim_end());
    paper.line(&head);
    for row in &rows {
        let text = row_text(paper, columns, &widths, row);
        paper.line(&text);
    }
}

/// The cells as they can be shown. A task can call itself anything: no name pushes the columns behind it away.
fn cells(paper: &Paper, columns: &[Column], row: &[String]) -> Vec<String> {
    let last = columns.len().saturating_sub(1);
    row.iter()
        .enumerate()
        .map(|(at, cell)| {
            let shown = paper.shown(cell);
            if at == last { shown.into_owned() } else { keep_begin(&shown, INNER) }
        })
        .collect()
}

/// Most columns of a cell before the last one.
const INNER: usize = 40;

fn row_text(paper: &Paper, columns: &[Column], widths: &[usize], cells: &[String]) -> String {
    let mut text = String::new();
    for (at, (column, cell)) in columns.iter().zip(cells).enumerate() {
        text.push_str("  ");
        let last = at + 1 == columns.len();
        if last && !column.right {
            text.push_str(&keep_end(cell, paper.room_behind(width(&text)).max(8)));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{format::escape::escape, report::text::Look};

    /// A task can be called anything.
    #[test]
    fn no_name_moves_the_column_behind_it() {
        let names =
            ["plain", "\x1b[2J\x1b[31m\x07\x07\x07\x07\x07", "日本語", "e\u{301}", "\u{301}\u{202e}x"];
        let row = |name: &&str| vec![escape(name), "7".to_owned(), "/a/b".to_owned()];
        let rows: Vec<Vec<String>> = names.iter().map(row).collect();
        for unicode in [true, false] {
            let mut paper = Paper::new(Look { unicode, cut: true, ..Look::PLAIN });
            render(&mut paper, &[left("task"), right("n"), left("path")], &rows);
            let text = paper.into_text();
            let places: Vec<usize> = text
                .lines()
                .skip(1)
                .filter_map(|line| line.split_once("7  /a/b"))
                .map(|(before, _)| width(before))
                .collect();
            assert_eq!(places.len(), names.len(), "{text}");
            assert!(places.iter().all(|place| *place == places[0]) && places[0] <= INNER + 10, "{text}");
            assert!(unicode || text.is_ascii(), "{text}");
        }
    }

    #[test]
    fn a_path_is_cut_on_a_screen_and_whole_in_a_file() {
        let rows = [vec!["7".to_owned(), format!("/{}", "x".repeat(100))]];
        for (cut, wide) in [(true, 80), (false, 106)] {
            let mut paper = Paper::new(Look { cut, ..Look::PLAIN });
            render(&mut paper, &[right("n"), left("path")], &rows);
            let text = paper.into_text();
            assert_eq!(text.lines().map(width).max(), Some(wide), "{text}");
        }
    }
}
