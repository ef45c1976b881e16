//! Who draws on what. Left out where nothing moved but what is as ever: the section begins with draws on the global reserve in place of
//! another one, steals and hints; the whole matrix needs `-v`.
use super::{
    super::{
        drawn::{self, amount},
        model::{DrawMove, Draws, Filesystem, GlobalDraws},
    },
    Detail,
    paper::Paper,
    table::{self, left, right},
};
use crate::format;

/// Rows unless all is asked for.
const MOST: usize = 5;

pub(super) fn render(paper: &mut Paper, fs: &Filesystem, detail: Detail) {
    let Some(draws) = &fs.draws else { return };
    global(paper, draws, detail);
    if detail >= Detail::Full {
        matrix(paper, draws);
        balance(paper, draws);
    }
    hints(paper, draws);
}

/// What the global reserve is not there for; all with `-v`.
fn global(paper: &mut Paper, draws: &Draws, detail: Detail) {
    let full = detail >= Detail::Full;
    let shown: Vec<&GlobalDraws> = draws.global.iter().filter(|draw| full || draw.kind != "use").collect();
    if shown.is_empty() {
        return;
    }
    paper.blank();
    paper.paragraph("   ", &format!("{}:", drawn::lowest(draws)));
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
    vec![
        amount(draw.bytes),
        format::count(draw.count),
        draw.kind.clone(),
        draw.root.map_or_else(|| "-".to_owned(), format::root),
        drawn::who(draw),
        drawn::place(draw),
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
        paper.paragraph("  ", &drawn::unknown(draws.unknown_releases));
    }
}

fn row(of: &DrawMove) -> Vec<String> {
    vec![amount(of.bytes), format::count(of.count), drawn::what(of), drawn::most_by(of)]
}

fn balance(paper: &mut Paper, draws: &Draws) {
    let moved = draws.reserves.iter().filter(|row| drawn::moved(row));
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
        let text = drawn::hint(growth);
        paper.paragraph("   ", &text);
    }
}
