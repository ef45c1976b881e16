//! Who reserved, as a flame graph in one SVG file for a browser or an issue: no script, nothing fetched.
//!
//! All graphs of the HTML report, one above the other. What a frame is stands in its tooltip. A nested `svg` cuts a name at the edge
//! of its frame.
use std::io::{self, Write};

use maud::{Markup, PreEscaped, html};

use super::{
    flame::Flame,
    folded::{self, Graph},
    model::Report,
    text::wrap,
};
use crate::format::{self, escape::escape};

/// Width of the picture, in pixels.
const WIDTH: usize = 1200;
/// Height of a frame.
const ROW: usize = 18;
/// Height of what stands above a graph.
const HEAD: usize = 60;
/// Letters of 12 pixels in the width.
const COLUMNS: usize = 160;

const STYLE: &str = "text{font:12px ui-monospace,monospace;fill:#111}.title{font-weight:bold}.note{fill:#555}\
rect{stroke:#fff}.of rect{fill:#d0d7de}.btrfs rect{fill:#f4a261}.other rect{fill:#f6dfa4}";

/// Writes the picture.
///
/// # Errors
/// Those of the writer.
pub fn write(report: &Report, mut writer: impl Write) -> io::Result<()> {
    let graphs = folded::graphs(report);
    let mut height = 0;
    let mut drawn = Vec::new();
    for graph in &graphs {
        let (markup, rows) = draw(graph, height);
        drawn.push(markup);
        height += HEAD + rows * ROW + ROW;
    }
    let height = height.max(HEAD);
    let picture = html! {
        svg xmlns="http://www.w3.org/2000/svg" width=(WIDTH) height=(height) viewBox={ "0 0 " (WIDTH) " " (height) } {
            title { "btrfs-probe: who reserved, by stack" }
            style { (PreEscaped(STYLE)) }
            rect width="100%" height="100%" fill="#fff" {}
            @if graphs.is_empty() {
                text x="8" y="28" { "No stack reserved anything in this session, or none was taken." }
            }
            @for graph in &drawn { (graph) }
        }
    };
    writeln!(writer, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{}", picture.into_string())
}

/// A graph with its top at `y`, and how many rows it has.
fn draw(graph: &Graph, y: usize) -> (Markup, usize) {
    let flame = Flame::of(&graph.stacks);
    let frames = flame.frames();
    let rows = frames.iter().map(|frame| frame.depth + 1).max().unwrap_or(0);
    let amount = |weight: u64| format::amount(i64::try_from(weight).unwrap_or(i64::MAX), graph.unit);
    let markup = html! {
        text.title x="8" y=(y + 20) { (graph.title) ": " (amount(graph.total())) }
        @for (at, line) in wrap(graph.meaning, COLUMNS).into_iter().enumerate() {
            text.note x="8" y=(y + 36 + at * 15) { (line) }
        }
        svg x="0" y=(y + HEAD) width="100%" height=(rows * ROW) {
            @for frame in &frames {
                @let name = name(frame.name);
                svg class=(frame.class()) x=(flame.percent(frame.left)) y=(frame.depth * ROW) width=(flame.percent(frame.weight)) height=(ROW) {
                    title { (name) ": " (amount(frame.weight)) ", " (flame.percent(frame.weight)) }
                    rect width="100%" height=(ROW - 1) {}
                    text x="4" y="13" { (name) }
                }
            }
        }
    };
    (markup, rows)
}

/// A name that XML may hold: [`escape`] leaves two characters that it may not.
fn name(name: &str) -> String {
    escape(name).replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}")
}
