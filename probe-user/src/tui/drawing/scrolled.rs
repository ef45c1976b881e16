//! Text that is longer than its area, with a scroll position.
use ratatui::{buffer::Buffer, layout::Rect};

use super::{
    hits::Hits,
    text::{Piece, put, put_text},
};
use crate::tui::palette::{Palette, Role};

/// Text of pieces, scrolled.
pub fn scrolled(
    buffer: &mut Buffer,
    area: Rect,
    lines: &[Vec<Piece>],
    from: usize,
    palette: Palette,
    hits: &mut Hits,
) {
    let height = usize::from(area.height);
    hits.text(lines.len(), height);
    let from = from.min(lines.len().saturating_sub(height));
    for (at, pieces) in lines.iter().skip(from).take(height).enumerate() {
        put(buffer, area.x, area.y + at as u16, area.width, pieces, palette);
    }
    let below = lines.len().saturating_sub(from + height);
    if below > 0 && area.height > 1 {
        let more = format!(" {below} more {} ", palette.glyph("↓", "v"));
        let width = more.chars().count() as u16;
        let x = area.right().saturating_sub(width);
        put_text(buffer, x, area.bottom() - 1, width, &more, palette, Role::Selected);
    }
}
