//! The report for a person: the verdict and its reasons, the findings with their evidence, then which inodes and pools hold
//! what, then how well the session could see.
//!
//! A pure function of the report and of what the terminal can do. 80 columns unless told otherwise, plain ASCII
//! where the locale is not UTF-8, no colour that carries meaning alone. Every name is escaped.
mod against;
mod draws;
mod failures;
mod filesystems;
mod findings;
mod health;
mod holders;
mod inodes;
mod instances;
mod paper;
mod table;
mod terminal;
mod tests_run;
mod verdict;
mod waits;

pub use paper::Look;
pub use paper::Tone;
pub use terminal::{ColorChoice, look_for};
pub use verdict::{command_line, headline};

pub(crate) use findings::{REPRESENTATIVE, frame_text, shown as shown_frames};
pub(crate) use paper::{Paper, wrap};
pub(crate) use table::{left, render as render_table, right};
pub use waits::{stalled, waits_still, works};

use super::model::Report;

/// How much is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Detail {
    /// Verdict and findings (`-q`).
    Brief,
    /// Everything but what is as it should be.
    #[default]
    Normal,
    /// Every hook, pool, chain and audit, and every finding (`-v`).
    Full,
    /// All that is known of each: instances, stacks, evidence, accounts, inodes (`-vv`).
    All,
}

/// The report as text.
#[must_use]
pub fn render(report: &Report, look: Look, detail: Detail) -> String {
    let mut paper = Paper::new(look);
    verdict::render(&mut paper, report, detail);
    against::render(&mut paper, report);
    findings::render(&mut paper, report, detail);
    if detail > Detail::Brief {
        failures::render(&mut paper, report, detail);
        tests_run::render(&mut paper, report, detail);
        filesystems::all(&mut paper, report, detail);
        inodes::render(&mut paper, report, detail);
        health::render(&mut paper, report, detail);
    }
    paper.into_text()
}

/// One failure as text, for `watch`: shown the moment it happens.
#[must_use]
pub fn render_failure(failure: &super::model::Failure, look: Look) -> String {
    let mut paper = Paper::new(look);
    failures::brief(&mut paper, failure);
    paper.into_text()
}

/// One finding as text, for `watch`: shown the moment it is made.
#[must_use]
pub fn render_finding(finding: &super::model::Finding, look: Look) -> String {
    let mut paper = Paper::new(look);
    findings::one(&mut paper, finding, Detail::Normal);
    paper.into_text()
}

/// One finding without its heading, on a page of another report.
pub(crate) fn finding_body(paper: &mut Paper, finding: &super::model::Finding) {
    findings::body(paper, finding, Detail::Normal);
}
