//! A page of the kernel's ring buffer: `struct buffer_data_page` and `struct ring_buffer_event` of kernel/trace/ring_buffer.c.
use std::ops::Range;

use super::bytes::Order;

/// Where things are in a page, as its `header_page` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageLayout {
    /// Offset of `commit`.
    pub commit: usize,
    /// Its bytes: those of a `long`.
    pub long: usize,
    /// Offset of the first entry.
    pub data: usize,
    /// Byte order.
    pub order: Order,
}

/// Events that were lost before a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missed {
    /// None.
    No,
    /// So many; none where the page had no room for the number.
    Events(Option<u64>),
}

/// An event in a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Time by the clock of the trace.
    pub time: u64,
    /// Where its record is.
    pub data: Range<usize>,
}

/// How the reading of a page goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// An event.
    Event(Entry),
    /// The page has no more.
    End,
    /// What follows is no entry.
    Damaged,
}

/// A page that is read from its begin to its end.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    layout: PageLayout,
    at: usize,
    end: usize,
    time: u64,
}

/// `RB_MISSED_EVENTS`
const MISSED: u64 = 1 << 31;
/// `RB_MISSED_STORED`
const STORED: u64 = 1 << 30;
/// What of `commit` is a length.
const LENGTH: u64 = (1 << 27) - 1;
/// An absolute time has 59 bits; the others are those of the time before.
const ABOVE: u64 = 0xf8 << 56;

const PADDING: u64 = 29;
const TIME_EXTEND: u64 = 30;
const TIME_STAMP: u64 = 31;

impl Page {
    /// The head of a page. None if it is no page.
    #[must_use]
    pub fn begin(page: &[u8], layout: PageLayout) -> Option<(Self, Missed)> {
        let time = layout.order.at(page, 0, 8)?;
        let commit = layout.order.at(page, layout.commit, layout.long)?;
        let end = layout.data.checked_add(usize::try_from(commit & LENGTH).ok()?)?;
        if end > page.len() {
            return None;
        }
        let missed = match (commit & MISSED != 0, commit & STORED != 0) {
            (false, _) => Missed::No,
            (true, true) => Missed::Events(layout.order.at(page, end, layout.long)),
            (true, false) => Missed::Events(None),
        };
        Some((Self { layout, at: layout.data, end, time }, missed))
    }

    /// The next event. Each step is at least 4 bytes.
    pub fn next(&mut self, page: &[u8]) -> Next {
        while self.at < self.end {
            match self.step(page) {
                Some(Some(entry)) => return Next::Event(entry),
                Some(None) => {}
                None => {
                    self.at = self.end;
                    return Next::Damaged;
                }
            }
        }
        Next::End
    }

