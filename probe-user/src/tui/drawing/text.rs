//! Text cut to the width of its area.
use ratatui::{
    buffer::Buffer,
    text::{Line, Span},
};

use crate::tui::palette::{Palette, Role};

/// A piece of a line, and its role.
pub type Piece = (String, Role);

/// Puts a text, cut to its room.
pub fn put_text(buffer: &mut Buffer, x: u16, y: u16, width: u16, text: &str, palette: Palette, role: Role) {
    let area = buffer.area;
    if x < area.right() && y < area.bottom() {
        let width = width.min(area.right() - x);
        buffer.set_stringn(x, y, palette.shown(text), usize::from(width), palette.style(role));
    }
}

/// One line of pieces, cut to its room.
pub fn put(buffer: &mut Buffer, x: u16, y: u16, width: u16, pieces: &[Piece], palette: Palette) {
    let spans: Vec<Span<'_>> =
        pieces.iter().map(|(text, role)| Span::styled(palette.shown(text), palette.style(*role))).collect();
    if y < buffer.area.bottom() && x < buffer.area.right() {
        buffer.set_line(x, y, &Line::from(spans), width.min(buffer.area.right() - x));
    }
}

/// The head of a part of a page.
pub fn title(buffer: &mut Buffer, x: u16, y: u16, width: u16, text: &str, palette: Palette) {
    put_text(buffer, x, y, width, text, palette, Role::Head);
}
