//! One counter over the trace: does each change find the value that the one before left?

/// A change of a counter, as the trace shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// Before, as the kernel's field has it.
    pub old: u64,
    /// Change.
    pub diff: i64,
    /// After, if the field has so many bits. A space_info and a qgroup have 64, an inode's extents 32.
    pub bits: u32,
}

/// What a change says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judged {
    /// The first one of the counter.
    First,
    /// It fits the one before.
    Fits,
    /// It does not; what was expected.
    Breaks(i64),
}

/// A counter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Chain {
    /// Value after the last change; none before the first.
    pub value: Option<i64>,
    /// Highest value.
    pub peak: i64,
    /// Changes that fit.
    pub links: u64,
    /// Changes that do not.
    pub breaks: u64,
}

impl Change {
    /// The value before, as a signed number: what is above the sign bit was below zero.
    #[must_use]
    pub const fn before(self) -> i64 {
        if self.bits == 32 { self.old as u32 as i32 as i64 } else { self.old as i64 }
    }

    /// The value after it; below zero if more was taken than was there.
    #[must_use]
    pub const fn after(self) -> i64 {
        self.before().saturating_add(self.diff)
    }

    /// True at the change that took more than there was.
    #[must_use]
    pub const fn underflows(self) -> bool {
        self.before() >= 0 && self.after() < 0
    }
}

impl Chain {
    /// Takes a change. `clamped`: the kernel sets the counter to 0 instead of going below it.
    pub fn take(&mut self, change: Change, clamped: bool) -> Judged {
        let judged = match self.value {
            None => Judged::First,
            Some(value) if value == change.before() => Judged::Fits,
            Some(value) => Judged::Breaks(value),
        };
        match judged {
            Judged::First => {}
            Judged::Fits => self.links = self.links.saturating_add(1),
            Judged::Breaks(_) => self.breaks = self.breaks.saturating_add(1),
        }
        let after = if clamped { change.after().max(0) } else { change.after() };
        self.peak = self.peak.max(after).max(change.before());
        self.value = Some(after);
        judged
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn change(old: u64, diff: i64) -> Change {
        Change { old, diff, bits: 64 }
    }

    #[test]
    fn a_chain_holds_or_breaks_and_goes_on() {
        let mut chain = Chain::default();
        assert_eq!(chain.take(change(10, 5), true), Judged::First);
        assert_eq!(chain.take(change(15, -5), true), Judged::Fits);
        assert_eq!(chain.take(change(12, 1), true), Judged::Breaks(10));
        assert_eq!(chain.take(change(13, 0), true), Judged::Fits);
        assert_eq!((chain.links, chain.breaks, chain.value, chain.peak), (2, 1, Some(13), 15));
    }

    #[test]
    fn an_underflow_is_told_once_and_the_kernel_goes_on_from_zero() {
        let mut chain = Chain::default();
        assert!(change(10, -11).underflows() && !change(10, -10).underflows());
        chain.take(change(10, -11), true);
        assert_eq!(chain.take(change(0, 5), true), Judged::Fits);
        let extents = Change { old: u64::from(u32::MAX), diff: -1, bits: 32 };
        assert_eq!((extents.before(), extents.after(), extents.underflows()), (-1, -2, false));
    }

    #[test]
    fn extremes_do_not_overflow() {
        let mut chain = Chain::default();
        for old in [0, 1, i64::MAX as u64, 1 << 63, u64::MAX] {
            for diff in [i64::MIN, -1, 0, 1, i64::MAX] {
                for bits in [32, 64] {
                    chain.take(Change { old, diff, bits }, bits == 64);
                }
            }
        }
        assert!(chain.breaks > 0);
    }
}
