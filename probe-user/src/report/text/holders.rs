//! Who holds the pools of a filesystem: for each space_info rows that add up to its `bytes_may_use`.
use super::{
    super::model::{DirtyData, Filesystem, SpaceHolders},
    paper::{Paper, Tone},
    table::{self, left, right},
};
use crate::format;

/// `ended_ns`: length of the session.
pub(super) fn render(paper: &mut Paper, fs: &Filesystem, ended_ns: u64) {
    let Some(holders) = &fs.holders else { return };
    let held: Vec<_> = holders.spaces.iter().filter(|(_, space)| !space.is_empty()).collect();
    if held.is_empty() {
        return;
    }
    for (name, space) in held {
        paper.blank();
        one(paper, name, space, holders.dirty_data);
    }
    let age = format::length(ended_ns.saturating_sub(holders.time_ns));
    let note = paper.tone(Tone::Faint, &format!("holders: all read {age} before the session ended"));
    paper.line(&format!("  {note}"));
}

fn one(paper: &mut Paper, name: &str, space: &SpaceHolders, dirty: DirtyData) {
    let row = |bytes: i64, who: String| vec![format::exact(bytes), who];
    let holders = space.holders.iter().map(|holder| row(holder.bytes, holder.words()));
    let rest = row(space.not_attributed, space.rest_words(name, dirty));
    let sum = row(space.bytes_may_use, format!("all: space.{name}.bytes_may_use"));
    let rows: Vec<Vec<String>> = holders.chain([rest, sum]).collect();
    table::render(paper, &[right("bytes"), left("who holds it")], &rows);
}
