//! What a session has followed. If nothing happened to what was asked for, nothing was judged, and the verdict is not clean.
//!
//! It depends on the stream and on the session's header and end alone, so a replay gives the same answer as the live
//! session.
use std::{collections::BTreeMap, fmt::Write as _};

use probe_common::{call::CALL_INODE, fs::LEVELS_AUDIT, inode::MOMENT_AUDIT};
use probe_record::{
    record::Record,
    session::{FsPlace, ONLY_FILESYSTEMS, SessionEnd, SessionHeader},
};
use rustc_hash::FxHashMap;

use crate::{format::escape::escape, kernel::fsid::Fsid};

/// Name of the session option for `--inode`.
pub(super) const INODE: &str = "inode";
/// Name of the session option for `--subvol`.
pub(super) const SUBVOL: &str = "subvol";
/// Separates one `--fs` from the next in the option [`ONLY_FILESYSTEMS`].
pub(super) const NEXT: char = ',';
/// Separates the filesystems that one `--fs` may mean; an `--fs` that means none is stored as typed.
pub(super) const OR: char = '|';
/// Most filesystems that a sentence names.
const NAMED: usize = 4;
/// Most filesystems that are remembered for such sentences.
const REMEMBERED: usize = 16;

/// One `--fs`.
#[derive(Debug, Default)]
struct Wanted {
    /// What to call it.
    name: String,
    /// The filesystems that it may mean.
    any: Vec<Fsid>,
    /// The first of them that was seen.
    met: Option<Fsid>,
    /// Something happened on one of them.
    judged: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Followed {
    wanted: Vec<Wanted>,
    inode: Option<u64>,
    subvol: Option<u64>,
    /// For each living filesystem, which of `wanted` mean it, as bits.
    meant: FxHashMap<u32, u32>,
    /// Filesystems that were seen, the first ones.
    seen: Vec<Fsid>,
    /// Something happened on some filesystem.
    any: bool,
    /// Something happened to an inode that `inode` and `subvol` mean.
    matched: bool,
    /// The filesystem of the last record that counts.
    last: u32,
}

impl Followed {
    /// Starts empty, with the filters of this session.
    #[must_use]
    pub fn new(header: &SessionHeader) -> Self {
        let number = |name| header.options.get(name).and_then(|typed| typed.parse().ok());
        let filters = header.options.get(ONLY_FILESYSTEMS).map(String::as_str).unwrap_or_default();
        let wanted = |filter: &str| Wanted {
            name: filter.split(OR).next().unwrap_or_default().to_owned(),
            any: filter.split(OR).filter_map(|uuid| uuid.parse().ok()).collect(),
            ..Wanted::default()
        };
        Self {
            wanted: filters.split(NEXT).filter(|filter| !filter.is_empty()).take(32).map(wanted).collect(),
            inode: number(INODE),
            subvol: number(SUBVOL),
            ..Self::default()
        }
    }

    /// The next record of the stream.
    #[inline]
    pub fn note(&mut self, record: &Record) {
        match record {
            Record::FsSeen(seen) => self.seen(seen.header.fs, Fsid(seen.fsid)),
            Record::FsEnd(end) => drop(self.meant.remove(&end.header.fs)),
            _ if happens(record) => self.happened(record),
            _ => {}
        }
    }

    fn seen(&mut self, fs: u32, fsid: Fsid) {
        if self.seen.len() < REMEMBERED && !self.seen.contains(&fsid) {
            self.seen.push(fsid);
        }
        for (bit, wanted) in self.wanted.iter_mut().enumerate() {
            if wanted.any.contains(&fsid) {
                wanted.met.get_or_insert(fsid);
                *self.meant.entry(fs).or_default() |= 1 << bit;
            }
        }
        // It may have come after the first of what happened.
        self.last = 0;
    }

    #[inline]
    fn happened(&mut self, record: &Record) {
        let fs = record.header().fs;
        if fs != self.last {
            self.last = fs;
            self.any = true;
            let bits = self.meant.get(&fs).copied().unwrap_or(0);
            for (bit, wanted) in self.wanted.iter_mut().enumerate() {
                wanted.judged |= bits >> bit & 1 != 0;
            }
        }
        if !self.matched && (self.inode.is_some() || self.subvol.is_some()) {
            self.matched = inode(record).is_some_and(|(root, ino)| {
                self.inode.is_none_or(|wanted| wanted == ino)
                    && self.subvol.is_none_or(|wanted| wanted == root)
            });
        }
    }

