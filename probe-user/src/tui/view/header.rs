//! The two lines above every page: verdict and losses, and the tabs.
use probe_ledger::Verdict;
use ratatui::{buffer::Buffer, layout::Rect};

use crate::{
    format::{
        self,
        escape::{escape, width},
    },
    report::model::FailureKind,
    tui::{
        drawing::{Hit, Hits, Piece, put},
        page::Page,
        palette::Role,
        picture::{Picture, ReplayView},
        state::App,
    },
};

/// What the session is, what it has seen, and above all what it has not seen. Where room is scarce, the end gives way
/// piece by piece.
pub fn draw(buffer: &mut Buffer, area: Rect, app: &App) {
    let mut pieces: Vec<Piece> = vec![("btrfs-probe ".to_owned(), Role::Strong)];
    if let Some(picture) = &app.picture {
        pieces.extend(state(app, picture));
        pieces.extend(losses(picture, usize::from(area.width)));
        pieces.extend(failed(picture));
        let more = [
            (format!("  {}", picture.session.tier), Role::Text),
            (format!("  {}/s", format::counted(picture.record_rate, "record")), Role::Text),
            (format!("  {}", format::counted(picture.inodes.known, "inode")), Role::Text),
            (format!("  {}", format::counted(picture.records, "record")), Role::Faint),
            (format!("  {}", escape(&picture.session.release)), Role::Faint),
        ];
        let mut used: usize = pieces.iter().map(|(text, _)| width(text)).sum();
        for piece in more {
            used += width(&piece.0);
            if used > usize::from(area.width) {
                break;
            }
            pieces.push(piece);
        }
    }
    put(buffer, area.x, area.y, area.width, &pieces, app.palette);
}

fn state(app: &App, picture: &Picture) -> Vec<Piece> {
    if let Some(percent) = picture.replay.as_ref().and_then(|replay| replay.rebuilding) {
        // No verdict: the picture is of an earlier moment than the one that was asked for.
        return vec![
            ("replay ".to_owned(), Role::Key),
            (format!("rebuilding {percent} %"), Role::Warn),
            (format!(", still showing {}", format::about(picture.now_ns)), Role::Text),
        ];
    }
    let verdict = match picture.verdict {
        None => ("looking".to_owned(), Role::Faint),
        // A session that goes on has nothing that is final.
        Some(Verdict::Clean) => ("clean so far".to_owned(), Role::Good),
        Some(Verdict::Findings) => {
            let ignored = picture.findings.iter().filter(|finding| finding.ignored.is_some()).count();
            let counted = picture.found.saturating_sub(ignored as u64);
            (format::counted(counted, "FINDING").replace("Gs", "GS"), Role::Bad)
        }
        Some(Verdict::Inconclusive) => ("inconclusive".to_owned(), Role::Warn),
    };
    let mode = if app.replay {
        (String::from("replay "), Role::Key)
    } else if app.frozen {
        (String::from("PAUSED "), Role::Warn)
    } else {
        (String::from("live "), Role::Key)
    };
    let length = picture.replay.as_ref().and_then(|replay| replay.length_ns);
    let of = length.map_or(String::new(), |length| format!(" of {}", length_of(length)));
    let now = format::about(picture.now_ns);
    // `+1.1 of 1.8 s`: the unit once.
    let now = if of.is_empty() { now } else { now.trim_end_matches(" s").to_owned() };
    vec![mode, (format!("{now}{of} "), Role::Text), verdict]
}

/// `1.8 s`
fn length_of(ns: u64) -> String {
    format::about(ns).trim_start_matches('+').to_owned()
}

/// Losses by class, those that touch the books as an alarm. Always there: no loss is said too.
fn losses(picture: &Picture, width: usize) -> Vec<Piece> {
    let mut lost: Vec<_> = picture.lost().collect();
    if lost.is_empty() {
        return vec![("  lost 0".to_owned(), Role::Good)];
    }
    // What can be wrong because of it comes first, in case the line ends early.
    lost.sort_by_key(|(class, count)| (!class.touches_books(), std::cmp::Reverse(*count)));
    let most = if width >= 120 { usize::MAX } else { 2 };
    let mut pieces =
        vec![("  LOST".to_owned(), if lost[0].0.touches_books() { Role::Bad } else { Role::Warn })];
    for (class, count) in lost.iter().take(most) {
        let role = if class.touches_books() { Role::Bad } else { Role::Warn };
        pieces.push((format!(" {} {}", class.name(), format::count(*count)), role));
    }
    if lost.len() > most {
        pieces.push((format!(" +{}", lost.len() - most), Role::Warn));
    }
    pieces
}

