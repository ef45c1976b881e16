//! Elements of all pages: text, charts, bars, cells, and the areas that can be clicked.
mod bar;
mod cell;
mod chart;
mod hits;
mod scrolled;
mod text;
mod trend;
mod wrap;

pub use self::{
    bar::{Part, bar},
    cell::{Cell, CellRoom},
    chart::Chart,
    hits::{Hit, Hits},
    scrolled::scrolled,
    text::{Piece, put, put_text, title},
    trend::trend,
    wrap::wrap,
};
