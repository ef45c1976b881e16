//! A cell of a table.
use crate::{
    format::escape::{escape, keep_end},
    tui::palette::{Palette, Role},
};

/// Pieces of text, each with its role.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cell(pub Vec<(String, Role)>);

impl Cell {
    /// A cell of one piece.
    pub fn new(text: impl Into<String>, role: Role) -> Self {
        Self(vec![(text.into(), role)])
    }

    /// An ordinary cell.
    pub fn text(text: impl Into<String>) -> Self {
        Self::new(text, Role::Text)
    }
}

/// What a cell needs to know to be drawn.
#[derive(Clone, Copy, Debug)]
pub struct CellRoom {
    /// Columns of the terminal that it may use.
    pub width: usize,
    /// Colours and characters.
    pub palette: Palette,
}

impl CellRoom {
    /// A name as it can be shown here.
    #[must_use]
    pub fn name(&self, name: &str) -> String {
        self.palette.shown(&escape(name)).into_owned()
    }

    /// The end of a name that fits: the end of a path says most.
    #[must_use]
    pub fn end_of(&self, name: &str) -> String {
        keep_end(&self.name(name), self.width)
    }
}
