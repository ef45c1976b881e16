//! One inode: what it holds and held, who reserved it, and what happened to it last.
use ratatui::{buffer::Buffer, layout::Rect};

use super::frame::frame_line;
use crate::{
    format::{
        self,
        escape::{escape, pad, width as columns_of},
    },
    report::model::StackSource,
    tui::{
        drawing::{Chart, Hits, Piece, put, scrolled, title, wrap},
        palette::{Palette, Role},
        picture::{InodeDetail, InodeRow, OriginView, RecordLine},
        state::App,
    },
};

/// The accounts with a history: id, and whether it is bytes.
const ACCOUNTS: [(&str, bool); 4] = [
    ("inode.meta_rsv", true),
    ("inode.delalloc_bytes", true),
    ("inode.csum_bytes", true),
    ("inode.outstanding_extents", false),
];

/// Draws the page.
pub fn draw(buffer: &mut Buffer, area: Rect, app: &App, hits: &mut Hits) {
    let (Some(picture), Some(open)) = (&app.picture, &app.open_inode) else { return };
    let id = open.id;
    let head = format!("subvolume {}, inode {}", format::root(id.root as i64), id.ino);
    let Some(detail) = picture.focus.as_deref().filter(|detail| detail.id == id) else {
        title(buffer, area.x, area.y, area.width, &head, app.palette);
        put(
            buffer,
            area.x + 2,
            area.y + 2,
            area.width - 2,
            &[("looking it up".to_owned(), Role::Faint)],
            app.palette,
        );
        return;
    };
    let mut y = area.y;
    let path = detail.row.as_ref().and_then(|row| row.path.as_deref()).map(escape);
    let line = [
        (head, Role::Strong),
        (format!("  {}", path.as_deref().unwrap_or("(no path was sent)")), Role::Text),
    ];
    put(buffer, area.x, y, area.width, &line, app.palette);
    y += 1;
    for pieces in facts(detail) {
        put(buffer, area.x, y, area.width, &pieces, app.palette);
        y += 1;
    }
    let rest = Rect { y, height: area.bottom().saturating_sub(y), ..area };
    // Room for the chart grows with the screen; what one reads gets more of it.
    let high = if rest.height >= 36 {
        12
    } else if rest.height >= 24 {
        8
    } else {
        6
    };
    let chart = Rect { height: high.min(rest.height), ..rest };
    let (name, bytes) = ACCOUNTS.get(open.account).copied().unwrap_or(ACCOUNTS[0]);
    let values = detail.histories.get(open.account).map_or(&[][..], Vec::as_slice);
    if values.is_empty() {
        title(buffer, chart.x, chart.y, chart.width, name, app.palette);
        let text = "no record of it since this was opened".to_owned();
        put(buffer, chart.x + 2, chart.y + 1, chart.width - 2, &[(text, Role::Faint)], app.palette);
    } else {
        Chart { title: name, values, span_ns: detail.span_ns, bytes }.draw(buffer, chart, app.palette);
    }
    let below = Rect { y: chart.bottom(), height: rest.height - chart.height, ..rest };
    if below.width >= 150 {
        let half = below.width / 2;
        let left = Rect { width: half - 1, ..below };
        let right = Rect { x: below.x + half, width: below.width - half, ..below };
        let mut unused = Hits::default();
        scrolled(buffer, left, &origins(detail, left.width, app.palette), 0, app.palette, &mut unused);
        scrolled(buffer, right, &records(detail, right.width, true), open.scroll, app.palette, hits);
    } else {
        let mut lines = origins(detail, below.width, app.palette);
        lines.push(Vec::new());
        lines.extend(records(detail, below.width, false));
        scrolled(buffer, below, &lines, open.scroll, app.palette, hits);
    }
}

fn facts(detail: &InodeDetail) -> Vec<Vec<Piece>> {
    let Some(row) = &detail.row else {
        return vec![
            vec![("It is not in the books now: it holds nothing, or is gone.".to_owned(), Role::Warn)],
            Vec::new(),
        ];
    };
    let known = match (row.exact, row.counted) {
        (true, _) => ", counted from all its records",
        (false, true) => ", not exact: the kernel's last figure",
        (false, false) => ", not exact: by the records that were seen",
    };
    let held = vec![
        (format!("holds {}", format::amount(row.meta_rsv, "bytes")), Role::Strong),
        (known.to_owned(), Role::Text),
    ];
    let reserved = format!(
        "reserved {} in {}, {}/s lately{}",
        big(row.reserved_total),
        format::counted(row.reservations.into(), "reservation"),
        short(row.rate),
        task(row)
    );
    vec![held, vec![(counters(row), Role::Text)], vec![(reserved, Role::Text)]]
}

