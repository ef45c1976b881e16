//! Tests, and the command: what happened from start to end of each.
use ratatui::{buffer::Buffer, layout::Rect};

use crate::{
    format,
    tui::{
        columns::window_columns,
        drawing::{Hits, put_text, wrap},
        palette::Role,
        picture::WindowView,
        state::App,
        table,
    },
};

/// Draws the page.
pub fn draw(buffer: &mut Buffer, area: Rect, app: &App, hits: &mut Hits) {
    let Some(picture) = &app.picture else { return };
    let windows = &picture.windows;
    if windows.rows.is_empty() {
        let text = "There is no test and no command in this stream. Tests of xfstests are followed with `--fstests`, a \
                    command is that of `btrfs-probe record -- COMMAND`; a recording shows them here too.";
        for (at, line) in wrap(text, usize::from(area.width).saturating_sub(4)).into_iter().enumerate() {
            put_text(
                buffer,
                area.x + 2,
                area.y + 1 + at as u16,
                area.width - 2,
                &line,
                app.palette,
                Role::Text,
            );
        }
        return;
    }
    let mut rows: Vec<&WindowView> = windows.rows.iter().collect();
    let columns = window_columns();
    table::sort(&mut rows, &columns, &app.windows);
    let foot = u16::from(windows.older > 0);
    let list = Rect { height: area.height.saturating_sub(foot), ..area };
    table::draw(buffer, list, &rows, &columns, &app.windows, app.palette, hits);
    if foot > 0 {
        let text = format!("{} older tests are in a report and not here", format::count(windows.older));
        put_text(buffer, area.x + 1, list.bottom(), area.width - 1, &text, app.palette, Role::Faint);
    }
}
