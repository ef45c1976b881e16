//! Draws a state: header, tabs, page, footer. Nothing is decided here and nothing remembered; what can be clicked
//! is handed back.
mod finding;
mod findings;
mod footer;
mod header;
mod health;
mod help;
mod inode;
mod inodes;
mod pools;
mod windows;

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    text::{Line, Span},
};

pub use self::{
    findings::columns as finding_columns,
    inodes::{WORDS as INODE_WORDS, columns as inode_columns},
    windows::columns as window_columns,
};
use super::{
    chart,
    look::{Look, Role},
    state::{App, Hits, Page},
};

/// Fewer columns than this, and nothing can be read.
pub const MIN_WIDTH: u16 = 60;
/// Fewer lines than this, and nothing can be read.
pub const MIN_HEIGHT: u16 = 15;

/// Draws everything. What can be clicked comes back.
#[must_use]
pub fn draw(buffer: &mut Buffer, app: &App) -> Hits {
    let area = buffer.area;
    let mut hits = Hits::default();
    if area.width < MIN_WIDTH || area.height < MIN_HEIGHT {
        too_small(buffer, area, app.look);
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
        chart::text(buffer, area.x + 2, body.y + 1, area.width - 2, &app.waiting, app.look, Role::Text);
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
        Page::Tests => windows::draw(buffer, body, app, hits),
        Page::Health => health::draw(buffer, body, app, hits),
    }
}

fn too_small(buffer: &mut Buffer, area: Rect, look: Look) {
    let lines = [
        format!("This terminal has {} columns and {} lines.", area.width, area.height),
        format!("Please make it at least {MIN_WIDTH} by {MIN_HEIGHT}; q quits."),
    ];
    let mut y = area.y;
    for line in &lines {
        for part in wrap(line, usize::from(area.width).max(1)) {
            if y < area.bottom() {
                chart::text(buffer, area.x, y, area.width, &part, look, Role::Text);
                y += 1;
            }
        }
    }
}

/// A line of a text that is scrolled: pieces with their roles.
pub(super) type Piece = (String, Role);

/// Text of pieces, scrolled.
pub(super) fn scrolled(
    buffer: &mut Buffer,
    area: Rect,
    lines: &[Vec<Piece>],
    from: usize,
    look: Look,
    hits: &mut Hits,
) {
    let height = usize::from(area.height);
    hits.text(lines.len(), height);
    let from = from.min(lines.len().saturating_sub(height));
    for (at, pieces) in lines.iter().skip(from).take(height).enumerate() {
        put(buffer, area.x, area.y + at as u16, area.width, pieces, look);
    }
    let below = lines.len().saturating_sub(from + height);
    if below > 0 && area.height > 1 {
        let more = format!(" {below} more {} ", look.glyph("↓", "v"));
        let width = more.chars().count() as u16;
        let x = area.right().saturating_sub(width);
        chart::text(buffer, x, area.bottom() - 1, width, &more, look, Role::Selected);
    }
}

/// One line of pieces, cut to its room.
pub(super) fn put(buffer: &mut Buffer, x: u16, y: u16, width: u16, pieces: &[Piece], look: Look) {
    let spans: Vec<Span<'_>> =
        pieces.iter().map(|(text, role)| Span::styled(text.as_str(), look.style(*role))).collect();
    if y < buffer.area.bottom() && x < buffer.area.right() {
        buffer.set_line(x, y, &Line::from(spans), width.min(buffer.area.right() - x));
    }
}

/// The head of a part of a page.
pub(super) fn title(buffer: &mut Buffer, x: u16, y: u16, width: u16, text: &str, look: Look) {
    chart::text(buffer, x, y, width, text, look, Role::Head);
}

/// Words broken into lines of at most `width` columns; a word that is longer is cut.
pub(super) fn wrap(text: &str, width: usize) -> Vec<String> {
    let width = width.max(1);
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut used = 0;
    for word in text.split(' ') {
        let mut rest = word;
        let mut wide = crate::report::escape::width(rest);
        if used > 0 && used + 1 + wide > width {
            lines.push(std::mem::take(&mut line));
            used = 0;
        }
        while wide > width {
            let mut cut = 0;
            let mut room = width;
            for (at, c) in rest.char_indices() {
                let columns = crate::report::escape::width(c.encode_utf8(&mut [0; 4]));
                if columns > room {
                    break;
                }
                room -= columns;
                cut = at + c.len_utf8();
            }
            if cut == 0 {
                break;
            }
            lines.push(rest[..cut].to_owned());
            rest = &rest[cut..];
            wide = crate::report::escape::width(rest);
        }
        if used > 0 {
            line.push(' ');
            used += 1;
        }
        line.push_str(rest);
        used += wide;
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests {
    use super::wrap;

    #[test]
    fn words_stay_whole_while_they_fit() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("abcdefghij k", 4), ["abcd", "efgh", "ij k"]);
        assert_eq!(wrap("", 5), [""]);
        assert_eq!(wrap("日本語日本語", 5), ["日本", "語日", "本語"]);
        assert_eq!(wrap("日", 1), ["日"]);
    }
}
