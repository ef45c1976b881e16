//! Folded stacks of who reserved, for any flame graph tool.
//!
//! One line per stack: frames outermost first, joined by `;`, a space and the bytes (or count). The first two frames are what
//! the stack is of, and the account:
//!
//! - of findings: the kind. What was reserved and never freed. A finding without origins shows the stack in which it was
//!   found, with its amount;
//! - if no finding counts, `held`: what the block_rsvs of live inodes hold at the end;
//! - if nothing is held, `reserved`: all that was reserved in the session.
//!
//! So a file has one kind of weight only, and its first frame names it.
use std::io::{self, Write};

use super::{
    fingerprint::base_name,
    model::{Finding, Frame, Report, ReservingStacks},
};

/// What a flame graph is drawn from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Graph {
    /// What it shows, in a few words.
    pub title: &'static str,
    /// What its widths mean, in a sentence or two.
    pub meaning: &'static str,
    /// `bytes` or `count`.
    pub unit: &'static str,
    /// The stacks.
    pub stacks: Vec<Stack>,
}

/// A stack with its weight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stack {
    /// Frames, outermost first, behind two that name what it is of.
    pub frames: Vec<String>,
    /// Bytes or count.
    pub weight: u64,
}

impl Graph {
    /// The sum of all weights.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.stacks.iter().fold(0, |sum, stack| sum.saturating_add(stack.weight))
    }
}

/// Writes the folded stacks of the first of [`graphs`] that has any; those of all findings that count are one.
///
/// # Errors
/// Those of the writer.
pub fn write(report: &Report, mut writer: impl Write) -> io::Result<()> {
    let of_findings = findings(report, None);
    let stacks = if of_findings.is_empty() {
        graphs(report).into_iter().next().map(|graph| graph.stacks).unwrap_or_default()
    } else {
        of_findings
    };
    for stack in stacks {
        // `;` and spaces would split a frame.
        let frames: Vec<String> = stack.frames.iter().map(|frame| frame.replace([';', ' '], "_")).collect();
        writeln!(writer, "{} {}", frames.join(";"), stack.weight)?;
    }
    Ok(())
}

/// All graphs that have something to show: findings in bytes, findings in counts, what is held, and what was reserved in all.
#[must_use]
pub fn graphs(report: &Report) -> Vec<Graph> {
    let all = [
        Graph {
            title: "Reserved and never freed, by the findings that count",
            meaning: "Bytes of leaks and of releases that were too large, by the stacks that reserved; where none is known, by the \
                      stack in which it showed.",
            unit: "bytes",
            stacks: findings(report, Some("bytes")),
        },
        Graph {
            title: "Counts that are wrong, by the findings that count",
            meaning: "Extents and the like, by the stacks that reserved; where none is known, by the stack in which it showed.",
            unit: "count",
            stacks: findings(report, Some("count")),
        },
        Graph {
            title: "Held at the end by the block_rsvs of inodes",
            meaning: "By the stacks that reserved since the inode was last empty. It is not known whose bytes were given back, so what an \
                      inode holds is divided in proportion to what each stack reserved. Held is not leaked: these inodes are in use.",
            unit: "bytes",
            stacks: reserving("held", &report.reserving.held),
        },
        Graph {
            title: "Reserved in the session in all, nearly all of it freed since",
            meaning: "All metadata reservations of inodes, transactions and delayed items. Where bytes were handed on from one account \
                      to another, both count them. A representative stack stands for reservations of its context.",
            unit: "bytes",
            stacks: reserving("reserved", &report.reserving.total),
        },
    ];
    all.into_iter().filter(|graph| graph.total() > 0).collect()
}

/// Of all findings that count, or of those in a unit.
fn findings(report: &Report, unit: Option<&str>) -> Vec<Stack> {
    let mut stacks = Vec::new();
    let counts =
        |finding: &&Finding| finding.ignored.is_none() && unit.is_none_or(|unit| unit == finding.unit);
    for finding in report.findings.iter().filter(counts) {
        let of = [finding.kind.name(), finding.account.name()];
        if finding.origins.is_empty() {
            stacks.push(line(of, &finding.stack, finding.amount.unsigned_abs()));
        }
        stacks.extend(finding.origins.iter().map(|origin| line(of, &origin.stack, origin.bytes)));
        if finding.origins_left_out > 0 {
            let others = format!("{} other stacks", finding.origins_left_out);
            let frames = of.map(str::to_owned).into_iter().chain([others]).collect();
            stacks.push(Stack { frames, weight: finding.origins_left_out_bytes });
        }
    }
    stacks
}

fn reserving(what: &str, reserving: &ReservingStacks) -> Vec<Stack> {
    let mut stacks: Vec<Stack> =
        reserving.stacks.iter().map(|of| line([what, of.account.name()], &of.stack, of.bytes)).collect();
    if reserving.other_bytes > 0 {
        let frames = vec![what.to_owned(), "other stacks, or none taken".to_owned()];
        stacks.push(Stack { frames, weight: reserving.other_bytes });
    }
    stacks
}

fn line(of: [&str; 2], stack: &[Frame], weight: u64) -> Stack {
    let name = |frame: &Frame| {
        frame.symbol.as_deref().map_or_else(|| frame.address.clone(), |symbol| base_name(symbol).to_owned())
    };
    Stack { frames: of.map(str::to_owned).into_iter().chain(stack.iter().rev().map(name)).collect(), weight }
}
