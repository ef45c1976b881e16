//! Who draws on which reserve: a part of the page Failures, and a text of its own from the page Pools.
use ratatui::{buffer::Buffer, layout::Rect};

use crate::{
    format::{self, escape::escape},
    report::{
        drawn::{self, amount},
        model::{DrawMove, Draws, GlobalDraws, ReserveBalance},
    },
    tui::{
        columns::draw_columns,
        drawing::{Hits, Piece, put_text, scrolled, title, wrap},
        palette::{Palette, Role},
        picture::FsView,
        table::{self, TableState},
    },
};

/// Said where there is nothing to show.
const NOTHING: &str = "No bytes were seen to move between its reserves so far.";

/// The moves of most bytes, as many as there is room for.
pub fn panel(buffer: &mut Buffer, area: Rect, fs: &FsView, palette: Palette) {
    // A title alone says nothing.
    if area.height < 3 {
        return;
    }
    let draws = fs.draws.as_deref();
    let moves = draws.map_or(&[][..], |draws| &draws.moves);
    let room = usize::from(area.height.saturating_sub(2));
    let hidden = moves.len().saturating_sub(room);
    let more = if hidden > 0 { format!("; {hidden} more: key d") } else { String::new() };
    let head = format!("draws on {}: who moved bytes from which reserve{more}", escape(fs.short()));
    title(buffer, area.x, area.y, area.width, &head, palette);
    let rest = Rect { y: area.y + 1, height: area.height - 1, ..area };
    if moves.is_empty() {
        put_text(buffer, rest.x + 2, rest.y, rest.width - 2, NOTHING, palette, Role::Faint);
        return;
    }
    let rows: Vec<&DrawMove> = moves.iter().collect();
    let state = TableState { focused: false, ..TableState::default() };
    // Only looked at: its rows are not those of the list above.
    table::draw(buffer, rest, &rows, &draw_columns(), &state, palette, &mut Hits::default());
}

/// All that is known of the draws of a filesystem.
pub fn whole(buffer: &mut Buffer, area: Rect, fs: &FsView, from: usize, palette: Palette, hits: &mut Hits) {
    scrolled(buffer, area, &lines(fs.draws.as_deref(), usize::from(area.width)), from, palette, hits);
}

fn lines(draws: Option<&Draws>, columns: usize) -> Vec<Vec<Piece>> {
    let Some(draws) = draws else { return vec![vec![(NOTHING.to_owned(), Role::Text)]] };
    let mut lines = Vec::new();
    for growth in &draws.idle_growth {
        text(&mut lines, &drawn::hint(growth), Role::Warn, columns);
    }
    head(&mut lines, "bytes that moved, most first");
    if draws.source != "calls" {
        let unseen =
            "Tracepoints do not show where released bytes went, refills of fs.delayed_refs_rsv, and steals.";
        text(&mut lines, unseen, Role::Faint, columns);
    }
    for of in &draws.moves {
        moved(&mut lines, of, columns);
    }
    if draws.unknown_releases.count > 0 {
        text(&mut lines, &drawn::unknown(draws.unknown_releases), Role::Faint, columns);
    }
    if !draws.global.is_empty() {
        head(&mut lines, &drawn::lowest(draws));
        for draw in &draws.global {
            on_global(&mut lines, draw, columns);
        }
    }
    if draws.global_left_out.count > 0 {
        let left = draws.global_left_out;
        let words =
            format!("{} of {} were only counted", format::counted(left.count, "draw"), amount(left.bytes));
        text(&mut lines, &words, Role::Faint, columns);
    }
    let balances: Vec<&ReserveBalance> = draws.reserves.iter().filter(|row| drawn::moved(row)).collect();
    if !balances.is_empty() {
        head(&mut lines, "first + came - went + not attributed = last");
        for row in balances {
            let ReserveBalance { reserve, first, came, went, last, not_attributed } = row;
            let rest = format::bytes(*not_attributed, "");
            let words = format!(
                "{:>8} + {} - {} + {rest} = {}  {reserve}",
                amount(*first),
                amount(*came),
                amount(*went),
                amount(*last)
            );
            lines.push(vec![(words, Role::Text)]);
        }
    }
    lines
}

fn head(lines: &mut Vec<Vec<Piece>>, title: &str) {
    if !lines.is_empty() {
        lines.push(Vec::new());
    }
    lines.push(vec![(title.to_owned(), Role::Head)]);
}

