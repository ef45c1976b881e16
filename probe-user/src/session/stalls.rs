//! Stalls as they come: one line when a reservation has waited as long as `--stall` says, one when it is over.
use std::collections::{BTreeMap, BTreeSet};

use probe_ledger::{EndedWait, FsWaits, WaitingTicket};
use probe_record::session::SessionHeader;

use super::{books::Books, facts};
use crate::{
    format,
    report::{
        build::{Policy, WaitNames},
        ndjson::{StallEndLine, StallLine, StreamLine},
        text,
    },
};

/// Stalls of a filesystem that are remembered: more than wait at a time.
const MOST: usize = 512;

/// Stalls of a session that were told and are not over.
#[derive(Debug, Default)]
pub struct Stalls {
    /// By filesystem: address of the ticket, and when it was first seen.
    open: BTreeMap<u32, BTreeSet<(u64, u64)>>,
}

fn key(ticket: &WaitingTicket) -> (u64, u64) {
    (ticket.ticket, ticket.seen.0)
}

impl Stalls {
    /// What is new.
    pub fn news(&mut self, books: &Books, header: &SessionHeader, policy: &Policy) -> Vec<StreamLine> {
        let mut filesystems: BTreeSet<u32> = self.open.keys().copied().collect();
        filesystems.extend(books.ledger.waiting());
        if filesystems.is_empty() {
            return Vec::new();
        }
        let started = facts::started(header, books.ledger.span().0);
        let names = WaitNames { flush_states: &header.flush_states, started, stall_ns: policy.stall_ns };
        let mut news = Vec::new();
        for fs in filesystems {
            let Some((fsid, waits)) = books.ledger.waits(fs) else { continue };
            self.of_filesystem(fs, &format::uuid(&fsid), &waits, &names, &mut news);
        }
        news
    }

    fn of_filesystem(
        &mut self,
        fs: u32,
        uuid: &str,
        waits: &FsWaits,
        names: &WaitNames<'_>,
        news: &mut Vec<StreamLine>,
    ) {
        let open = self.open.entry(fs).or_default();
        let over: Vec<&EndedWait> =
            waits.longest.iter().filter(|wait| open.remove(&key(&wait.ticket))).collect();
        for wait in over {
            let stall = names.stall(wait);
            let line = StallEndLine { time_ns: stall.ended_ns, filesystem: uuid.to_owned(), stall };
            news.push(StreamLine::StallEnd(Box::new(line)));
        }
        if open.len() > MOST {
            open.clear();
        }
        for ticket in waits.waiting.iter().filter(|ticket| ticket.age() >= names.stall_ns) {
            if open.insert(key(ticket)) {
                let line = StallLine {
                    time_ns: waits.walked.saturating_sub(names.started),
                    filesystem: uuid.to_owned(),
                    ticket: names.ticket(ticket),
                    workers: waits.workers.iter().map(|worker| names.worker(worker)).collect(),
                };
                news.push(StreamLine::Stall(Box::new(line)));
            }
        }
        if open.is_empty() {
            self.open.remove(&fs);
        }
    }
}

/// A line on a stall as text, with a newline; empty for other lines.
pub fn words(line: &StreamLine) -> String {
    match line {
        StreamLine::Stall(stall) => {
            let StallLine { time_ns, filesystem, ticket, workers } = stall.as_ref();
            let mut text =
                format!("stall {} on {filesystem}: {}\n", format::about(*time_ns), text::waits_still(ticket));
            for worker in workers {
                text.push_str(&format!("  {}\n", text::works(worker)));
            }
            text
        }
        StreamLine::StallEnd(stall) => {
            let StallEndLine { time_ns, filesystem, stall } = stall.as_ref();
            format!("stall over {} on {filesystem}: {}\n", format::about(*time_ns), text::stalled(stall))
        }
        _ => String::new(),
    }
}
