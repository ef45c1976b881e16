//! The whole screen: header, tabs, page, footer.
use ratatui::{buffer::Buffer, layout::Rect};

use super::{
    failure, failures, finding, findings, footer, header, health, help, inode, inodes, pools, windows,
};
use crate::tui::{
    drawing::{Hits, put_text, wrap},
    page::Page,
    palette::{Palette, Role},
    state::App,
};

/// Fewer columns than this, and nothing can be read.
const MIN_WIDTH: u16 = 60;
/// Fewer lines than this, and nothing can be read.
const MIN_HEIGHT: u16 = 15;

/// Draws everything. What can be clicked comes back.
#[must_use]
pub fn draw(buffer: &mut Buffer, app: &App) -> Hits {
    let area = buffer.area;
    let mut hits = Hits::default();
    if area.width < MIN_WIDTH || area.height < MIN_HEIGHT {
        too_small(buffer, area, app.palette);
        return hits;
    }
    header::draw(buffer, Rect { height: 1, ..area }, app);
    header::tabs(buffer, Rect { y: area.y + 1, height: 1, ..area }, app, &mut hits);
    let body = Rect { y: area.y + 2, height: area.height - 3, ..area };
    let foot = Rect { y: area.bottom() - 1, height: 1, ..area };
    if let Some(from) = app.help {
        help::draw(buffer, body, app, from, &mut hits);
    } else if app.picture.is_some() {
        page(buffer, body, app, &mut hits);
    } else {
        put_text(buffer, area.x + 2, body.y + 1, area.width - 2, &app.waiting, app.palette, Role::Text);
    }
    footer::draw(buffer, foot, app, &mut hits);
    hits
}

fn page(buffer: &mut Buffer, body: Rect, app: &App, hits: &mut Hits) {
    match app.page {
        Page::Inodes if app.open_inode.is_some() => inode::draw(buffer, body, app, hits),
        Page::Inodes => inodes::draw(buffer, body, app, hits),
        Page::Pools => pools::draw(buffer, body, app, hits),
        Page::Findings if app.open_finding.is_some() => finding::draw(buffer, body, app, hits),
        Page::Findings => findings::draw(buffer, body, app, hits),
        Page::Failures if app.open_failure.is_some() => failure::draw(buffer, body, app, hits),
        Page::Failures => failures::draw(buffer, body, app, hits),
        Page::Tests => windows::draw(buffer, body, app, hits),
        Page::Health => health::draw(buffer, body, app, hits),
    }
}

fn too_small(buffer: &mut Buffer, area: Rect, palette: Palette) {
    let lines = [
        format!("This terminal has {} columns and {} lines.", area.width, area.height),
        format!("Please make it at least {MIN_WIDTH} by {MIN_HEIGHT}; q quits."),
    ];
    let mut y = area.y;
    for line in &lines {
        for part in wrap(line, usize::from(area.width).max(1)) {
            if y < area.bottom() {
                put_text(buffer, area.x, y, area.width, &part, palette, Role::Text);
                y += 1;
            }
        }
    }
}
