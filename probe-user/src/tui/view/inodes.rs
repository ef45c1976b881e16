//! Inodes: who holds what right now.
use ratatui::{buffer::Buffer, layout::Rect};

use crate::{
    report::{escape::escape, format},
    tui::{
        columns::inode_columns,
        drawing::{Hits, put, put_text},
        palette::Role,
        state::App,
        table,
    },
};

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
    let sum = format!("{} held by {whole}", format::bytes(view.bytes, "iB"));
    put(buffer, area.x, area.y, area.width, &[(escape(&sum), Role::Faint)], app.palette);
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
    if hidden.inodes > 0 {
        let text = format!(
            "and {} that sort lower, holding {} together",
            format::counted(hidden.inodes, "inode"),
            format::bytes(hidden.bytes, "iB")
        );
        put(buffer, area.x, area.bottom() - 1, area.width, &[(text, Role::Faint)], app.palette);
    } else if rows.len() > hits.page {
        let text = format!("{} of {}", app.inodes.selected + 1, rows.len());
        put(buffer, area.x, area.bottom() - 1, area.width, &[(text, Role::Faint)], app.palette);
    }
}
