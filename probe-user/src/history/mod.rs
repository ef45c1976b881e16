//! What the books do not keep: how the pools stood over time, and who reserved in all. From the stream alone, so a live session and
//! its replay have the same.
//!
//! Every part has a bound, whatever the stream holds and however long it lasts. Pure.
mod counts;
mod levels;
mod reserving;
mod track;

#[cfg(test)]
mod tests;

pub use self::{
    counts::Counts,
    levels::{FsLevels, Levels, Pool, SpaceTracks},
    reserving::{Reserving, Stacks},
    track::{Point, Track},
};

use probe_common::loss::{LossClass, LossSample};
use probe_record::record::Record;

/// See the module.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    /// Pools by filesystem.
    pub levels: Levels,
    /// Stacks that reserved.
    pub reserving: Reserving,
    /// Losses in the classes that touch the books.
    pub lost: Counts,
    /// How many there were at the last sample.
    lost_so_far: u64,
}

impl History {
    /// The next record.
    #[inline]
    pub fn note(&mut self, record: &Record) {
        match record {
            Record::Delalloc(body) => self.reserving.delalloc(body),
            Record::Claim(body) => self.reserving.claim(body),
            Record::LossSample(body) => self.loss(body),
            _ => self.levels.note(record),
        }
    }

    fn loss(&mut self, sample: &LossSample) {
        let touching =
            LossClass::ALL.into_iter().zip(sample.counts).filter(|(class, _)| class.touches_books());
        let lost = touching.fold(0, |sum: u64, (_, count)| sum.saturating_add(count));
        let more = lost.saturating_sub(self.lost_so_far);
        self.lost_so_far = self.lost_so_far.max(lost);
        if more > 0 {
            self.lost.add(sample.header.time, more);
        }
    }
}