fn text(lines: &mut Vec<Vec<Piece>>, words: &str, role: Role, columns: usize) {
    lines.extend(wrap(&escape(words), columns).into_iter().map(|line| vec![(line, role)]));
}

/// A cell of the matrix, and below it who moved and for which trees: in one line, many names would be cut.
fn moved(lines: &mut Vec<Vec<Piece>>, of: &DrawMove, columns: usize) {
    let role = if of.instead_of.is_some() { Role::Warn } else { Role::Text };
    lines.push(vec![
        (format!("{:>8} {:>9}  ", amount(of.bytes), format::count(of.count)), Role::Strong),
        (drawn::what(of), role),
    ]);
    for words in drawn::callers(of).into_iter().chain(drawn::trees(of)) {
        under(lines, &words, columns);
    }
}

fn on_global(lines: &mut Vec<Vec<Piece>>, draw: &GlobalDraws, columns: usize) {
    let tree = draw.root.map_or(String::new(), |root| format!(" for tree {}", format::root(root)));
    let role = if draw.kind == "use" { Role::Text } else { Role::Warn };
    lines.push(vec![
        (format!("{:>8} {:>9}  ", amount(draw.bytes), format::count(draw.count)), Role::Strong),
        (format!("{}{tree} by {}", draw.kind, drawn::who(draw)), role),
    ]);
    let place = drawn::place(draw);
    if !place.is_empty() {
        under(lines, &format!("in {place}"), columns);
    }
}

/// What belongs to the line above.
fn under(lines: &mut Vec<Vec<Piece>>, words: &str, columns: usize) {
    const INDENT: usize = 20;
    for part in wrap(words, columns.saturating_sub(INDENT).max(20)) {
        lines.push(vec![(format!("{:INDENT$}{part}", ""), Role::Faint)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::model::{DrawMove, IdleGrowth, Moved, Mover, RootMoved};

    fn shown(draws: Option<&Draws>, columns: usize) -> Vec<String> {
        let line = |line: &Vec<Piece>| -> String { line.iter().map(|(text, _)| text.as_str()).collect() };
        lines(draws, columns).iter().map(line).collect()
    }

    #[test]
    fn where_nothing_moved_the_page_says_so() {
        assert_eq!(shown(None, 80), [NOTHING]);
    }

    #[test]
    fn no_line_is_cut_on_80_columns() {
        let mover =
            |name: &str, bytes| Mover { caller: Some(name.to_owned()), count: 1, bytes, stack: Vec::new() };
        let path = [
            "btrfs_delayed_item_reserve_metadata",
            "btrfs_insert_delayed_dir_index",
            "btrfs_insert_dir_item",
        ];
        let of = DrawMove {
            from: "trans.delayed_refs_rsv".to_owned(),
            to: "fs.delayed_refs_rsv".to_owned(),
            kind: "migrate".to_owned(),
            instead_of: None,
            count: 1_234_567,
            bytes: 5 << 30,
            roots: (1..=5).map(|root| RootMoved { root, count: 1, bytes: 1 << 30 }).collect(),
            other_roots: Moved::default(),
            callers: vec![mover(&path.join(drawn::CALLED_BY), 4 << 30), mover("start_transaction", 1 << 30)],
            other_callers: Moved::default(),
        };
        let growth = IdleGrowth { space_info: "metadata".to_owned(), intervals: 3, bytes: 1 << 20 };
        let draws = Draws {
            source: "tracepoints".to_owned(),
            moves: vec![of],
            unknown_releases: Moved { count: 2, bytes: 1 << 20 },
            idle_growth: vec![growth],
            ..Draws::default()
        };
        let lines = shown(Some(&draws), 80);
        let text = lines.join("\n");
        for line in &lines {
            assert!(line.len() <= 80, "{line}");
        }
        for part in [
            "hint: bytes_may_use of metadata grew by 1M",
            "      5G 1,234,567  trans.delayed_refs_rsv > fs.delayed_refs_rsv: migrate",
            "4G by btrfs_delayed_item_reserve_metadata <",
            "1G by start_transaction",
            "for trees 1 (1G), 2 (1G), 3 (1G), 4 (1G), others",
            "2 releases of 1M: where the bytes went is not visible.",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
}
