//! The kernel's own WARNs: where and when.
use probe_common::failure::Warn;
use rustc_hash::FxHashMap;

use crate::vocabulary::{spans::Spans, words::total};

/// Most places kept; the whole kernel has some thousands. Beyond it a WARN is counted at the last place.
const MOST_PLACES: usize = 4096;

/// One place in the kernel that warned (`trace_error_report_end`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KernelWarn {
    /// Address of the WARN.
    pub address: u64,
    /// `enum error_detector`: who reported.
    pub detector: u64,
    /// Number of WARNs.
    pub count: u64,
    /// Stack id of the first; 0 if none was taken.
    pub stack: u64,
    /// When it warned.
    pub seen: Spans,
}

#[derive(Debug, Default)]
pub(crate) struct Warnings {
    pub places: FxHashMap<u64, KernelWarn>,
    pub last: u64,
}

impl Warnings {
    pub(crate) fn warned(&mut self, warn: &Warn) {
        let Warn { header, address, detector, stack } = *warn;
        let full = self.places.len() >= MOST_PLACES && !self.places.contains_key(&address);
        let address = if full { self.last } else { address };
        self.last = address;
        let fresh = || KernelWarn { address, detector, count: 0, stack, seen: Spans::default() };
        let place = self.places.entry(address).or_insert_with(fresh);
        place.count += 1;
        place.seen.add(header.time);
    }

    /// Number of WARNs so far.
    pub(crate) fn count(&self) -> u64 {
        total(self.places.values().map(|place| place.count))
    }

    /// All places, sorted by address.
    pub(crate) fn list(&self) -> Vec<KernelWarn> {
        let mut list: Vec<KernelWarn> = self.places.values().cloned().collect();
        list.sort_unstable_by_key(|place| place.address);
        list
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
