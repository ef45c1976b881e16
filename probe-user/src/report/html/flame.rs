//! Who reserved, as a flame graph: the outermost function on top, each as wide as what was reserved below it.
use std::collections::BTreeMap;

use maud::{Markup, html};

use super::{
    super::{
        folded::{self, Stack},
        model::Report,
    },
    Section,
    words::{shown, signed},
};
use crate::format;

/// Height of a row.
const ROW: usize = 19;
/// A frame narrower than this share is not drawn.
const NARROWEST: u128 = 2000;

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

/// A function in the place where it is called.
#[derive(Default)]
struct Node {
    weight: u64,
    callees: BTreeMap<String, Node>,
}

impl Node {
    fn add(&mut self, frames: &[String], weight: u64) {
        self.weight = self.weight.saturating_add(weight);
        if let Some((first, inner)) = frames.split_first() {
            self.callees.entry(first.clone()).or_default().add(inner, weight);
        }
    }
}

/// A frame with its place: `left` and `weight` in units of the whole.
struct Drawn<'a> {
    name: &'a str,
    depth: usize,
    left: u64,
    weight: u64,
}

fn draw(stacks: &[Stack], unit: &str) -> Markup {
    let mut root = Node::default();
    for stack in stacks {
        root.add(&stack.frames, stack.weight);
    }
    let mut drawn = Vec::new();
    place(&root, 0, 0, root.weight, &mut drawn);
    let depth = drawn.iter().map(|frame| frame.depth + 1).max().unwrap_or(0);
    let whole = u128::from(root.weight.max(1));
    let percent = |weight: u64| {
        let thousandths = u128::from(weight) * 100_000 / whole;
        format!("{}.{:03}%", thousandths / 1000, thousandths % 1000)
    };
    html! {
        svg.flame width="100%" height=(depth * ROW) role="group" aria-label="Flame graph" {
            @for frame in &drawn {
                @let text = format!("{}: {}, {}", shown(frame.name), format::amount(signed(frame.weight), unit), percent(frame.weight));
                svg.frame x=(percent(frame.left)) y=(frame.depth * ROW) width=(percent(frame.weight)) height=(ROW - 1)
                    data-left=(frame.left) data-weight=(frame.weight) data-depth=(frame.depth) {
                    title { (text) }
                    rect class=(class(frame)) width="100%" height=(ROW - 1) {}
                    text x="4" y="13" { (shown(frame.name)) }
                }
            }
        }
    }
}

/// The first two frames are what the stack is of; btrfs is what the reader looks for.
fn class(frame: &Drawn<'_>) -> &'static str {
    let btrfs = || frame.name.trim_start_matches('_').starts_with("btrfs_");
    match frame.depth {
        0 | 1 => "of",
        _ if btrfs() => "btrfs",
        _ => "other",
    }
}

fn place<'a>(node: &'a Node, depth: usize, left: u64, whole: u64, drawn: &mut Vec<Drawn<'a>>) {
    let mut callees: Vec<(&String, &Node)> = node.callees.iter().collect();
    callees.sort_by(|one, other| other.1.weight.cmp(&one.1.weight).then(one.0.cmp(other.0)));
    let mut left = left;
    for (name, callee) in callees {
        if u128::from(callee.weight) * NARROWEST >= u128::from(whole) {
            drawn.push(Drawn { name, depth, left, weight: callee.weight });
            place(callee, depth + 1, left, whole, drawn);
        }
        left += callee.weight;
    }
}
