//! Inodes: who holds what right now.
use std::cmp::Reverse;

use ratatui::{buffer::Buffer, layout::Rect};

use crate::{
    format::{
        self,
        escape::{escape, width},
    },
    tui::{
        columns::inode_columns,
        drawing::{Hits, put, put_text},
        palette::Role,
        picture::{FsView, PoolRow},
        state::App,
        table,
    },
};

/// What the mark before an amount means.
const NOT_EXACT: &str = "~ not exact: not all records of the inode were seen";

/// Pools that are shown beside what inodes hold.
const POOLS: usize = 3;

/// The space_infos of which most may be used, most first.
fn levels(filesystems: &[FsView]) -> Vec<String> {
    let live = filesystems.iter().filter(|fs| !fs.ended);
    let mut spaces: Vec<(&FsView, &PoolRow)> =
        live.flat_map(|fs| fs.pools.iter().filter(|row| row.is_space()).map(move |row| (fs, row))).collect();
    spaces.retain(|(_, row)| row.held > 0);
    spaces.sort_by_key(|(_, row)| Reverse(row.held));
    let level = |(fs, row): &(&FsView, &PoolRow)| {
        let name = row.name.strip_prefix("space.").unwrap_or(&row.name);
        format::level(fs.short(), name, row.held, i64::try_from(row.whole).unwrap_or(i64::MAX))
    };
    spaces.iter().take(POOLS).map(level).collect()
}

/// Draws the page.
pub fn draw(buffer: &mut Buffer, area: Rect, app: &App, hits: &mut Hits) {
    let Some(picture) = &app.picture else { return };
    let view = &picture.inodes;
    let rows = app.inode_rows();
    let filtered = !app.filter_text.is_empty() || app.prompt.is_some();
    let typed = app.prompt.as_ref().map_or(app.filter_text.as_str(), |prompt| prompt.text.as_str());
    let whole = if filtered && !typed.is_empty() {
        format!(
            "{} of {} match {}",
            format::count(view.matched),
            format::counted(view.known, "inode"),
            typed.trim()
        )
    } else {
        format::counted(view.known, "inode")
    };
    let mut sum = escape(&format!("{} held by {whole}", format::bytes(view.bytes, "iB")));
    for level in levels(&picture.filesystems) {
        if width(&sum) + 2 + width(&level) > usize::from(area.width) {
            break;
        }
        sum.push_str("; ");
        sum.push_str(&level);
    }
    put(buffer, area.x, area.y, area.width, &[(sum.clone(), Role::Faint)], app.palette);
    let list = Rect { y: area.y + 1, height: area.height - 2, ..area };
    if rows.is_empty() {
        let text = if filtered {
            "No inode matches: esc takes the filter off."
        } else {
            "No inode has reserved anything yet."
        };
        put_text(buffer, area.x + 2, list.y + 1, list.width - 2, text, app.palette, Role::Text);
    } else {
        table::draw(buffer, list, &rows, &inode_columns(), &app.inodes, app.palette, hits);
    }
    let hidden = view.rest;
    let foot = if hidden.inodes > 0 {
        format!(
            "and {} that sort lower, holding {} together",
            format::counted(hidden.inodes, "inode"),
            format::bytes(hidden.bytes, "iB")
        )
    } else if rows.len() > hits.page {
        format!("{} of {}", app.inodes.selected + 1, rows.len())
    } else {
        String::new()
    };
    let last = area.bottom() - 1;
    put(buffer, area.x, last, area.width, &[(foot.clone(), Role::Faint)], app.palette);
    if rows.iter().any(|row| !row.exact) {
        let room = |used: &str| usize::from(area.width).saturating_sub(width(used) + 2);
        // Half of it would explain nothing; the help has it too.
        let line =
            [(&foot, last), (&sum, area.y)].into_iter().find(|(used, _)| NOT_EXACT.len() <= room(used));
        if let Some((_, y)) = line {
            let wide = NOT_EXACT.len() as u16;
            put(buffer, area.right() - wide, y, wide, &[(NOT_EXACT.to_owned(), Role::Faint)], app.palette);
        }
    }
}
