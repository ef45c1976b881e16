//! All of the trace, line by line.
use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use super::{
    event::{self, Event},
    filesystem::{Filesystem, Named},
    line::{self, Line, Remark},
    model::{Lost, TracePlace, Warning},
};
use crate::format::uuid;

/// Most filesystems that are followed.
const MAX_FILESYSTEMS: usize = 64;
/// Most names of events that are counted.
const MAX_EVENTS: usize = 256;
/// Most tasks that are counted.
const MAX_TASKS: usize = 1 << 14;
/// Most WARNs that are listed.
const MAX_WARNINGS: usize = 8;
/// Letters kept of a WARN.
const WARNING: usize = 200;

/// What the lines so far say.
#[derive(Debug, Default)]
pub struct Seen {
    /// Lines.
    pub lines: u64,
    /// Events of btrfs.
    pub events: u64,
    /// Events whose fields do not fit.
    pub not_understood: u64,
    /// Events that found no room.
    pub not_followed: u64,
    /// Time of the first and of the last event.
    pub span: Option<(u64, u64)>,
    /// What is missing.
    pub lost: Lost,
    /// Line of the last remark that a processor's events begin.
    pub last_begin: u64,
    /// By event.
    pub by_event: Named<u64>,
    /// Name and events by thread.
    pub tasks: FxHashMap<u32, (Box<str>, u64)>,
    /// WARNs.
    pub warnings: Vec<Warning>,
    /// By UUID.
    pub filesystems: BTreeMap<[u8; 16], Filesystem>,
}

impl Seen {
    /// Takes a line without its end.
    pub fn line(&mut self, text: &str) {
        self.other();
        if let Some(remark) = line::remark(text) {
            return self.remark(remark);
        }
        if text.contains("WARNING:") && text.contains("btrfs") {
            self.warning(text);
        }
        if let Some(line) = line::event_line(text) {
            self.event(&line);
        }
    }

    /// Takes an event that was none of a text.
    pub fn event_of(&mut self, line: &Line<'_>) {
        self.other();
        if line.fields.contains("WARNING:") && line.fields.contains("btrfs") {
            self.warning(&format!(
                "{}-{} [{:03}] {}: {}",
                line.comm, line.tid, line.cpu, line.event, line.fields
            ));
        }
        self.event(line);
    }

    /// Takes what is neither an event of btrfs nor says anything.
    pub const fn other(&mut self) {
        self.lines = self.lines.saturating_add(1);
    }

    fn warning(&mut self, text: &str) {
        if self.warnings.len() < MAX_WARNINGS {
            let text = text.trim().chars().take(WARNING).collect();
            self.warnings.push(Warning { line: self.lines, text });
        }
    }

    fn remark(&mut self, remark: Remark) {
        let lost = &mut self.lost;
        match remark {
            Remark::Lost(Some(events)) => lost.events = lost.events.saturating_add(events),
            Remark::Lost(None) => lost.places_without_number += 1,
            Remark::Entries(kept, written) => {
                lost.overwritten = lost.overwritten.saturating_add(written.saturating_sub(kept));
            }
            Remark::Begins => self.last_begin = self.lines,
        }
    }

    fn event(&mut self, line: &Line<'_>) {
        let Some((fsid, event)) = event::read(line.event, line.fields) else {
            // Other systems' events may be in the trace too.
            if is_known(line.event) {
                self.not_understood += 1;
            }
            return;
        };
        // Begins with a UUID, and so may other things.
        if event == Event::Other && !line.event.contains("btrfs") && !line.event.contains("qgroup") {
            return;
        }
        self.events += 1;
        if self.by_event.len() < MAX_EVENTS || self.by_event.contains_key(line.event) {
            *self.by_event.entry(line.event.into()).or_default() += 1;
        }
        self.task(line);
        if let Some(time) = line.time {
            let (first, last) = self.span.unwrap_or((time, time));
            self.span = Some((first.min(time), last.max(time)));
        }
        if self.filesystems.len() >= MAX_FILESYSTEMS && !self.filesystems.contains_key(&fsid) {
            self.not_followed += 1;
            return;
        }
        let number = self.lines;
        let place =
            || TracePlace { line: number, time_ns: line.time, comm: line.comm.to_owned(), tid: line.tid };
        self.filesystems.entry(fsid).or_default().take(event, &uuid(&fsid), line.time, &place);
    }

    fn task(&mut self, line: &Line<'_>) {
        if self.tasks.len() >= MAX_TASKS && !self.tasks.contains_key(&line.tid) {
            return;
        }
        let (comm, events) = self.tasks.entry(line.tid).or_insert_with(|| (line.comm.into(), 0));
        // A name that was not known yet is shown as `<...>`.
        if &**comm == "<...>" {
            *comm = line.comm.into();
        }
        *events += 1;
    }
}

/// An event whose fields are read.
fn is_known(event: &str) -> bool {
    event.starts_with("update_bytes_") || event.starts_with("qgroup_") || event.starts_with("btrfs_")
}
