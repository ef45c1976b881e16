//! What a scenario is.
use super::work::Work;

/// One bug, or one load that must stay without findings.
pub struct Scenario {
    /// Name of its test.
    pub name: &'static str,
    /// The bug in one sentence.
    pub what: &'static str,
    /// Runs in a process of its own, under the tool; mounts, arms, works, unmounts.
    pub work: fn(&Work),
    /// What each tier has to say.
    pub functions: Sight,
    /// The same, without kprobes.
    pub tracepoints: Sight,
}

/// What a tier sees of a bug.
#[derive(Clone, Copy, Debug)]
pub enum Sight {
    /// Kind, account, owner and amount.
    Exact(Bug),
    /// That there is a bug: another account, a sum, or an amount that is a bound.
    Bounded {
        /// What is reported.
        bug: Bug,
        /// What is missing.
        how: &'static str,
    },
    /// Nothing, and why nothing can be seen.
    NotVisible(&'static str),
    /// There is no bug: no finding. Why the verdict may be inconclusive, if it may.
    Silent(Option<&'static str>),
}

/// A finding.
#[derive(Clone, Copy, Debug)]
pub struct Bug {
    /// `kind`
    pub kind: &'static str,
    /// `account`
    pub account: &'static str,
    /// Inode number in the filesystem tree, where the account belongs to an inode.
    pub inode: Option<u64>,
    /// `amount`
    pub amount: Amount,
    /// A function of btrfs that its stack has to name, or several with `|` between of which it has to name one; empty: it
    /// need not have a stack.
    pub stack: &'static str,
    /// Whether it has to say who reserved.
    pub origins: bool,
    /// Kinds and accounts that the same bug breaks too, later or elsewhere: allowed beside it.
    pub also: &'static [(&'static str, &'static str)],
}

/// How much.
#[derive(Clone, Copy, Debug)]
pub enum Amount {
    /// This.
    Is(i64),
    /// What the work noted under this name, from the kernel's own counters.
    Noted(&'static str),
    /// Not zero.
    Some,
}
