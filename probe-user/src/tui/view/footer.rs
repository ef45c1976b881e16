//! The line below every page: the keys that are valid here, or the filter that is being typed.
use ratatui::{buffer::Buffer, layout::Rect, style::Modifier};

use crate::{
    format::{
        self,
        escape::{escape, keep_end, width},
    },
    tui::{
        drawing::{Hit, Hits, put},
        keys::{Action, BINDINGS, Scope},
        page::Page,
        palette::Role,
        picture::Picture,
        state::App,
    },
};

/// Draws it.
pub fn draw(buffer: &mut Buffer, area: Rect, app: &App, hits: &mut Hits) {
    if let Some(prompt) = &app.prompt {
        let head = "filter: ";
        put(buffer, area.x, area.y, area.width, &[(head.to_owned(), Role::Key)], app.palette);
        let start = area.x + head.len() as u16;
        let room = usize::from(area.right().saturating_sub(start));
        // The cursor stays in sight: what is left of it gives way.
        let before = escape(prompt.text.get(..prompt.cursor).unwrap_or_default());
        let after = escape(prompt.text.get(prompt.cursor..).unwrap_or_default());
        let before = keep_end(&before, room.saturating_sub(1).min(room * 2 / 3));
        let at = start + width(&before) as u16;
        let mut pieces = vec![(before, Role::Text), (after, Role::Text)];
        let message = match &prompt.error {
            Some(error) => Some((format!("   {}", escape(&error.to_string())), Role::Warn)),
            None => app
                .picture
                .as_ref()
                .map(|picture| (format!("   {} match", format::count(matched(app, picture))), Role::Faint)),
        };
        pieces.extend(message);
        put(buffer, start, area.y, room as u16, &pieces, app.palette);
        if at < area.right() {
            let cursor = Rect { x: at, y: area.y, width: 1, height: 1 };
            buffer.set_style(cursor, app.palette.style(Role::Text).add_modifier(Modifier::REVERSED));
        }
        return;
    }
    let scopes = app.scopes();
    let mut x = area.x;
    // What belongs to the page comes before what is the same everywhere.
    let mut shown: Vec<_> = BINDINGS
        .iter()
        .filter(|binding| {
            !binding.footer.is_empty() && scopes.contains(&binding.scope) && means(app, binding.action)
        })
        .collect();
    shown.sort_by_key(|binding| {
        binding.scope == Scope::Everywhere && !matches!(binding.action, Action::Help | Action::Quit)
    });
    for binding in shown {
        let key = binding.keys.first().map(|key| key.shown()).unwrap_or_default();
        let label = match binding.action {
            Action::Pause if paused(app) => "go on",
            _ => binding.footer,
        };
        let wide = (key.len() + 1 + label.len()) as u16;
        if x + wide > area.right() {
            break;
        }
        let pieces = [(key, Role::Key), (format!(" {label}"), Role::Text)];
        put(buffer, x, area.y, wide, &pieces, app.palette);
        hits.add(Rect { x, width: wide, ..area }, Hit::Key(binding.action));
        x += wide + 2;
    }
    let every = if app.refresh.as_millis() < 1000 {
        format!("every {} ms", app.refresh.as_millis())
    } else {
        format!("every {} s", app.refresh.as_secs())
    };
    let wide = every.len() as u16;
    if x + wide <= area.right() {
        put(buffer, area.right() - wide, area.y, wide, &[(every, Role::Faint)], app.palette);
    }
}

fn matched(app: &App, picture: &Picture) -> u64 {
    match app.page {
        Page::Findings => app.finding_rows().len() as u64,
        _ => picture.inodes.matched,
    }
}

fn paused(app: &App) -> bool {
    let replay = app.picture.as_ref().and_then(|picture| picture.replay.as_ref());
    app.frozen || replay.is_some_and(|replay| replay.paused)
}

/// Keys that would do nothing right now are not offered.
fn means(app: &App, action: Action) -> bool {
    match action {
        Action::Back => {
            app.help.is_some()
                || match app.page {
                    Page::Inodes => app.open_inode.is_some() || !app.filter_text.is_empty(),
                    Page::Findings => app.open_finding.is_some() || !app.filter_text.is_empty(),
                    Page::Pools => app.pool_chart || app.pool_draws.is_some(),
                    Page::Failures => app.open_failure.is_some(),
                    Page::Tests | Page::Health => false,
                }
        }
        Action::Open => {
            app.help.is_none()
                && match app.page {
                    Page::Inodes => app.open_inode.is_none(),
                    Page::Findings => app.open_finding.is_none(),
                    Page::Pools => app.pool_draws.is_none(),
                    Page::Failures => app.open_failure.is_none() && !app.failure_rows().is_empty(),
                    Page::Tests | Page::Health => false,
                }
        }
        _ => true,
    }
}
