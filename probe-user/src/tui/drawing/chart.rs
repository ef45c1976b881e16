//! A history over time.
use ratatui::{buffer::Buffer, layout::Rect};

use super::{
    text::put_text,
    trend::{eighth_glyphs, eighths},
};
use crate::{
    format,
    tui::palette::{Palette, Role},
};

/// A history over time, newest at the right, with its scale at the left and its span below.
pub struct Chart<'a> {
    /// What it shows.
    pub title: &'a str,
    /// The values, oldest first.
    pub values: &'a [u64],
    /// Time from the first to the last value.
    pub span_ns: u64,
    /// Bytes, or a count.
    pub bytes: bool,
}

/// Columns of the scale.
const SCALE: u16 = 8;

impl Chart<'_> {
    /// Draws it.
    pub fn draw(&self, buffer: &mut Buffer, area: Rect, palette: Palette) {
        if area.height < 3 || area.width < SCALE + 8 {
            return;
        }
        let amount = |value: u64| {
            let value = i64::try_from(value).unwrap_or(i64::MAX);
            if self.bytes { format::bytes(value, "") } else { format::exact(value) }
        };
        let now = self.values.last().copied().unwrap_or(0);
        let most = self.values.iter().copied().max().unwrap_or(0);
        let title = format!("{}: {} now, {} at most", self.title, amount(now), amount(most));
        put_text(buffer, area.x, area.y, area.width, &title, palette, Role::Head);
        let plot = Rect {
            x: area.x + SCALE + 1,
            y: area.y + 1,
            width: area.width - SCALE - 1,
            height: area.height - 2,
        };
        let lines = usize::from(plot.height);
        let right = |value: u64| format!("{:>width$}", amount(value), width = usize::from(SCALE));
        put_text(buffer, area.x, plot.y, SCALE, &right(most), palette, Role::Faint);
        put_text(buffer, area.x, plot.bottom() - 1, SCALE, &right(0), palette, Role::Faint);
        if lines > 4 {
            put_text(buffer, area.x, plot.y + plot.height / 2, SCALE, &right(most / 2), palette, Role::Faint);
        }
        let glyphs = eighth_glyphs(palette);
        for (column, value) in stretched(self.values, usize::from(plot.width)).into_iter().enumerate() {
            let filled = eighths(value, most, lines);
            for line in 0..lines {
                let part = filled.saturating_sub(line * 8).min(8);
                let y = plot.bottom() - 1 - line as u16;
                if part > 0 {
                    put_text(buffer, plot.x + column as u16, y, 1, glyphs[part], palette, Role::MayUse);
                }
            }
        }
        let ago = format!("{} ago", format::duration(self.span_ns));
        put_text(buffer, plot.x, area.bottom() - 1, plot.width, &ago, palette, Role::Faint);
        put_text(buffer, area.right() - 3, area.bottom() - 1, 3, "now", palette, Role::Faint);
    }
}

/// The values brought to a width: the highest of those that share a column, so that no peak is lost.
fn stretched(values: &[u64], width: usize) -> Vec<u64> {
    if values.is_empty() || width == 0 {
        return Vec::new();
    }
    (0..width)
        .map(|column| {
            let from = column * values.len() / width;
            let to = ((column + 1) * values.len()).div_ceil(width).max(from + 1).min(values.len());
            values[from..to].iter().copied().max().unwrap_or(0)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peaks_survive_any_width() {
        let values: Vec<u64> = (0..100).map(|at| if at == 57 { 9 } else { 1 }).collect();
        for width in [1, 7, 40, 100, 250] {
            let drawn = stretched(&values, width);
            assert_eq!((drawn.len(), drawn.iter().max()), (width, Some(&9)), "{width}");
        }
    }
}
