//! Columns of the tickets below the pools.
use crate::{
    format::{self, escape::escape},
    tui::{
        drawing::{Cell, CellRoom},
        palette::Role,
        picture::{TicketLine, TicketOutcome},
        table::Column,
    },
};

/// The columns.
pub fn ticket_columns() -> [Column<TicketLine>; 7] {
    [
        Column {
            title: "WHEN",
            width: 11,
            most: 14,
            rank: 0,
            right: true,
            cell: |line, _| Cell::text(format::coarse_moment(line.at.time_ns)),
            order: None,
        },
        Column {
            title: "WHAT",
            width: 12,
            most: 20,
            rank: 0,
            right: false,
            cell: |line, _| outcome(line),
            order: None,
        },
        Column {
            title: "SPACE",
            width: 8,
            most: 8,
            rank: 1,
            right: false,
            cell: |line, _| Cell::text(format::space_type(line.space)),
            order: None,
        },
        Column {
            title: "BYTES",
            width: 7,
            most: 9,
            rank: 2,
            right: true,
            cell: |line, _| Cell::text(short(line.bytes)),
            order: None,
        },
        Column {
            title: "WAITED",
            width: 9,
            most: 12,
            rank: 3,
            right: true,
            cell: |line, _| waited(line),
            order: None,
        },
        Column {
            title: "FLUSH",
            width: 10,
            most: 24,
            rank: 4,
            right: false,
            cell: |line, _| Cell::text(line.flush),
            order: None,
        },
        Column { title: "TASK", width: 12, most: 40, rank: 5, right: false, cell: who, order: None },
    ]
}

fn outcome(line: &TicketLine) -> Cell {
    match line.outcome {
        TicketOutcome::Granted => Cell::new("granted", Role::Good),
        TicketOutcome::Failed(28) => Cell::new("failed ENOSPC", Role::Bad),
        TicketOutcome::Failed(4) => Cell::new("failed EINTR", Role::Warn),
        TicketOutcome::Failed(errno) => Cell::new(format!("failed {errno}"), Role::Bad),
        TicketOutcome::Enospc => Cell::new("refused", Role::Warn),
        TicketOutcome::Flush => Cell::new("flush", Role::Key),
        TicketOutcome::AllFailed => Cell::new("all failed", Role::Bad),
    }
}

fn waited(line: &TicketLine) -> Cell {
    match line.waited_ns {
        None => Cell::new("-", Role::Faint),
        Some(ns) => {
            let role = if ns >= 1_000_000_000 { Role::Warn } else { Role::Text };
            Cell::new(format::length(ns), role)
        }
    }
}

fn who(line: &TicketLine, _: &CellRoom) -> Cell {
    let reason =
        if line.at.text.is_empty() { String::new() } else { format!(" ({})", escape(&line.at.text)) };
    Cell::text(format!("{} {}{reason}", escape(&line.at.comm), line.at.tid))
}

fn short(value: u64) -> String {
    format::bytes(i64::try_from(value).unwrap_or(i64::MAX), "")
}