fn big(value: u64) -> String {
    format::bytes(i64::try_from(value).unwrap_or(i64::MAX), "iB")
}

fn counters(row: &InodeRow) -> String {
    if !row.counted {
        return "kernel: not seen yet".to_owned();
    }
    format!(
        "kernel: reserved {} size {} extents {} csum {} delalloc {}",
        short(row.reserved),
        short(row.size),
        row.extents,
        short(row.csum_bytes),
        short(row.delalloc_bytes)
    )
}

fn short(value: u64) -> String {
    format::bytes(i64::try_from(value).unwrap_or(i64::MAX), "")
}

fn task(row: &InodeRow) -> String {
    match (row.tid, row.comm.as_str()) {
        (0, _) => String::new(),
        (tid, "") => format!("; last by tid {tid}"),
        (tid, comm) => format!("; last by {} {tid}", escape(comm)),
    }
}

/// Who reserved: stacks by bytes.
fn origins(detail: &InodeDetail, width: u16, palette: Palette) -> Vec<Vec<Piece>> {
    let mut lines =
        vec![vec![("who reserved what it holds (since it was last empty)".to_owned(), Role::Head)]];
    // What was given back is not taken off the stack that reserved it; of nothing nobody holds a part.
    if detail.row.as_ref().is_none_or(|row| row.meta_rsv == 0) {
        lines.push(vec![("  nobody: it holds nothing".to_owned(), Role::Faint)]);
    } else if detail.origins.is_empty() {
        lines.push(vec![("  no stack was taken".to_owned(), Role::Faint)]);
    } else {
        for origin in &detail.origins {
            lines.extend(one_origin(origin, width, palette));
        }
    }
    if !detail.reserved.is_empty() {
        lines.push(Vec::new());
        lines.push(vec![("who reserved since it was opened, given back or not".to_owned(), Role::Head)]);
        for origin in &detail.reserved {
            lines.extend(one_origin(origin, width, palette));
        }
    }
    lines
}

fn one_origin(origin: &OriginView, width: u16, palette: Palette) -> Vec<Vec<Piece>> {
    let source = match origin.source {
        StackSource::Exact => "exact stack",
        StackSource::Representative => "representative stack",
        StackSource::None => "no stack",
    };
    let head = vec![
        (format!("  {}", big(origin.bytes)), Role::Strong),
        (format!(" in {} ({source})", format::counted(origin.count, "reservation")), Role::Text),
    ];
    let frames = origin.stack.iter().map(|frame| {
        vec![(
            format!(
                "    {} {}",
                palette.glyph("↳", "-"),
                frame_line(frame, usize::from(width).saturating_sub(6))
            ),
            Role::Text,
        )]
    });
    std::iter::once(head).chain(frames).collect()
}

/// What happened last, newest first: what is on screen without scrolling is what is new.
fn records(detail: &InodeDetail, width: u16, wide: bool) -> Vec<Vec<Piece>> {
    let mut lines = vec![vec![("last records, newest first".to_owned(), Role::Head)]];
    if detail.records.is_empty() {
        lines.push(vec![("  none is remembered".to_owned(), Role::Faint)]);
    }
    for record in detail.records.iter().rev() {
        lines.extend(record_lines(record, usize::from(width), wide));
    }
    lines
}

fn record_lines(record: &RecordLine, width: usize, wide: bool) -> Vec<Vec<Piece>> {
    let time = format::moment(record.time_ns);
    let who = if record.comm.is_empty() || !wide {
        format!("tid {}", record.tid)
    } else {
        format!("{} {}", escape(&record.comm), record.tid)
    };
    let head = format!("  {time} {} ", pad(&who, 10));
    let indent = columns_of(&head).min(width / 2);
    let mut lines = Vec::new();
    for (at, part) in
        wrap(&escape(&record.text), width.saturating_sub(indent).max(10)).into_iter().enumerate()
    {
        let lead = if at == 0 { head.clone() } else { " ".repeat(indent) };
        lines.push(vec![(lead, Role::Faint), (part, Role::Text)]);
    }
    lines
}
