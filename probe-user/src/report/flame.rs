//! Where the frames of a flame graph stand: the outermost function on top, each as wide as the weight of its stacks.
use std::collections::BTreeMap;

use super::folded::Stack;

/// A frame narrower than this share is not drawn.
const NARROWEST: u128 = 2000;

/// A flame graph: calls with their weights.
#[derive(Debug)]
pub struct Flame {
    root: Node,
}

/// A function in the place where it is called.
#[derive(Debug, Default)]
struct Node {
    weight: u64,
    callees: BTreeMap<String, Node>,
}

/// A frame with its place: `left` and `weight` in units of the whole.
#[derive(Debug)]
pub struct Drawn<'a> {
    /// The function.
    pub name: &'a str,
    /// Row, the outermost frame 0.
    pub depth: usize,
    /// Weight of what stands left of it.
    pub left: u64,
    /// Its own weight.
    pub weight: u64,
}

impl Flame {
    /// Of these stacks.
    #[must_use]
    pub fn of(stacks: &[Stack]) -> Self {
        let mut root = Node::default();
        for stack in stacks {
            root.add(&stack.frames, stack.weight);
        }
        Self { root }
    }

    /// The frames that are wide enough to be seen.
    #[must_use]
    pub fn frames(&self) -> Vec<Drawn<'_>> {
        let mut drawn = Vec::new();
        place(&self.root, 0, 0, self.root.weight, &mut drawn);
        drawn
    }

    /// A weight in percent of the whole.
    #[must_use]
    pub fn percent(&self, weight: u64) -> String {
        let thousandths = u128::from(weight) * 100_000 / u128::from(self.root.weight.max(1));
        format!("{}.{:03}%", thousandths / 1000, thousandths % 1000)
    }
}

impl Node {
    fn add(&mut self, frames: &[String], weight: u64) {
        self.weight = self.weight.saturating_add(weight);
        if let Some((first, inner)) = frames.split_first() {
            self.callees.entry(first.clone()).or_default().add(inner, weight);
        }
    }
}

impl Drawn<'_> {
    /// The first two frames are what the stack is of; btrfs is what the reader looks for.
    #[must_use]
    pub fn class(&self) -> &'static str {
        let btrfs = || self.name.trim_start_matches('_').starts_with("btrfs_");
        match self.depth {
            0 | 1 => "of",
            _ if btrfs() => "btrfs",
            _ => "other",
        }
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
        left = left.saturating_add(callee.weight);
    }
}
