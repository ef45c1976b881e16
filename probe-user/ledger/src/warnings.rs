//! The kernel's own WARNs: which place warned, and when.
use probe_common::failure::Warn;
use rustc_hash::FxHashMap;

use crate::{Ledger, spans::Spans, statistics::total, summary::KernelWarn};

/// Most places; the kernel has some thousands in all. Beyond it a WARN counts for the last place.
const MOST_PLACES: usize = 4096;

#[derive(Debug, Default)]
pub(super) struct Warnings {
    places: FxHashMap<u64, KernelWarn>,
    last: u64,
}

impl Warnings {
    pub(super) fn warned(&mut self, warn: &Warn) {
        let Warn { header, address, detector, stack } = *warn;
        let full = self.places.len() >= MOST_PLACES && !self.places.contains_key(&address);
        let address = if full { self.last } else { address };
        self.last = address;
        let fresh = || KernelWarn { address, detector, count: 0, stack, seen: Spans::default() };
        let place = self.places.entry(address).or_insert_with(fresh);
        place.count += 1;
        place.seen.add(header.time);
    }

    /// By address.
    pub(super) fn list(&self) -> Vec<KernelWarn> {
        let mut list: Vec<KernelWarn> = self.places.values().cloned().collect();
        list.sort_unstable_by_key(|place| place.address);
        list
    }
}

impl Ledger {
    /// How many WARNs of the kernel there were so far.
    #[must_use]
    pub fn warned(&self) -> u64 {
        total(self.desk.warnings.places.values().map(|place| place.count))
    }

    /// The kernel's WARNs so far, by address.
    #[must_use]
    pub fn warnings(&self) -> Vec<KernelWarn> {
        self.desk.warnings.list()
    }
}

#[cfg(test)]
mod tests {
    use probe_common::header::Header;

    use super::*;

    #[test]
    fn many_places_are_bounded_and_no_warn_is_forgotten() {
        let mut warnings = Warnings::default();
        let most = 2 * MOST_PLACES as u64;
        for address in 0..most {
            let header = Header { time: address, ..Header::default() };
            warnings.warned(&Warn { header, address, ..Warn::default() });
        }
        let list = warnings.list();
        assert_eq!(list.len(), MOST_PLACES);
        assert_eq!(list.iter().map(|place| place.count).sum::<u64>(), most);
    }
}
