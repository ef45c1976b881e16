//! Who reserved, as a flame graph: the outermost function on top, each as wide as what was reserved below it.
use maud::{Markup, html};

use super::{
    super::{
        flame::Flame,
        folded::{self, Stack},
        model::Report,
    },
    Section,
    words::{shown, signed},
};
use crate::format;

/// Height of a row.
const ROW: usize = 19;

pub(super) fn section(report: &Report) -> Option<Section> {
    let graphs = folded::graphs(report);
    if graphs.is_empty() {
        return None;
    }
    let body = html! {
        @for graph in &graphs {
            h3 { (graph.title) " " span.faint { (format::amount(signed(graph.total()), graph.unit)) } }
            p.note { (graph.meaning) }
            (draw(&graph.stacks, graph.unit))
        }
    };
    let title = "Who reserved, by stack".to_owned();
    Some(Section { id: "flame", title, short: "Flame graph".to_owned(), body })
}

fn draw(stacks: &[Stack], unit: &str) -> Markup {
    let flame = Flame::of(stacks);
    let drawn = flame.frames();
    let depth = drawn.iter().map(|frame| frame.depth + 1).max().unwrap_or(0);
    let percent = |weight: u64| flame.percent(weight);
    html! {
        svg.flame width="100%" height=(depth * ROW) role="group" aria-label="Flame graph" {
            @for frame in &drawn {
                @let text = format!("{}: {}, {}", shown(frame.name), format::amount(signed(frame.weight), unit), percent(frame.weight));
                svg.frame x=(percent(frame.left)) y=(frame.depth * ROW) width=(percent(frame.weight)) height=(ROW - 1)
                    data-left=(frame.left) data-weight=(frame.weight) data-depth=(frame.depth) {
                    title { (text) }
                    rect class=(frame.class()) width="100%" height=(ROW - 1) {}
                    text x="4" y="13" { (shown(frame.name)) }
                }
            }
        }
    }
}
