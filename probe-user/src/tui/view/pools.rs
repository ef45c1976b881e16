//! Pools: what every space_info and block_rsv of a filesystem holds, and why tasks wait for space.
use ratatui::{buffer::Buffer, layout::Rect};

use super::{draws, holders::Panel, stalls, waits};
use crate::{
    format::{self, escape::escape},
    tui::{
        columns::{PARTS, pool_columns, ticket_columns},
        drawing::{Chart, Hits, Piece, put, put_text, title},
        palette::{Palette, Role},
        picture::{FsView, PoolRow, SysfsComparisons, TicketLine},
        state::App,
        table::{self, TableState},
    },
};

/// Draws the page.
pub fn draw(buffer: &mut Buffer, area: Rect, app: &App, hits: &mut Hits) {
    let Some(picture) = &app.picture else { return };
    let Some(fs) = picture.filesystems.get(app.filesystem) else {
        let text = "No btrfs has been seen yet: mount one, or let something happen on it.";
        put_text(buffer, area.x + 2, area.y + 1, area.width - 2, text, app.palette, Role::Text);
        return;
    };
    head(buffer, Rect { height: 2, ..area }, app, fs, picture.filesystems.len(), picture.now_ns);
    let rows: Vec<&PoolRow> = fs.pools.iter().collect();
    let below = Rect { y: area.y + 2, height: area.height - 2, ..area };
    if let Some(from) = app.pool_draws {
        draws::whole(buffer, below, fs, from, app.palette, hits);
        return;
    }
    let high = waits::rows_for(&fs.waits, area.height);
    waits::waiting(buffer, Rect { height: high.min(below.height), ..below }, &fs.waits, app.palette);
    let below = Rect { y: below.y + high, height: below.height.saturating_sub(high), ..below };
    let high = stalls::rows_for(&fs.waits, area.height).min(below.height);
    stalls::draw(buffer, Rect { height: high, ..below }, &fs.waits, app.palette);
    let below = Rect { y: below.y + high, height: below.height.saturating_sub(high), ..below };
    let selected = rows.get(app.pools.selected.min(rows.len().saturating_sub(1))).copied();
    let panel = selected.and_then(|row| Panel::of(fs, &row.key, picture.now_ns));
    let high = panel.as_ref().map_or(0, |panel| panel.height(area.height)).min(below.height);
    if let Some(panel) = &panel {
        panel.draw(buffer, Rect { height: high, ..below }, app.palette);
    }
    let below = Rect { y: below.y + high, height: below.height.saturating_sub(high), ..below };
    // The list takes what it needs, but leaves room to what explains it.
    let least = if area.height < 30 { 4 } else { 6 };
    let high =
        (rows.len() as u16 + 1).min((below.height * 3 / 5).max(11)).min(below.height.saturating_sub(least));
    let list = Rect { height: high, ..below };
    table::draw(buffer, list, &rows, &pool_columns(), &app.pools, app.palette, hits);
    let rest = Rect { y: list.bottom(), height: below.height - high, ..below };
    legend(buffer, Rect { height: 1, ..rest }, app.palette);
    let rest = Rect { y: rest.y + 1, height: rest.height.saturating_sub(1), ..rest };
    if rest.height >= 20 {
        let chart = Rect { height: (rest.height / 2).min(16), ..rest };
        history_chart(buffer, chart, fs, selected, app.palette);
        let rest = Rect { y: chart.bottom(), height: rest.height - chart.height, ..rest };
        let flushes = waits::flush_rows(fs, rest.height);
        tickets(buffer, Rect { height: rest.height - flushes, ..rest }, fs, app.palette);
        let low = Rect { y: rest.bottom() - flushes, height: flushes, ..rest };
        waits::flushes(buffer, low, fs, app.palette);
    } else if app.pool_chart {
        history_chart(buffer, rest, fs, selected, app.palette);
    } else {
        tickets(buffer, rest, fs, app.palette);
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
    put(buffer, area.x, area.y, area.width, &first, app.palette);
    let levels = match fs.levels_ns {
        None => "counters not read yet".to_owned(),
        Some(at) => {
            let old = now_ns.saturating_sub(at);
            format!("counters read {}.{} s ago", old / 1_000_000_000, old / 100_000_000 % 10)
        }
    };
    let transaction = if fs.transid == 0 { String::new() } else { format!("transaction {}; ", fs.transid) };
    let (sysfs, role) = sysfs(fs.sysfs);
    let second = [
        (format!("{}; {transaction}", format::counted(fs.inodes, "inode")), Role::Faint),
        (sysfs, role),
        (format!("; {levels}"), Role::Faint),
    ];
    put(buffer, area.x, area.y + 1, area.width, &second, app.palette);
}

/// What sysfs says to the books.
fn sysfs(of: SysfsComparisons) -> (String, Role) {
    let SysfsComparisons { compared, equal, moving } = of;
    match compared.saturating_sub(equal) {
        0 if compared > 0 => {
            (format!("sysfs: equal in {}", format::counted(compared, "comparison")), Role::Faint)
        }
        0 if moving > 0 => ("sysfs: too busy to compare".to_owned(), Role::Faint),
        0 => ("sysfs: not compared yet".to_owned(), Role::Faint),
        unequal => (
            format!(
                "sysfs: {} of {} differ",
                format::count(unequal),
                format::counted(compared, "comparison")
            ),
            Role::Warn,
        ),
    }
}

fn legend(buffer: &mut Buffer, area: Rect, palette: Palette) {
    let mut pieces: Vec<Piece> = vec![("gauge: ".to_owned(), Role::Faint)];
    for (word, role, glyph) in PARTS {
        pieces.push((palette.glyph(glyph.0, glyph.1).to_owned(), role));
        pieces.push((format!(" {word}  "), Role::Faint));
    }
    pieces.push((palette.glyph("·", ".").to_owned(), Role::Free));
    pieces.push((" free; held = bytes_may_use".to_owned(), Role::Faint));
    put(buffer, area.x, area.y, area.width, &pieces, palette);
}

fn history_chart(buffer: &mut Buffer, area: Rect, fs: &FsView, row: Option<&PoolRow>, palette: Palette) {
    let Some(row) = row else { return };
    let name = if row.is_space() { format!("{} bytes_may_use", row.name) } else { row.name.clone() };
    if row.history.is_empty() {
        title(buffer, area.x, area.y, area.width, &escape(&name), palette);
        return;
    }
    Chart { title: &escape(&name), values: &row.history, span_ns: fs.span_ns, bytes: true }
        .draw(buffer, area, palette);
}

fn tickets(buffer: &mut Buffer, area: Rect, fs: &FsView, palette: Palette) {
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
    title(buffer, area.x, area.y, area.width, &text, palette);
    let list = Rect { y: area.y + 1, height: area.height - 1, ..area };
    if fs.lines.is_empty() {
        let text = "  nobody had to wait for space so far";
        put_text(buffer, list.x, list.y, list.width, text, palette, Role::Faint);
        return;
    }
    let rows: Vec<&TicketLine> = fs.lines.iter().collect();
    let state = TableState { focused: false, ..TableState::default() };
    // Only looked at: its rows are not those of the list above.
    table::draw(buffer, list, &rows, &ticket_columns(), &state, palette, &mut Hits::default());
}

#[cfg(test)]
mod tests {
    use super::*;

    /// "sysfs agreed 0 of 0" read as if something were wrong.
    #[test]
    fn what_was_not_compared_is_said_to_be_so() {
        let say = |compared, equal, moving| sysfs(SysfsComparisons { compared, equal, moving });
        assert_eq!(say(0, 0, 0).0, "sysfs: not compared yet");
        assert_eq!(say(0, 0, 3).0, "sysfs: too busy to compare");
        assert_eq!(say(1, 1, 3).0, "sysfs: equal in 1 comparison");
        assert_eq!(say(14, 12, 0), ("sysfs: 2 of 14 comparisons differ".to_owned(), Role::Warn));
    }
}
