//! Findings: the rules that were broken.
use ratatui::{buffer::Buffer, layout::Rect};

use crate::{
    format::{self, escape::escape},
    report::owners,
    tui::{
        columns::finding_columns,
        drawing::{Hits, put, put_text, wrap},
        palette::Role,
        state::App,
        table,
    },
};

/// Draws the page.
pub fn draw(buffer: &mut Buffer, area: Rect, app: &App, hits: &mut Hits) {
    let Some(picture) = &app.picture else { return };
    let rows = app.finding_rows();
    if rows.is_empty() {
        let text = if picture.findings.is_empty() {
            "No rule was broken so far.".to_owned()
        } else {
            format!(
                "None of {} matches `{}`: esc takes the filter off.",
                format::counted(picture.found, "finding"),
                app.filter
            )
        };
        put_text(buffer, area.x + 2, area.y + 1, area.width - 2, &escape(&text), app.palette, Role::Text);
        let mut y = area.y + 3;
        for reason in picture.reasons.iter() {
            for (at, line) in
                wrap(&escape(reason), usize::from(area.width).saturating_sub(6)).iter().enumerate()
            {
                if y < area.bottom() {
                    let lead = if at == 0 { "- " } else { "  " };
                    put_text(
                        buffer,
                        area.x + 2,
                        y,
                        area.width - 2,
                        &format!("{lead}{line}"),
                        app.palette,
                        Role::Faint,
                    );
                    y += 1;
                }
            }
        }
        return;
    }
    let high = area.height.saturating_sub(5);
    let beyond = picture.found.saturating_sub(picture.findings.len() as u64);
    if beyond > 0 {
        let text = format!("{} more are in a report and not here", format::count(beyond));
        let foot = Rect { y: area.y + high, height: 1, ..area };
        put(buffer, foot.x + 1, foot.y, foot.width - 2, &[(text, Role::Warn)], app.palette);
    }
    table::draw(
        buffer,
        Rect { height: high, ..area },
        &rows,
        &finding_columns(),
        &app.findings,
        app.palette,
        hits,
    );
    // What the selected one is about, without opening it.
    if let Some(finding) = rows.get(app.findings.selected) {
        let lines = wrap(&escape(&owners::explanation(finding)), usize::from(area.width).saturating_sub(2));
        for (at, line) in lines.into_iter().take(4).enumerate() {
            put(
                buffer,
                area.x + 1,
                area.y + high + 1 + at as u16,
                area.width - 2,
                &[(line, Role::Text)],
                app.palette,
            );
        }
    }
}
