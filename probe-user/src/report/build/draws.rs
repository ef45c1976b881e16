//! Who draws on what, named.
use probe_ledger::{
    DrawCell, FsDraws, GlobalDraw, IdleGrowth as Growth, MoveKind, Moved as Sum, Mover as By, ReserveRow,
    TaskRef,
};

use super::{ReportInput, findings};
use crate::{
    format::{self, bytes},
    report::model::{
        DrawMove, Draws, Frame, GlobalDraws, GlobalLevel, IdleGrowth, Moved, Mover, ReserveBalance,
        RootMoved, Task, TaskDraws,
    },
};

/// The draws of a filesystem. Public so that they can be shown at any moment.
#[must_use]
pub fn build(input: &ReportInput<'_>, draws: &FsDraws) -> Draws {
    // Destructured, so that a new field of the ledger cannot be forgotten here.
    let FsDraws {
        by_calls,
        cells,
        unknown_releases,
        rows,
        global,
        global_beyond,
        global_lowest,
        idle_growth,
    } = draws;
    Draws {
        source: if *by_calls { "calls" } else { "tracepoints" }.to_owned(),
        moves: cells.iter().map(|cell| one(input, cell)).collect(),
        unknown_releases: sum(*unknown_releases),
        reserves: rows.iter().map(balance).collect(),
        global: global.iter().map(|draw| of_global(input, draw)).collect(),
        global_left_out: sum(*global_beyond),
        global_lowest: global_lowest.map(|(level, time)| GlobalLevel {
            time_ns: input.since_start(time),
            reserved: level.reserved,
            size: level.size,
        }),
        idle_growth: idle_growth.iter().map(growth).collect(),
    }
}

const fn sum(of: Sum) -> Moved {
    let Sum { count, bytes } = of;
    Moved { count, bytes }
}

fn one(input: &ReportInput<'_>, cell: &DrawCell) -> DrawMove {
    let DrawCell { from, to, kind, instead_of, moved, roots, other_roots, movers, other_movers } = cell;
    DrawMove {
        from: from.name().to_owned(),
        to: to.name().to_owned(),
        kind: kind.name().to_owned(),
        instead_of: instead_of.map(|reserve| reserve.name().to_owned()),
        count: moved.count,
        bytes: moved.bytes,
        roots: roots
            .iter()
            .map(|(root, moved)| RootMoved { root: *root as i64, count: moved.count, bytes: moved.bytes })
            .collect(),
        other_roots: sum(*other_roots),
        callers: movers.iter().map(|by| mover(input, by)).collect(),
        other_callers: sum(*other_movers),
    }
}

fn mover(input: &ReportInput<'_>, by: &By) -> Mover {
    let By { caller, stack, moved } = by;
    let stack = findings::frames(input.stacks, stack.id);
    let named = (*caller != 0).then(|| input.stacks.symbolize(*caller)).and_then(|frame| frame.symbol);
    let caller = named.or_else(|| Some(format::pays(&names(&stack))).filter(|name| !name.is_empty()));
    Mover { caller, count: moved.count, bytes: moved.bytes, stack }
}

fn balance(row: &ReserveRow) -> ReserveBalance {
    let ReserveRow { reserve, first, came, went, last, not_attributed } = *row;
    ReserveBalance { reserve: reserve.name().to_owned(), first, came, went, last, not_attributed }
}

fn of_global(input: &ReportInput<'_>, draw: &GlobalDraw) -> GlobalDraws {
    let GlobalDraw { kind, root, stack, moved, since_full, seen: (first, last), tasks, other_tasks } = draw;
    GlobalDraws {
        kind: kind.name().to_owned(),
        root: (*root != 0).then_some(*root as i64),
        count: moved.count,
        bytes: moved.bytes,
        bytes_since_full: since_full.bytes,
        first_seen_ns: input.since_start(*first),
        last_seen_ns: input.since_start(*last),
        tasks: tasks
            .iter()
            .map(|(task, moved)| TaskDraws { task: named(task), count: moved.count, bytes: moved.bytes })
            .collect(),
        other_tasks: sum(*other_tasks),
        stack: findings::frames(input.stacks, stack.id),
    }
}

fn growth(of: &Growth) -> IdleGrowth {
    let Growth { space, intervals, bytes } = *of;
    IdleGrowth { space_info: format::space_type(space).to_owned(), intervals, bytes }
}

/// Functions of a stack, innermost first.
fn names(stack: &[Frame]) -> Vec<&str> {
    stack.iter().filter_map(|frame| frame.symbol.as_deref()).collect()
}

fn named(of: &TaskRef) -> Task {
    Task { pid: (of.pid != 0).then_some(of.pid), tid: of.tid, comm: of.comm.clone() }
}

/// Who drained the global reserve, as a sentence; `None` if no draw was seen.
pub(super) fn drained_by(draws: &[GlobalDraws]) -> Option<String> {
    let who = |draw: &GlobalDraws| {
        let task = draw.tasks.first().map(|by| match by.task.comm.as_str() {
            "" => format!("thread {}", by.task.tid),
            comm => format!("{comm} (thread {})", by.task.tid),
        });
        let task = task.unwrap_or_else(|| "a task that is not known".to_owned());
        let place = match format::pays(&names(&draw.stack)) {
            path if path.is_empty() => path,
            path => format!(" in {path}"),
        };
        let tree = draw.root.map_or(String::new(), |root| format!(" for tree {}", format::root(root)));
        let amount = bytes(i64::try_from(draw.bytes_since_full).unwrap_or(i64::MAX), "iB");
        let own = if draw.kind == MoveKind::Use.name() { ", whose reserve it is" } else { "" };
        format!("{amount} by {task}{place}{tree}{own}")
    };
    let parts: Vec<String> = draws.iter().map(who).collect();
    (!parts.is_empty()).then(|| {
        format!("Since the global reserve was last seen full, it was drawn on most: {}.", parts.join("; "))
    })
}

/// Draws before a failure.
pub(super) fn before(input: &ReportInput<'_>, draws: &[GlobalDraw]) -> Vec<GlobalDraws> {
    draws.iter().map(|draw| of_global(input, draw)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_drained_the_global_reserve_is_one_sentence() {
        let frame = |name: &str| Frame {
            address: String::new(),
            symbol: Some(name.to_owned()),
            offset: None,
            module: None,
        };
        let task = Task { pid: Some(12), tid: 12, comm: "rm".to_owned() };
        let draw = GlobalDraws {
            kind: "fall-back".to_owned(),
            root: Some(5),
            count: 3,
            bytes: 81_920,
            bytes_since_full: 49_152,
            first_seen_ns: 0,
            last_seen_ns: 0,
            tasks: vec![TaskDraws { task, count: 3, bytes: 49_152 }],
            other_tasks: Moved::default(),
            stack: ["btrfs_alloc_tree_block", "btrfs_cow_block", "btrfs_unlink"].map(frame).into(),
        };
        assert_eq!(
            drained_by(std::slice::from_ref(&draw)).unwrap_or_default(),
            "Since the global reserve was last seen full, it was drawn on most: 48 KiB by rm (thread 12) in btrfs_unlink for tree 5."
        );
        assert_eq!(drained_by(&[]), None);
    }
}
