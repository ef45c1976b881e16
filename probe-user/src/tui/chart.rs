//! Pictures of numbers: a history, a trend in one line, and a bar of parts.
use ratatui::{buffer::Buffer, layout::Rect};

use super::{
    look::{Look, Role},
    table::Cell,
};
use crate::report::format;

const EIGHTHS: [&str; 9] = [" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];
const LEVELS: [&str; 9] = [" ", ".", ".", ":", ":", "+", "*", "%", "#"];

/// The newest values in one line, the highest of them full.
pub fn trend(values: &[u64], width: usize, look: Look) -> String {
    let values = values.get(values.len().saturating_sub(width)..).unwrap_or(values);
    let most = values.iter().copied().max().unwrap_or(0);
    let glyphs = if look.unicode { EIGHTHS } else { LEVELS };
    let bar = |value: &u64| glyphs[eighths(*value, most, 1)];
    let drawn: String = values.iter().map(bar).collect();
    format!("{}{drawn}", " ".repeat(width.saturating_sub(values.len())))
}

/// Eighths of a line that a value fills, of `lines` lines in all; what is not zero is never nothing.
fn eighths(value: u64, most: u64, lines: usize) -> usize {
    if most == 0 || value == 0 {
        return 0;
    }
    let all = lines as u128 * 8;
    ((u128::from(value) * all).div_ceil(u128::from(most)) as usize).clamp(1, lines * 8)
}

/// A part of a bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Bytes.
    pub value: u64,
    /// What it is.
    pub role: Role,
    /// Its character where there is more than ASCII, and where not.
    pub glyph: (&'static str, &'static str),
}

/// A bar of parts of a whole; a part that is not zero has at least one character while there is room.
pub fn bar(parts: &[Part], whole: u64, width: usize, look: Look) -> Cell {
    let whole = whole.max(parts.iter().fold(0_u64, |sum, part| sum.saturating_add(part.value)));
    let mut pieces = Vec::new();
    let mut left = width;
    for part in parts.iter().filter(|part| part.value > 0) {
        let share = if whole == 0 {
            0
        } else {
            (u128::from(part.value) * width as u128 / u128::from(whole)) as usize
        };
        let share = share.max(1).min(left);
        left -= share;
        pieces.push((look.glyph(part.glyph.0, part.glyph.1).repeat(share), part.role));
    }
    pieces.push((look.glyph("·", ".").repeat(left), Role::Faint));
    Cell(pieces)
}

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
    pub fn draw(&self, buffer: &mut Buffer, area: Rect, look: Look) {
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
        text(buffer, area.x, area.y, area.width, &title, look, Role::Head);
        let plot = Rect {
            x: area.x + SCALE + 1,
            y: area.y + 1,
            width: area.width - SCALE - 1,
            height: area.height - 2,
        };
        let lines = usize::from(plot.height);
        let right = |value: u64| format!("{:>width$}", amount(value), width = usize::from(SCALE));
        text(buffer, area.x, plot.y, SCALE, &right(most), look, Role::Faint);
        text(buffer, area.x, plot.bottom() - 1, SCALE, &right(0), look, Role::Faint);
        if lines > 4 {
            text(buffer, area.x, plot.y + plot.height / 2, SCALE, &right(most / 2), look, Role::Faint);
        }
        let glyphs = if look.unicode { EIGHTHS } else { LEVELS };
        for (column, value) in stretched(self.values, usize::from(plot.width)).into_iter().enumerate() {
            let filled = eighths(value, most, lines);
            for line in 0..lines {
                let part = filled.saturating_sub(line * 8).min(8);
                let y = plot.bottom() - 1 - line as u16;
                if part > 0 {
                    text(buffer, plot.x + column as u16, y, 1, glyphs[part], look, Role::MayUse);
                }
            }
        }
        let ago = format!("{} ago", format::duration(self.span_ns));
        text(buffer, plot.x, area.bottom() - 1, plot.width, &ago, look, Role::Faint);
        text(buffer, area.right() - 3, area.bottom() - 1, 3, "now", look, Role::Faint);
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

/// Puts a text, cut to its room.
pub fn text(buffer: &mut Buffer, x: u16, y: u16, width: u16, text: &str, look: Look, role: Role) {
    let area = buffer.area;
    if x < area.right() && y < area.bottom() {
        let width = width.min(area.right() - x);
        buffer.set_stringn(x, y, text, usize::from(width), look.style(role));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::look::Theme;

    const ASCII: Look = Look { theme: Theme::Plain, unicode: false };
    const FULL: Look = Look { theme: Theme::Plain, unicode: true };

    #[test]
    fn a_trend_fills_its_width_and_shows_what_is_not_zero() {
        assert_eq!(trend(&[0, 1, 50, 100], 6, FULL), "   ▁▄█");
        assert_eq!(trend(&[9, 9, 9, 0, 100], 3, ASCII), ". #");
        assert_eq!(trend(&[], 3, FULL), "   ");
    }

    #[test]
    fn no_part_of_a_bar_disappears() {
        let part = |value, ascii| Part { value, role: Role::Used, glyph: ("x", ascii) };
        let Cell(pieces) = bar(&[part(900, "#"), part(1, "p"), part(0, "r"), part(1, "m")], 1000, 10, ASCII);
        let drawn: String = pieces.into_iter().map(|(text, _)| text).collect();
        assert_eq!(drawn, "#########p");
        let Cell(pieces) = bar(&[part(100, "#"), part(1, "p")], 1000, 10, ASCII);
        let drawn: String = pieces.into_iter().map(|(text, _)| text).collect();
        assert_eq!(drawn, "#p........");
        assert_eq!(bar(&[], 0, 4, ASCII).0.last().map(|(text, _)| text.as_str()), Some("...."));
    }

    #[test]
    fn peaks_survive_any_width() {
        let values: Vec<u64> = (0..100).map(|at| if at == 57 { 9 } else { 1 }).collect();
        for width in [1, 7, 40, 100, 250] {
            let drawn = stretched(&values, width);
            assert_eq!((drawn.len(), drawn.iter().max()), (width, Some(&9)), "{width}");
        }
    }
}
