//! Who draws on what. Left out where nothing moved but what is as ever: the section begins with draws on the global reserve in place of
//! another one, steals and hints; the whole matrix needs `-v`.
use super::{
    super::model::{DrawMove, Draws, Filesystem, GlobalDraws},
    Detail,
    paper::Paper,
    table::{self, left, right},
};
use crate::format::{self, escape::escape};

/// Rows unless all is asked for.
const MOST: usize = 5;

pub(super) fn render(paper: &mut Paper, fs: &Filesystem, detail: Detail) {
    let Some(draws) = &fs.draws else { return };
    global(paper, draws, detail);
    if detail == Detail::Full {
        matrix(paper, draws);
        balance(paper, draws);
    }
    hints(paper, draws);
}

/// What the global reserve is not there for; all with `-v`.
fn global(paper: &mut Paper, draws: &Draws, detail: Detail) {
    let full = detail == Detail::Full;
    let shown: Vec<&GlobalDraws> = draws.global.iter().filter(|draw| full || draw.kind != "use").collect();
    if shown.is_empty() {
        return;
    }
    paper.blank();
    let lowest = draws.global_lowest.map_or(String::new(), |lowest| {
        format!("; at its lowest it held {} of {}", amount(lowest.reserved), amount(lowest.size))
    });
    paper.paragraph("   ", &format!("The global reserve was drawn on{lowest}:"));
    let most = if full { usize::MAX } else { MOST };
    let rows: Vec<Vec<String>> = shown.iter().take(most).map(|draw| draw_row(draw)).collect();
    let columns = [right("bytes"), right("draws"), left("how"), left("tree"), left("task"), left("in")];
    table::render(paper, &columns, &rows);
    let more = shown.len().saturating_sub(most);
    if more > 0 {
        paper.item(&format!("and {more} more; -v shows them"));
    }
    if draws.global_left_out.count > 0 {
        let left = draws.global_left_out;
        paper.item(&format!(
            "{} draws of {} were only counted",
            format::count(left.count),
            amount(left.bytes)
        ));
    }
}

fn draw_row(draw: &GlobalDraws) -> Vec<String> {
    let others = draw.tasks.len().saturating_sub(1) as u64 + u64::from(draw.other_tasks.count > 0);
    let more = if others > 0 { " and others" } else { "" };
    let task = draw
        .tasks
        .first()
        .map_or_else(|| "-".to_owned(), |by| format!("{} ({}){more}", escape(&by.task.comm), by.task.tid));
    vec![
        amount(draw.bytes),
        format::count(draw.count),
        draw.kind.clone(),
        draw.root.map_or_else(|| "-".to_owned(), format::root),
        task,
        format::pays(&draw.stack.iter().filter_map(|frame| frame.symbol.as_deref()).collect::<Vec<_>>()),
    ]
}

fn matrix(paper: &mut Paper, draws: &Draws) {
    if draws.moves.is_empty() {
        return;
    }
    paper.blank();
    let rows: Vec<Vec<String>> = draws.moves.iter().map(row).collect();
    let columns = [right("bytes"), right("moves"), left("from > to: why"), left("most by")];
    table::render(paper, &columns, &rows);
    if draws.unknown_releases.count > 0 {
        let left = draws.unknown_releases;
        paper.paragraph(
            "  ",
            &format!(
                "{} of {}: where the bytes went is not visible.",
                format::counted(left.count, "release"),
                amount(left.bytes)
            ),
        );
    }
}

fn row(of: &DrawMove) -> Vec<String> {
    let why = match &of.instead_of {
        Some(reserve) => format!("{} for {reserve}", of.kind),
        None => of.kind.clone(),
    };
    let by = of.callers.first().and_then(|by| by.caller.clone()).unwrap_or_default();
    let what = if of.to == "tree_blocks" {
        format!("{}: {why}", of.from)
    } else {
        format!("{} > {}: {why}", of.from, of.to)
    };
    vec![amount(of.bytes), format::count(of.count), what, by]
}

fn balance(paper: &mut Paper, draws: &Draws) {
    let moved =
        draws.reserves.iter().filter(|row| row.came | row.went | row.not_attributed.unsigned_abs() != 0);
    let rows: Vec<Vec<String>> = moved
        .map(|row| {
            vec![
                row.reserve.clone(),
                amount(row.first),
                amount(row.came),
                amount(row.went),
                format::bytes(row.not_attributed, ""),
                amount(row.last),
            ]
        })
        .collect();
    if rows.is_empty() {
        return;
    }
    paper.blank();
    let columns = [
        left("reserve"),
        right("first"),
        right("+ came"),
        right("- went"),
        right("+ not attributed"),
        right("= last"),
    ];
    table::render(paper, &columns, &rows);
}

fn hints(paper: &mut Paper, draws: &Draws) {
    for growth in &draws.idle_growth {
        paper.blank();
        let text = format!(
            "hint: bytes_may_use of {} grew by {} in {} in which no task reserved anything, and never fell.",
            growth.space_info,
            amount(growth.bytes),
            format::counted(growth.intervals, "interval")
        );
        paper.paragraph("   ", &text);
    }
}

fn amount(bytes: u64) -> String {
    format::bytes(i64::try_from(bytes).unwrap_or(i64::MAX), "")
}
