//! Stalls that are over: a part of the page Pools. Who waits now is in [`super::waits`].
use ratatui::{buffer::Buffer, layout::Rect};

use crate::{
    format,
    report::{model::Waits, text},
    tui::{
        drawing::{put_text, title},
        palette::{Palette, Role},
    },
};

/// Rows for the stalls that are over, in an area of this height; 0 if there were none.
pub fn rows_for(waits: &Waits, height: u16) -> u16 {
    let stalls = u16::try_from(waits.stalls.len()).unwrap_or(u16::MAX);
    if stalls == 0 { 0 } else { stalls.min(height / 10).saturating_add(1) }
}

/// The longest of them, longest first.
pub fn draw(buffer: &mut Buffer, area: Rect, waits: &Waits, palette: Palette) {
    if area.height == 0 {
        return;
    }
    let head = format!(
        "waited {} or longer, and over: the longest of them",
        format::length(waits.stall_threshold_ns)
    );
    title(buffer, area.x, area.y, area.width, &head, palette);
    for (y, stall) in (area.y + 1..area.bottom()).zip(&waits.stalls) {
        let text = format!("  {}", text::stalled(stall));
        put_text(buffer, area.x, y, area.width, &text, palette, Role::Warn);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        report::model::{Stall, WaitingTask},
        tui::palette::Theme,
    };

    #[test]
    fn a_stall_that_is_over_stays_on_the_page() {
        let stall = Stall {
            ticket: WaitingTask { bytes: 4 << 20, space: "metadata".to_owned(), ..WaitingTask::default() },
            outcome: "granted".to_owned(),
            errno: None,
            waited_ns: 7_200_000_000,
            at_least: false,
            ended_ns: 9_000_000_000,
            worker: None,
        };
        let mut waits = Waits { stall_threshold_ns: 5_000_000_000, ..Waits::default() };
        assert_eq!(rows_for(&waits, 21), 0);
        waits.stalls = vec![stall; 9];
        assert_eq!((rows_for(&waits, 21), rows_for(&waits, 5)), (3, 1));
        let area = Rect { x: 0, y: 0, width: 80, height: 3 };
        let mut buffer = Buffer::empty(area);
        draw(&mut buffer, area, &waits, Palette { theme: Theme::Plain, unicode: true });
        let text: String = buffer.content().iter().map(ratatui::buffer::Cell::symbol).collect();
        assert!(text.starts_with("waited 5.0 s or longer, and over"), "{text}");
        assert!(text.contains("waited 7.2 s for 4 MiB of metadata"), "{text}");
    }
}
