//! A trend in one line.
use crate::tui::palette::Palette;

const EIGHTHS: [&str; 9] = [" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];
const LEVELS: [&str; 9] = [" ", ".", ".", ":", ":", "+", "*", "%", "#"];

/// Characters of eighths of a line, none to all.
pub(super) const fn eighth_glyphs(palette: Palette) -> [&'static str; 9] {
    if palette.unicode { EIGHTHS } else { LEVELS }
}

/// The newest values in one line, the highest of them full.
pub fn trend(values: &[u64], width: usize, palette: Palette) -> String {
    let values = values.get(values.len().saturating_sub(width)..).unwrap_or(values);
    let most = values.iter().copied().max().unwrap_or(0);
    let glyphs = eighth_glyphs(palette);
    let bar = |value: &u64| glyphs[eighths(*value, most, 1)];
    let drawn: String = values.iter().map(bar).collect();
    format!("{}{drawn}", " ".repeat(width.saturating_sub(values.len())))
}

/// Eighths of a line that a value fills, of `lines` lines in all; a value above zero fills at least one.
pub(super) fn eighths(value: u64, most: u64, lines: usize) -> usize {
    if most == 0 || value == 0 {
        return 0;
    }
    let all = lines as u128 * 8;
    ((u128::from(value) * all).div_ceil(u128::from(most)) as usize).clamp(1, lines * 8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::palette::Theme;

    const ASCII: Palette = Palette { theme: Theme::Plain, unicode: false };
    const FULL: Palette = Palette { theme: Theme::Plain, unicode: true };

    #[test]
    fn a_trend_fills_its_width_and_shows_what_is_not_zero() {
        assert_eq!(trend(&[0, 1, 50, 100], 6, FULL), "   ▁▄█");
        assert_eq!(trend(&[9, 9, 9, 0, 100], 3, ASCII), ". #");
        assert_eq!(trend(&[], 3, FULL), "   ");
    }
}
