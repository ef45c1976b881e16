//! Numbers of the run that no rule needs.
use std::collections::BTreeMap;

use probe_common::hook::{HOOK_SLOTS, HookId};

use crate::summary::Statistics;

/// ns in a second.
const SECOND: u64 = 1_000_000_000;

/// A sum that stops at the top: the numbers come from the stream, and no stream may make the books panic.
pub(super) fn total(numbers: impl Iterator<Item = u64>) -> u64 {
    numbers.fold(0, u64::saturating_add)
}

#[derive(Debug)]
pub(super) struct Counts {
    by_hook: [u64; HOOK_SLOTS as usize],
    records: u64,
    span: Option<(u64, u64)>,
    second_end: u64,
    in_second: u64,
    peak: u64,
    pub order_checked: u64,
    pub order_unknown: u64,
    pub overlapping: u64,
}

impl Counts {
    pub(super) fn new() -> Self {
        Self {
            by_hook: [0; HOOK_SLOTS as usize],
            records: 0,
            span: None,
            second_end: 0,
            in_second: 0,
            peak: 0,
            order_checked: 0,
            order_unknown: 0,
            overlapping: 0,
        }
    }

    pub(super) fn record(&mut self, hook: u8, time: u64) {
        self.records += 1;
        if let Some(count) = self.by_hook.get_mut(usize::from(hook)) {
            *count += 1;
        }
        // Time is coarse and may step back a little between CPUs.
        if time >= self.second_end {
            self.second_end = (time / SECOND + 1).saturating_mul(SECOND);
            self.in_second = 0;
        }
        self.in_second += 1;
        self.peak = self.peak.max(self.in_second);
        if time != 0 {
            match &mut self.span {
                Some((first, last)) => {
                    *first = (*first).min(time);
                    *last = (*last).max(time);
                }
                None => self.span = Some((time, time)),
            }
        }
    }

    pub(super) fn span(&self) -> (u64, u64) {
        self.span.unwrap_or_default()
    }

    /// Records so far.
    pub(super) const fn records(&self) -> u64 {
        self.records
    }

    /// Newest time so far.
    pub(super) fn now(&self) -> u64 {
        self.span.map_or(0, |(_, last)| last)
    }

    /// Records by the hook that sent them.
    pub(super) fn by_hook(&self) -> BTreeMap<HookId, u64> {
        let by_hook = HookId::ALL.into_iter().map(|hook| (hook, self.by_hook[hook as usize]));
        by_hook.filter(|(_, count)| *count > 0).collect()
    }

    pub(super) fn summary(&self, links: u64, inodes_closed: u64) -> Statistics {
        Statistics {
            records_by_hook: self.by_hook(),
            records: self.records,
            links,
            order_checked: self.order_checked,
            order_unknown: self.order_unknown,
            inodes_closed,
            overlapping: self.overlapping,
            peak_records_per_second: self.peak,
        }
    }
}
