//! Known kernel bugs: accounting bugs of released kernels, and the findings that they make.
//!
//! A finding of a known kernel bug is reported as any other and says what it is. It does not count for the verdict, unless
//! `--strict` counts it. It is matched narrowly, by kind, account and the paths through the kernel that freed and reserved: the
//! same account on another path is a finding as ever, and so is one without stacks.
mod catalogue;

pub use catalogue::CATALOGUE;
use probe_ledger::{Account, FindingKind, Violation};

use super::{
    fingerprint::symbol_path,
    model::{Finding, Frame, IgnoredBy, KnownBug},
};

/// A known kernel bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KernelBug {
    /// Its name, in reports and as the name of its page.
    pub id: &'static str,
    /// What is wrong, in one clause.
    pub title: &'static str,
    /// Which rule it breaks.
    pub kind: FindingKind,
    /// On which account.
    pub account: Account,
    /// The paths on which it frees, or on which it shows. One of them must fit.
    pub freed: &'static [&'static [Step]],
    /// The paths on which it reserves. Each stack that reserved must fit one of them; empty for an account that nobody owns.
    pub reserved: &'static [&'static [Step]],
    /// The task must free what an extent of its own has taken already ([`Violation::twice`]).
    pub twice: bool,
    /// Kernels that have it.
    pub versions: &'static str,
    /// How we know.
    pub evidence: &'static str,
    /// The commit that mends it; `None` if we know of none.
    pub upstream_fix: Option<&'static str>,
    /// Whether the kernel's figures become right again.
    pub heals: &'static str,
}

/// A function at its place in a stack, by its name in the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It stands there.
    In(&'static str),
    /// It stands there, unless the compiler has put it into its caller.
    Inlined(&'static str),
}

impl KernelBug {
    /// The page that explains it.
    #[must_use]
    pub fn doc(&self) -> String {
        format!("docs/known/{}.md", self.id)
    }

    fn fits(&self, violation: &Violation, frames: impl Fn(u64) -> Vec<Frame>) -> bool {
        let fits = |paths: &[&[Step]], stack: u64| {
            let frames = frames(stack);
            let functions = symbol_path(&frames);
            paths.iter().any(|path| begins(&functions, path))
        };
        // A stack that nobody took may be any stack, and so may one of an earlier call.
        !violation.stack.representative
            && violation.origins.is_empty() == self.reserved.is_empty()
            && (violation.twice || !self.twice)
            && fits(self.freed, violation.stack.id)
            && violation.origins.iter().all(|origin| fits(self.reserved, origin.stack.id))
    }
}

/// The known kernel bug that made this violation, if it was one. `frames` resolves a stack, innermost frame first.
#[must_use]
pub fn bug_of(violation: &Violation, frames: impl Fn(u64) -> Vec<Frame>) -> Option<&'static KernelBug> {
    let alike = |bug: &&KernelBug| (bug.kind, bug.account) == (violation.kind, violation.account);
    // Nearly all violations end here, before a stack is resolved.
    CATALOGUE.iter().filter(alike).find(|bug| bug.fits(violation, &frames))
}

/// Which known kernel bug made a finding, and whether it counts, for reports and screen alike; `None` if none did.
#[must_use]
pub fn words(finding: &Finding) -> Option<String> {
    let description = description(finding)?;
    let counts = match finding.ignored {
        None => "; counts (--strict)",
        Some(IgnoredBy::Known) => "; does not count (--strict counts it)",
        // The fingerprint's line says why.
        Some(IgnoredBy::IgnoreFile | IgnoredBy::FailOn | IgnoredBy::Against) => "",
    };
    Some(description + counts)
}

/// The known kernel bug that made a finding; `None` if none did.
#[must_use]
pub fn description(finding: &Finding) -> Option<String> {
    let KnownBug { id, title, versions, doc: _ } = finding.known.as_ref()?;
    Some(format!("{id}: {title}; kernels {versions}"))
}

/// True if a stack begins with these functions, innermost first, with no other between them.
fn begins(functions: &[&str], path: &[Step]) -> bool {
    let mut rest = functions;
    for step in path {
        let (Step::In(name) | Step::Inlined(name)) = step;
        match rest.split_first() {
            Some((first, outer)) if first == name => rest = outer,
            _ if matches!(step, Step::Inlined(_)) => {}
            _ => return false,
        }
    }
    true
}
