//! A cell of a table.
use crate::tui::palette::{Palette, Role};

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
