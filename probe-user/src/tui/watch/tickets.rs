//! Tickets, refusals and flushes of a filesystem: what explains a stall.
use std::collections::VecDeque;

use probe_ledger::Ledger;
use probe_record::record::Record;

use crate::format::reserve_flush;
use crate::tui::picture::{RecordLine, TicketLine, TicketOutcome};

/// Lines that are kept.
const MOST: usize = 200;

/// A line without names.
#[derive(Clone, Copy, Debug)]
struct Line {
    time: u64,
    tid: u32,
    outcome: TicketOutcome,
    space: u64,
    bytes: u64,
    flush: &'static str,
    waited: Option<u64>,
    reason: [u8; 24],
}

/// The last lines, and how many flushes there were.
#[derive(Debug, Default)]
pub struct Tickets {
    lines: VecDeque<Line>,
    /// Flushes begun.
    pub flushes: u64,
    /// Times that all waiting tickets were failed.
    pub all_failed: u64,
}

impl Tickets {
    /// A record of this kind.
    pub fn apply(&mut self, record: &Record) {
        let header = record.header();
        let mut line = Line {
            time: header.time,
            tid: header.tid,
            outcome: TicketOutcome::Flush,
            space: 0,
            bytes: 0,
            flush: "",
            waited: None,
            reason: [0; 24],
        };
        match record {
            Record::Ticket(body) => {
                line.outcome = match body.error {
                    0 => TicketOutcome::Granted,
                    error => TicketOutcome::Failed(error.saturating_neg()),
                };
                (line.space, line.bytes, line.flush) =
                    (body.space_flags, body.bytes, reserve_flush(body.flush));
                // The ticket's start may be of another or a coarser clock. A wait that makes no sense counts as not known.
                let ended = if body.ended != 0 { body.ended } else { header.time };
                line.waited = ended.checked_sub(body.start).filter(|_| body.start != 0);
            }
            Record::Enospc(body) => {
                line.outcome = TicketOutcome::Enospc;
                (line.space, line.bytes) = (body.space_flags, body.bytes);
            }
            Record::Flush(body) => {
                if body.flush < 0 {
                    line.outcome = TicketOutcome::AllFailed;
                    self.all_failed += 1;
                } else {
                    self.flushes += 1;
                }
                (line.space, line.bytes, line.flush) =
                    (body.space_flags, body.bytes, reserve_flush(body.flush));
                line.reason = body.reason;
            }
            _ => return,
        }
        if self.lines.len() >= MOST {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }

    /// The lines with names, newest first. `since_start` makes times of the session of the stream's.
    #[must_use]
    pub fn lines(&self, ledger: &Ledger, since_start: &dyn Fn(u64) -> u64) -> Vec<TicketLine> {
        let named = |line: &Line| {
            let end = line.reason.iter().position(|byte| *byte == 0).unwrap_or(line.reason.len());
            TicketLine {
                at: RecordLine {
                    time_ns: since_start(line.time),
                    tid: line.tid,
                    comm: ledger.task(line.tid).map(|task| task.comm).unwrap_or_default(),
                    text: String::from_utf8_lossy(line.reason.get(..end).unwrap_or_default()).into_owned(),
                },
                outcome: line.outcome,
                space: line.space,
                bytes: line.bytes,
                flush: line.flush,
                waited_ns: line.waited,
            }
        };
        self.lines.iter().rev().map(named).collect()
    }
}
