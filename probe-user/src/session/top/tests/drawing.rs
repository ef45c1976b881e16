//! What was drawn, as text and as a picture.
use std::fmt::Write as _;

use ratatui::{
    buffer::{Buffer, Cell},
    style::{Color, Modifier},
};

use crate::format::escape;

/// Size of a cell in a picture, in pixels.
const CELL: (usize, usize) = (8, 18);
/// From the top of a cell to the line that letters stand on.
const BASE: usize = 14;
const PAPER: &str = "#1e1e1e";
const INK: &str = "#d4d4d4";

/// Symbols of a line with their columns, without the second halves of wide ones.
fn line(buffer: &Buffer, y: u16) -> Vec<(u16, &Cell)> {
    let mut cells = Vec::new();
    let mut next = 0;
    for x in 0..buffer.area.width {
        if x >= next {
            let cell = &buffer[(x, y)];
            next = x + u16::try_from(escape::width(cell.symbol())).unwrap().max(1);
            cells.push((x, cell));
        }
    }
    cells
}

/// Without colours, and without the space at the ends of lines.
pub fn text(buffer: &Buffer) -> String {
    let mut text = String::new();
    for y in 0..buffer.area.height {
        let line: String = line(buffer, y).iter().map(|(_, cell)| cell.symbol()).collect();
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// An SVG. Each stretch of one style is a text of its own, drawn as wide as its cells whatever the font.
pub fn picture(buffer: &Buffer) -> String {
    let (width, height) = (usize::from(buffer.area.width) * CELL.0, usize::from(buffer.area.height) * CELL.1);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"DejaVu Sans Mono, Menlo, Consolas, monospace\" font-size=\"13\" xml:space=\"preserve\">\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"{PAPER}\"/>\n"
    );
    for y in 0..buffer.area.height {
        let cells = line(buffer, y);
        for stretch in cells.chunk_by(|(_, left), (_, right)| left.style() == right.style()) {
            draw(&mut svg, stretch, usize::from(y) * CELL.1);
        }
    }
    svg.push_str("</svg>\n");
    svg
}

fn draw(svg: &mut String, stretch: &[(u16, &Cell)], top: usize) {
    let (first, cell) = stretch[0];
    let symbols: String = stretch.iter().map(|(_, cell)| cell.symbol()).collect();
    let (left, width) = (usize::from(first) * CELL.0, escape::width(&symbols) * CELL.0);
    let (ink, paper) = (color(cell.fg, INK), color(cell.bg, PAPER));
    let reversed = cell.modifier.contains(Modifier::REVERSED);
    let (ink, paper) = if reversed { (paper, ink) } else { (ink, paper) };
    if paper != PAPER {
        let height = CELL.1;
        writeln!(
            svg,
            "<rect x=\"{left}\" y=\"{top}\" width=\"{width}\" height=\"{height}\" fill=\"{paper}\"/>"
        )
        .unwrap();
    }
    if symbols.trim().is_empty() {
        return;
    }
    let mut style = format!("fill=\"{ink}\"");
    for (modifier, attribute) in [
        (Modifier::BOLD, " font-weight=\"bold\""),
        (Modifier::UNDERLINED, " text-decoration=\"underline\""),
        (Modifier::DIM, " opacity=\"0.6\""),
    ] {
        if cell.modifier.contains(modifier) {
            style.push_str(attribute);
        }
    }
    let symbols = symbols.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let base = top + BASE;
    writeln!(
        svg,
        "<text x=\"{left}\" y=\"{base}\" textLength=\"{width}\" lengthAdjust=\"spacingAndGlyphs\" {style}>{symbols}</text>"
    )
    .unwrap();
}

/// The terminal's 16 colours, as one terminal shows them.
fn color(color: Color, own: &'static str) -> &'static str {
    match color {
        Color::Black => "#000000",
        Color::Red => "#cd3131",
        Color::Green => "#23d18b",
        Color::Yellow => "#e5e510",
        Color::Blue => "#3b8eea",
        Color::Magenta => "#d670d6",
        Color::Cyan => "#29b8db",
        Color::Gray => "#b0b0b0",
        Color::White => "#e5e5e5",
        Color::DarkGray => "#808080",
        Color::LightRed => "#f14c4c",
        Color::LightBlue => "#79b8ff",
        Color::LightYellow => "#f5f543",
        Color::LightCyan => "#4fd6e8",
        _ => own,
    }
}