/// The last reservation whose caller got no space.
fn failed(picture: &Picture) -> Option<Piece> {
    let failure = &picture.failures.last()?.failure;
    let what = if failure.kind == FailureKind::Abort { "abort " } else { "" };
    let ago = format::length(picture.now_ns.saturating_sub(failure.last_seen_ns));
    Some((format!("  {what}{} {ago} ago", failure.errno), Role::Warn))
}

/// How much room the tabs take.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tabs {
    /// With space around each.
    Wide,
    /// One space between two.
    Close,
    /// Pages that are not shown and have nothing to count have only their number.
    Numbers,
}

/// What is on the tab of a page.
fn tab(app: &App, number: usize, page: Page, tabs: Tabs) -> (String, bool) {
    let count = match (page, &app.picture) {
        (Page::Findings, Some(picture)) => picture.found,
        (Page::Failures, Some(picture)) => picture.failures.rows.len() as u64,
        _ => 0,
    };
    let counts = if count > 0 { format!(" ({count})") } else { String::new() };
    let text = match tabs {
        Tabs::Wide => format!(" {number} {}{counts} ", page.title()),
        Tabs::Numbers if count == 0 && page != app.page => number.to_string(),
        Tabs::Close | Tabs::Numbers => format!("{number} {}{counts}", page.title()),
    };
    (text, count > 0)
}

/// The tabs, and where a replay stands.
pub fn tabs(buffer: &mut Buffer, area: Rect, app: &App, hits: &mut Hits) {
    let gap = |tabs| u16::from(tabs != Tabs::Wide);
    let all =
        |tabs| Page::ALL.into_iter().zip(1..).map(move |(page, number)| (page, tab(app, number, page, tabs)));
    let fits = |tabs: &Tabs| {
        let wide: usize = all(*tabs).map(|(_, (text, _))| text.len() + usize::from(gap(*tabs))).sum();
        wide <= usize::from(area.width)
    };
    let how = [Tabs::Wide, Tabs::Close].into_iter().find(fits).unwrap_or(Tabs::Numbers);
    let mut x = area.x + gap(how);
    for (page, (text, counts)) in all(how) {
        let width = text.len() as u16;
        let role = if page == app.page {
            Role::Selected
        } else if !counts {
            Role::Text
        } else if page == Page::Failures {
            Role::Warn
        } else {
            Role::Bad
        };
        put(buffer, x, area.y, width, &[(text, role)], app.palette);
        hits.add(Rect { x, width, ..area }, Hit::Tab(page));
        x += width + gap(how);
    }
    if let Some(replay) = app.picture.as_ref().and_then(|picture| picture.replay.as_ref()) {
        let now = app.picture.as_ref().map_or(0, |picture| picture.now_ns);
        let room = area.right().saturating_sub(x + 1);
        let text = transport(replay, now, app, usize::from(room));
        put(buffer, x + 1, area.y, room, &[(text, Role::Key)], app.palette);
    }
}

/// Where the replay stands, as far as there is room to say it.
fn transport(replay: &ReplayView, now_ns: u64, app: &App, room: usize) -> String {
    if let Some(percent) = replay.rebuilding {
        return format!("rebuilding {percent} %");
    }
    let state = match (replay.seeking, replay.ended, replay.paused) {
        (Some(percent), ..) => format!("seeking {percent} %"),
        (None, true, _) => "end".to_owned(),
        (None, false, true) => app.palette.glyph("‖ paused", "|| paused").to_owned(),
        (None, false, false) => format!("{} {}x", app.palette.glyph("▶", ">"), replay.speed),
    };
    let mut text = state;
    let last = replay.last.as_ref().map(|line| format!("  #{} {}", replay.applied, line.text));
    if let Some(last) = last.filter(|last| text.len() + last.len().min(16) < room) {
        text.push_str(&last);
    } else if let Some(length) = replay.length_ns.filter(|length| *length > 0) {
        let bar = room.saturating_sub(text.chars().count() + 3).min(40);
        if bar >= 8 {
            let done = (u128::from(now_ns.min(length)) * bar as u128 / u128::from(length)) as usize;
            let (full, empty) = (app.palette.glyph("━", "="), app.palette.glyph("─", "-"));
            text.push_str(&format!("  {}{}", full.repeat(done), empty.repeat(bar - done)));
        }
    }
    escape(&text)
}
