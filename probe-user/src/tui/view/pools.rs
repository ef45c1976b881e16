//! Pools: what every space_info and block_rsv of a filesystem holds, and why somebody waits.
use ratatui::{buffer::Buffer, layout::Rect};

use super::{
    super::{
        chart::{self, Chart, Part},
        look::{Look, Role},
        picture::{FsView, PoolRow, TicketLine, TicketOutcome},
        state::{App, Hits, TableState},
        table::{self, Cell, CellRoom, Column},
    },
    Piece, put, title,
};
use crate::report::{escape::escape, format};

/// Parts of a space_info: word, role, characters.
const PARTS: [(&str, Role, (&str, &str)); 4] = [
    ("used", Role::Used, ("█", "#")),
    ("pinned", Role::Pinned, ("▓", "p")),
    ("reserved", Role::Reserved, ("▒", "r")),
    ("may_use", Role::MayUse, ("░", "m")),
];

fn columns() -> [Column<PoolRow>; 6] {
    [
        Column {
            title: "POOL",
            width: 16,
            most: 28,
            rank: 0,
            right: false,
            cell: |row, _| Cell::text(escape(&row.name)),
            order: None,
        },
        Column {
            title: "HELD",
            width: 8,
            most: 9,
            rank: 0,
            right: true,
            cell: |row, _| amount(row.held),
            order: None,
        },
        Column { title: "OF", width: 7, most: 9, rank: 0, right: true, cell: |row, _| of(row), order: None },
        Column {
            title: "USED PINNED RESV MAY_USE",
            width: 26,
            most: 30,
            rank: 3,
            right: false,
            cell: parts,
            order: None,
        },
        Column { title: "GAUGE", width: 16, most: 70, rank: 1, right: false, cell: gauge, order: None },
        Column { title: "HISTORY", width: 12, most: 60, rank: 2, right: false, cell: history, order: None },
    ]
}

fn amount(value: i64) -> Cell {
    let role = match value {
        0 => Role::Faint,
        ..0 => Role::Warn,
        _ => Role::Strong,
    };
    Cell::new(format::bytes(value, ""), role)
}

fn short(value: u64) -> String {
    format::bytes(i64::try_from(value).unwrap_or(i64::MAX), "")
}

fn of(row: &PoolRow) -> Cell {
    if row.whole == 0 { Cell::new("-", Role::Faint) } else { Cell::text(short(row.whole)) }
}

fn parts(row: &PoolRow, _: &CellRoom) -> Cell {
    if !row.is_space() {
        return Cell::default();
    }
    let [used, pinned, reserved, may_use] = row.parts;
    let short = |value| format::bytes(value, "");
    Cell::text(format!(
        "{:>6} {:>6} {:>6} {:>6}",
        short(used),
        short(pinned),
        short(reserved),
        short(may_use)
    ))
}

fn gauge(row: &PoolRow, room: &CellRoom) -> Cell {
    if row.whole == 0 && row.held == 0 {
        return Cell::default();
    }
    let parts: Vec<Part> = PARTS
        .iter()
        .zip(row.parts)
        .map(|((_, role, glyph), value)| Part {
            value: u64::try_from(value).unwrap_or(0),
            role: *role,
            glyph: *glyph,
        })
        .collect();
    chart::bar(&parts, row.whole, room.width, room.look)
}

fn history(row: &PoolRow, room: &CellRoom) -> Cell {
    Cell::new(chart::trend(&row.history, room.width, room.look), Role::MayUse)
}

/// Draws the page.
pub fn draw(buffer: &mut Buffer, area: Rect, app: &App, hits: &mut Hits) {
    let Some(picture) = &app.picture else { return };
    let Some(fs) = picture.filesystems.get(app.filesystem) else {
        let text = "No btrfs has been seen yet: mount one, or let something happen on it.";
        chart::text(buffer, area.x + 2, area.y + 1, area.width - 2, text, app.look, Role::Text);
        return;
    };
    head(buffer, Rect { height: 2, ..area }, app, fs, picture.filesystems.len(), picture.now_ns);
    let rows: Vec<&PoolRow> = fs.pools.iter().collect();
    let below = Rect { y: area.y + 2, height: area.height - 2, ..area };
    // The list takes what it needs, but leaves room to what explains it.
    let high =
        (rows.len() as u16 + 1).min((below.height * 3 / 5).max(11)).min(below.height.saturating_sub(6));
    let list = Rect { height: high, ..below };
    table::draw(buffer, list, &rows, &columns(), &app.pools, app.look, hits);
    let rest = Rect { y: list.bottom(), height: below.height - high, ..below };
    legend(buffer, Rect { height: 1, ..rest }, app.look);
    let rest = Rect { y: rest.y + 1, height: rest.height.saturating_sub(1), ..rest };
    let selected = rows.get(app.pools.selected).copied();
    if rest.height >= 20 {
        let chart = Rect { height: (rest.height / 2).min(16), ..rest };
        history_chart(buffer, chart, fs, selected, app.look);
        tickets(buffer, Rect { y: chart.bottom(), height: rest.height - chart.height, ..rest }, fs, app.look);
    } else if app.pool_chart {
        history_chart(buffer, rest, fs, selected, app.look);
    } else {
        tickets(buffer, rest, fs, app.look);
    }
}

