//! Complaints of btrfs about reservations in the kernel's log: which filesystem they mean.
//!
//! A line names a device and no account, so it is not a finding. But if no finding on the same filesystem and the same kind
//! of account explains it, the kernel saw what the books did not, and `clean` would be wrong.

use probe_common::failure::LogLine;
use rustc_hash::FxHashMap;

use super::{
    held_back::HeldBack,
    log_line::{Complaint, Line, complaint, parse, shape},
    qgroup_line::{self, HeldByQgroups},
};
use crate::{
    book::{filesystem::Fs, filesystems::Filesystems},
    vocabulary::{spans::Spans, words::text},
};

/// Most complaints kept apart; more are only counted.
const MOST: usize = 1024;

/// Complaints of the same shape about the same filesystem.
#[derive(Debug)]
pub(crate) struct Entry {
    pub complaint: Complaint,
    /// Text of the first complaint.
    pub text: String,
    pub device: Option<String>,
    /// Filesystems that it may mean; empty if none on this device was known by then.
    pub fs: Vec<u32>,
    /// The line shows that the filesystem had an error by then.
    pub after_error: bool,
    pub tid: u32,
    pub time: u64,
    pub seen: Spans,
}

pub(crate) type Key = (Vec<u32>, Option<String>, String, bool);

#[derive(Debug, Default)]
pub(crate) struct Printed {
    pub entries: Vec<Entry>,
    pub index: FxHashMap<Key, usize>,
    pub held_back: HeldBack,
    pub held_by_qgroups: HeldByQgroups,
    pub beyond: u64,
}

impl Printed {
    pub(crate) fn line(&mut self, record: &LogLine, filesystems: &Filesystems) {
        let line = text(&record.text);
        let header = &record.header;
        let said = match parse(&line) {
            None => return,
            Some(Line::HeldBack(count)) => return self.held_back.told(header.tid, count),
            Some(Line::Said(said)) => said,
        };
        self.held_back.said(header.tid, header.time, said.level);
        let Some(complaint) = complaint(said.text) else { return };
        let fs = said.device.map(|device| on_device(filesystems, device)).unwrap_or_default();
        if !said.after_error && !fs.is_empty() {
            for held in qgroup_line::parse(said.text) {
                let (time, tid) = (header.time, header.tid);
                self.held_by_qgroups.note(qgroup_line::Printed { held, fs: fs.clone(), time, tid });
            }
        }
        let device = said.device.map(str::to_owned);
        let key = (fs, device, shape(said.text), said.after_error);
        let at = match self.index.get(&key) {
            Some(at) => *at,
            None if self.entries.len() >= MOST => {
                self.beyond = self.beyond.saturating_add(1);
                return;
            }
            None => {
                self.entries.push(Entry {
                    complaint,
                    text: said.text.to_owned(),
                    device: key.1.clone(),
                    fs: key.0.clone(),
                    after_error: said.after_error,
                    tid: header.tid,
                    time: header.time,
                    seen: Spans::default(),
                });
                self.index.insert(key, self.entries.len() - 1);
                self.entries.len() - 1
            }
        };
        if let Some(entry) = self.entries.get_mut(at) {
            entry.seen.add(header.time);
        }
    }

    /// Suppressed lines that may have been complaints, plus complaints that were only counted. Never decreases.
    pub(crate) fn unread(&self) -> u64 {
        self.held_back.settled().saturating_add(self.beyond)
    }

    /// Filesystems that complaints name.
    pub(crate) fn filesystems(&self) -> impl Iterator<Item = u32> + '_ {
        self.entries.iter().flat_map(|entry| entry.fs.iter().copied())
    }
}

/// Filesystems that a device name can mean: the mounted ones on this device. If there is none: the last one that was mounted
/// there, and those whose device is not known yet.
pub(crate) fn on_device(filesystems: &Filesystems, device: &str) -> Vec<u32> {
    let ids = |wanted: &dyn Fn(&Fs) -> bool| -> Vec<u32> {
        filesystems.iter().filter(|fs| wanted(fs)).map(|fs| fs.id).collect()
    };
    let alive = ids(&|fs| !fs.ended && fs.device == device);
    if !alive.is_empty() {
        return alive;
    }
    let last = ids(&|fs| fs.ended && fs.device == device).pop();
    last.into_iter().chain(ids(&|fs| !fs.ended && fs.device.is_empty())).collect()
}
