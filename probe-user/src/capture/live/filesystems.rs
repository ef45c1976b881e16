//! Filesystems of the stream, as far as the capture layer needs them: whom to audit.
use std::collections::BTreeMap;

use probe_common::header::{Header, RecordKind};

use crate::capture::record::Record;

/// One filesystem that lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Live {
    /// Address of the `struct btrfs_fs_info`.
    pub fs_info: u64,
    /// `fs_devices->fsid`
    pub fsid: [u8; 16],
    /// Audits so far.
    pub rounds: u32,
}

/// Kept up to date from the records that pass by.
#[derive(Debug, Default)]
pub struct Filesystems {
    live: BTreeMap<u32, Live>,
    /// Every fsid met, for the session's end.
    pub met: Vec<[u8; 16]>,
}

impl Filesystems {
    /// Looks at one record of the ring; nearly all pass with one comparison.
    #[inline]
    pub fn see(&mut self, header: &Header, bytes: &[u8]) {
        if header.kind == RecordKind::FsSeen as u8 || header.kind == RecordKind::FsEnd as u8 {
            self.learn(bytes);
        }
    }

    fn learn(&mut self, bytes: &[u8]) {
        match Record::decode(bytes) {
            Ok(Record::FsSeen(seen)) => {
                let rounds = self.live.get(&seen.header.fs).map_or(0, |live| live.rounds);
                self.live.insert(seen.header.fs, Live { fs_info: seen.fs_info, fsid: seen.fsid, rounds });
                if !self.met.contains(&seen.fsid) {
                    self.met.push(seen.fsid);
                }
            }
            Ok(Record::FsEnd(end)) => {
                self.live.remove(&end.header.fs);
            }
            _ => {}
        }
    }

    /// Ids of the living, oldest first.
    pub fn ids(&self) -> Vec<u32> {
        self.live.keys().copied().collect()
    }

    /// One of the living.
    pub fn find(&self, fs: u32) -> Option<Live> {
        self.live.get(&fs).copied()
    }

    /// One of the living; counts the round.
    pub fn next_round(&mut self, fs: u32) -> Option<Live> {
        let live = self.live.get_mut(&fs)?;
        live.rounds += 1;
        Some(*live)
    }
}
