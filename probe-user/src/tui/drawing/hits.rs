//! The areas of a drawing that can be clicked, and how much of a list it had room for.
use ratatui::layout::{Position, Rect};

use crate::tui::{keys::Action, page::Page};

/// Something that can be clicked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hit {
    /// The tab of a page.
    Tab(Page),
    /// A row of the list on screen.
    Row(usize),
    /// The head of a column.
    Sort(usize),
    /// A key of the footer.
    Key(Action),
}

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hits {
    areas: Vec<(Rect, Hit)>,
    /// Rows of a screenful.
    pub page: usize,
    /// Lines of the text that is scrolled.
    pub lines: usize,
}

impl Hits {
    /// This area can be clicked.
    pub fn add(&mut self, area: Rect, hit: Hit) {
        self.areas.push((area, hit));
    }

    /// A list had room for so many rows.
    pub const fn page(&mut self, rows: usize) {
        self.page = rows;
    }

    /// A text of so many lines had room for so many.
    pub const fn text(&mut self, lines: usize, page: usize) {
        self.lines = lines;
        self.page = page;
    }

    /// What is at a position; what was drawn last is on top.
    #[must_use]
    pub fn at(&self, column: u16, row: u16) -> Option<Hit> {
        let position = Position { x: column, y: row };
        self.areas.iter().rev().find(|(area, _)| area.contains(position)).map(|(_, hit)| *hit)
    }
}