    /// Why nothing was judged, one sentence for each filter that matched nothing; empty if all matched something.
    #[must_use]
    pub fn doubts(&self, header: &SessionHeader, end: Option<&SessionEnd>) -> Vec<String> {
        let places = self.places(header, end);
        let mut doubts = Vec::new();
        for wanted in self.wanted.iter().filter(|wanted| !wanted.judged) {
            let Wanted { name, any, .. } = wanted;
            doubts.push(match any.iter().find_map(|fsid| Some((fsid, places.get(fsid)?))) {
                Some((fsid, mount)) => {
                    let mounted =
                        if mount.is_empty() { String::new() } else { format!(" (mounted on {mount})") };
                    format!(
                        "Nothing happened on --fs {fsid}{mounted} while we watched, so nothing was judged: let something write \
                         to it."
                    )
                }
                None if places.is_empty() => format!(
                    "No filesystem matched --fs {}: no btrfs was mounted while we watched; mount it before the session ends.",
                    escape(name)
                ),
                None => format!(
                    "No filesystem matched --fs {}: it was not mounted while we watched; mount it, or name one that was ({}).",
                    escape(name),
                    list(&places)
                ),
            });
        }
        if self.wanted.is_empty() && !self.any {
            doubts.push(if places.is_empty() {
                "No btrfs was mounted while we watched: mount one before the session ends.".to_owned()
            } else {
                format!(
                    "Nothing happened on any btrfs while we watched, so nothing was judged: let something write to one ({}).",
                    list(&places)
                )
            });
        }
        if doubts.is_empty() && !self.matched {
            doubts.extend(self.without_inode());
        }
        doubts
    }

    fn without_inode(&self) -> Option<String> {
        let inode = self.inode.map(|number| format!(" --inode {number}")).unwrap_or_default();
        let subvol = self.subvol.map(|number| format!(" --subvol {number}")).unwrap_or_default();
        let advice = match (self.inode, self.subvol) {
            (None, None) => return None,
            (None, Some(_)) => "a subvolume",
            (Some(_), None) => "an inode",
            (Some(_), Some(_)) => "an inode and its subvolume",
        };
        Some(format!(
            "No reservation matched{inode}{subvol} while we watched: name {advice} that something writes to."
        ))
    }

    /// All filesystems that were there, with a mount point, or nothing where none is known.
    fn places(&self, header: &SessionHeader, end: Option<&SessionEnd>) -> BTreeMap<Fsid, String> {
        let mut places: BTreeMap<Fsid, String> =
            self.seen.iter().map(|fsid| (*fsid, String::new())).collect();
        for place in header.filesystems.iter().chain(end.into_iter().flat_map(|end| &end.filesystems)) {
            let FsPlace { uuid, mounts, .. } = place;
            if let Ok(fsid) = uuid.parse() {
                let mount: &mut String = places.entry(fsid).or_default();
                if let (true, Some(first)) = (mount.is_empty(), mounts.first()) {
                    *mount = escape(first);
                }
            }
        }
        for fsid in self.wanted.iter().filter_map(|wanted| wanted.met) {
            places.entry(fsid).or_default();
        }
        places
    }
}

fn list(places: &BTreeMap<Fsid, String>) -> String {
    let (mounted, other): (Vec<_>, Vec<_>) = places.iter().partition(|(_, mount)| !mount.is_empty());
    let named = mounted.iter().chain(&other).take(NAMED).map(|(fsid, mount)| match mount.as_str() {
        "" => fsid.to_string(),
        mount => format!("{fsid} on {mount}"),
    });
    let mut text = named.collect::<Vec<_>>().join("; ");
    if places.len() > NAMED {
        let _ = write!(text, "; and {} more", places.len() - NAMED);
    }
    text
}

/// True if the record shows that something was reserved, released or held to account; false for records that the tool
/// itself asked for.
#[inline]
const fn happens(record: &Record) -> bool {
    match record {
        Record::Delalloc(_)
        | Record::Mod(_)
        | Record::Block(_)
        | Record::Claim(_)
        | Record::Enospc(_)
        | Record::Ticket(_)
        | Record::Bmu(_)
        | Record::Chain(_)
        | Record::Call(_) => true,
        Record::InodeState(state) => state.moment != MOMENT_AUDIT,
        Record::Levels(levels) => levels.why != LEVELS_AUDIT,
        Record::FsSeen(_)
        | Record::FsEnd(_)
        | Record::TaskSeen(_)
        | Record::Stack(_)
        | Record::Name(_)
        | Record::Warn(_)
        | Record::LogLine(_)
        | Record::Flush(_)
        | Record::TicketStep(_)
        | Record::TestSign(_)
        | Record::LossSample(_)
        | Record::SysfsLevels(_)
        | Record::AuditMark(_)
        | Record::Marker(_)
        | Record::TestNote(_)
        | Record::QgroupLevel(_)
        | Record::Returned(_)
        | Record::Waiting(_)
        | Record::ThreadFound(_)
        | Record::FlushState(_)
        | Record::ThreadStack(_)
        | Record::WaitRound(_)
        | Record::FailureState(_)
        | Record::FailureDevices(_)
        | Record::QgroupRefusal(_)
        | Record::Extent(_)
        | Record::PinnedLeft(_)
        | Record::Draw(_) => false,
    }
}

/// Subvolume and number of the inode that a record is of.
const fn inode(record: &Record) -> Option<(u64, u64)> {
    match record {
        Record::Delalloc(body) => Some((body.root, body.ino)),
        Record::Mod(body) => Some((body.root, body.ino)),
        Record::InodeState(body) => Some((body.root, body.ino)),
        Record::Call(body) if body.flags & CALL_INODE != 0 => Some((body.root, body.ino)),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
