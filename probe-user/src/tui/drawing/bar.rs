//! A bar of parts.
use super::cell::Cell;
use crate::tui::palette::{Palette, Role};

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
pub fn bar(parts: &[Part], whole: u64, width: usize, palette: Palette) -> Cell {
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
        pieces.push((palette.glyph(part.glyph.0, part.glyph.1).repeat(share), part.role));
    }
    pieces.push((palette.glyph("·", ".").repeat(left), Role::Free));
    Cell(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::palette::Theme;

    const ASCII: Palette = Palette { theme: Theme::Plain, unicode: false };

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
}
