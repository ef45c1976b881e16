//! Statistics of the run that no rule needs.
use std::collections::BTreeMap;

use probe_common::hook::{HOOK_IDS, HookId};

/// ns in a second.
const SECOND: u64 = 1_000_000_000;

#[derive(Debug)]
pub(crate) struct Counts {
    by_hook: [u64; HOOK_IDS as usize],
    pub records: u64,
    span: Option<(u64, u64)>,
    second_end: u64,
    in_second: u64,
    pub peak: u64,
    pub order_checked: u64,
    pub order_unknown: u64,
    pub overlapping: u64,
    /// Tickets that got what they asked for, or an error and nothing.
    pub tickets: u64,
    /// Tickets of which it is not known what they got.
    pub tickets_unknown: u64,
}

impl Counts {
    pub(crate) fn new() -> Self {
        Self {
            by_hook: [0; HOOK_IDS as usize],
            records: 0,
            span: None,
            second_end: 0,
            in_second: 0,
            peak: 0,
            order_checked: 0,
            order_unknown: 0,
            overlapping: 0,
            tickets: 0,
            tickets_unknown: 0,
        }
    }

    pub(crate) fn record(&mut self, hook: u8, time: u64) {
        self.records += 1;
        if let Some(count) = self.by_hook.get_mut(usize::from(hook)) {
            *count += 1;
        }
        // Times are coarse and may step back a little between CPUs.
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

    pub(crate) fn span(&self) -> (u64, u64) {
        self.span.unwrap_or_default()
    }

    /// Records so far.
    pub(crate) const fn records(&self) -> u64 {
        self.records
    }

    /// Latest time so far, `CLOCK_MONOTONIC` ns.
    pub(crate) fn now(&self) -> u64 {
        self.span.map_or(0, |(_, last)| last)
    }

    /// Records by the hook that sent them.
    pub(crate) fn by_hook(&self) -> BTreeMap<HookId, u64> {
        let by_hook = HookId::ALL.into_iter().map(|hook| (hook, self.by_hook[hook as usize]));
        by_hook.filter(|(_, count)| *count > 0).collect()
    }
}