fn head(buffer: &mut Buffer, area: Rect, app: &App, fs: &FsView, count: usize, now_ns: u64) {
    let which = if count > 1 { format!(" {} of {count}", app.filesystem + 1) } else { String::new() };
    let mounts: Vec<String> = fs.mounts.iter().map(|mount| escape(mount)).collect();
    let mut first: Vec<Piece> = vec![
        (format!("filesystem{which}: "), Role::Text),
        (escape(fs.short()), Role::Strong),
        (format!("  {}", fs.uuid), Role::Text),
        (format!("  {}", mounts.join(" ")), Role::Faint),
    ];
    if fs.ended {
        first.insert(2, ("  unmounted".to_owned(), Role::Warn));
    }
    if fs.aborted {
        first.insert(2, ("  ABORTED".to_owned(), Role::Bad));
    }
    put(buffer, area.x, area.y, area.width, &first, app.look);
    let levels = match fs.levels_ns {
        None => "the kernel's levels were not read yet".to_owned(),
        Some(at) => {
            let old = now_ns.saturating_sub(at);
            format!("levels {}.{} s old", old / 1_000_000_000, old / 100_000_000 % 10)
        }
    };
    let text = format!(
        "{}, transaction {}, {levels}; sysfs agreed {} of {}",
        format::counted(fs.inodes, "inode"),
        if fs.transid == 0 { "-".to_owned() } else { fs.transid.to_string() },
        fs.audits.1,
        fs.audits.0
    );
    put(buffer, area.x, area.y + 1, area.width, &[(text, Role::Faint)], app.look);
}

fn legend(buffer: &mut Buffer, area: Rect, look: Look) {
    let mut pieces: Vec<Piece> = vec![("gauge: ".to_owned(), Role::Faint)];
    for (word, role, glyph) in PARTS {
        pieces.push((look.glyph(glyph.0, glyph.1).to_owned(), role));
        pieces.push((format!(" {word}  "), Role::Faint));
    }
    pieces.push((look.glyph("·", ".").to_owned(), Role::Faint));
    pieces.push((" free; held = bytes_may_use".to_owned(), Role::Faint));
    put(buffer, area.x, area.y, area.width, &pieces, look);
}

fn history_chart(buffer: &mut Buffer, area: Rect, fs: &FsView, row: Option<&PoolRow>, look: Look) {
    let Some(row) = row else { return };
    let name = if row.is_space() { format!("{} bytes_may_use", row.name) } else { row.name.clone() };
    if row.history.is_empty() {
        title(buffer, area.x, area.y, area.width, &escape(&name), look);
        return;
    }
    Chart { title: &escape(&name), values: &row.history, span_ns: fs.span_ns, bytes: true }
        .draw(buffer, area, look);
}

fn ticket_columns() -> [Column<TicketLine>; 7] {
    [
        Column {
            title: "WHEN",
            width: 12,
            most: 14,
            rank: 0,
            right: true,
            cell: |line, _| Cell::text(format::moment(line.at.time_ns)),
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
            Cell::new(format!("{}.{:03} s", ns / 1_000_000_000, ns / 1_000_000 % 1000), role)
        }
    }
}

fn who(line: &TicketLine, _: &CellRoom) -> Cell {
    let reason =
        if line.at.text.is_empty() { String::new() } else { format!(" ({})", escape(&line.at.text)) };
    Cell::text(format!("{} {}{reason}", escape(&line.at.comm), line.at.tid))
}

fn tickets(buffer: &mut Buffer, area: Rect, fs: &FsView, look: Look) {
    if area.height == 0 {
        return;
    }
    let text = format!(
        "tickets: {} granted, {} failed; {} refused; {} flushed; all failed {} times",
        format::count(fs.tickets.0),
        format::count(fs.tickets.1),
        format::count(fs.enospc),
        format::count(fs.flushes.0),
        format::count(fs.flushes.1)
    );
    title(buffer, area.x, area.y, area.width, &text, look);
    let list = Rect { y: area.y + 1, height: area.height - 1, ..area };
    if fs.lines.is_empty() {
        let text = "  nobody had to wait for space so far";
        chart::text(buffer, list.x, list.y, list.width, text, look, Role::Faint);
        return;
    }
    let rows: Vec<&TicketLine> = fs.lines.iter().collect();
    let state = TableState { focused: false, ..TableState::default() };
    // Only looked at: its rows are not those of the list above.
    table::draw(buffer, list, &rows, &ticket_columns(), &state, look, &mut Hits::default());
}