    /// One entry, which may be none of an event. None if it does not fit into the page.
    #[allow(clippy::option_option, reason = "an entry of no event, and no entry, differ")]
    fn step(&mut self, page: &[u8]) -> Option<Option<Entry>> {
        let order = self.layout.order;
        let word = |at: usize| if at < self.end { order.at(page, at, 4) } else { None };
        let head = word(self.at)?;
        let (kind, delta) = if order.big { (head >> 27, head & LENGTH) } else { (head & 0x1f, head >> 5) };
        let body = self.at + 4;
        let (start, length) = match kind {
            PADDING if delta == 0 => {
                // Nothing was written from here on.
                self.at = self.end;
                return Some(None);
            }
            // An event that was discarded; its time counts for the next one.
            PADDING => (body, usize::try_from(word(body)?).ok()?),
            TIME_EXTEND => {
                self.time = self.time.wrapping_add((word(body)? << 27) | delta);
                self.at = body + 4;
                return Some(None);
            }
            TIME_STAMP => {
                self.time = (((word(body)? << 27) | delta) & !ABOVE) | (self.time & ABOVE);
                self.at = body + 4;
                return Some(None);
            }
            0 => {
                let length = usize::try_from(word(body)?).ok()?.checked_sub(4)?;
                (body + 4, length.checked_next_multiple_of(4)?)
            }
            words => (body, usize::try_from(words).ok()? * 4),
        };
        let end = start.checked_add(length).filter(|end| *end <= self.end)?;
        self.time = self.time.wrapping_add(delta);
        self.at = end;
        Some((kind != PADDING).then_some(Entry { time: self.time, data: start..end }))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    const LAYOUT: PageLayout = PageLayout { commit: 8, long: 8, data: 16, order: Order { big: false } };

    /// A page at time 100 with these words in it.
    fn page(flags: u64, words: &[u32], behind: &[u8]) -> Vec<u8> {
        let mut page = 100_u64.to_le_bytes().to_vec();
        page.extend_from_slice(&(flags | (words.len() as u64 * 4)).to_le_bytes());
        page.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        page.extend_from_slice(behind);
        page
    }

    const fn head(kind: u32, delta: u32) -> u32 {
        (delta << 5) | kind
    }

    fn times(bytes: &[u8]) -> (Vec<(u64, usize)>, bool) {
        let (mut page, _) = Page::begin(bytes, LAYOUT).unwrap();
        let mut found = Vec::new();
        loop {
            match page.next(bytes) {
                Next::Event(entry) => found.push((entry.time, entry.data.len())),
                Next::End => return (found, false),
                Next::Damaged => return (found, true),
            }
        }
    }

    #[test]
    fn entries_of_each_kind() {
        let bytes = page(
            0,
            &[
                head(1, 5),
                0, // 4 bytes at 105
                head(29, 7),
                4, // discarded, its time counts
                head(30, 3),
                1, // 2^27 + 3 later
                head(0, 1),
                9,
                0,
                0, // 5 bytes, padded to 8
                head(31, 9),
                2, // 2^28 + 9
                head(2, 1),
                0,
                0,
                head(29, 0),
                77,
            ],
            &[],
        );
        let long = (1_u64 << 27) + 3;
        let expected = vec![(105, 4), (105 + 7 + long + 1, 8), ((2 << 27) + 9 + 1, 8)];
        assert_eq!(times(&bytes), (expected, false));
    }

    #[test]
    fn an_absolute_time_keeps_the_highest_bits() {
        let mut bytes = page(0, &[head(31, 9), 2, head(1, 1), 0], &[]);
        bytes[..8].copy_from_slice(&((5_u64 << 59) | 1).to_le_bytes());
        assert_eq!(times(&bytes).0, [((5 << 59) + (2 << 27) + 10, 4)]);
    }

    #[test]
    fn what_does_not_fit_ends_the_page() {
        for words in
            [&[head(3, 1), 0][..], &[head(0, 1), 3], &[head(0, 1)], &[head(29, 1), u32::MAX], &[head(30, 1)]]
        {
            assert_eq!(times(&page(0, words, &[0; 64])), (Vec::new(), true), "{words:?}");
        }
        let short = page(0, &[head(1, 1), 0], &[]);
        assert!(Page::begin(&short[..short.len() - 1], LAYOUT).is_none());
        assert!(Page::begin(&short[..15], LAYOUT).is_none());
    }

    #[test]
    fn missed_events_are_told() {
        let words = [head(1, 1), 0];
        let missed = |flags, behind: &[u8]| Page::begin(&page(flags, &words, behind), LAYOUT).unwrap().1;
        assert_eq!(missed(0, &[]), Missed::No);
        assert_eq!(missed(MISSED, &[1; 8]), Missed::Events(None));
        assert_eq!(missed(MISSED | STORED, &12_u64.to_le_bytes()), Missed::Events(Some(12)));
        assert_eq!(missed(MISSED | STORED, &[]), Missed::Events(None));
    }

    #[test]
    fn a_page_of_a_big_machine() {
        let layout = PageLayout { commit: 8, long: 4, data: 12, order: Order { big: true } };
        let mut bytes = 100_u64.to_be_bytes().to_vec();
        bytes.extend_from_slice(&8_u32.to_be_bytes());
        bytes.extend_from_slice(&((1_u32 << 27) | 5).to_be_bytes());
        bytes.extend_from_slice(&[0; 4]);
        let (mut page, _) = Page::begin(&bytes, layout).unwrap();
        assert_eq!(page.next(&bytes), Next::Event(Entry { time: 105, data: 16..20 }));
    }
}
