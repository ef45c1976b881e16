//! Health: which hooks are on, what was missed, and what the tool costs.
use ratatui::{buffer::Buffer, layout::Rect};

use crate::{
    format::{self, escape::escape},
    tui::{
        drawing::{Hits, Piece, scrolled, wrap},
        palette::{Palette, Role},
        picture::{HookLine, Picture},
        state::App,
    },
};

/// Draws the page.
pub fn draw(buffer: &mut Buffer, area: Rect, app: &App, hits: &mut Hits) {
    let Some(picture) = &app.picture else { return };
    if area.width >= 150 {
        let left = Rect { width: area.width * 2 / 5, ..area };
        let right = Rect { x: left.right() + 1, width: area.width - left.width - 1, ..area };
        let mut unused = Hits::default();
        scrolled(buffer, left, &general(picture, app, usize::from(left.width)), 0, app.palette, &mut unused);
        scrolled(
            buffer,
            right,
            &hooks(picture, usize::from(right.width), app.palette),
            app.health_scroll,
            app.palette,
            hits,
        );
        return;
    }
    let mut lines = general(picture, app, usize::from(area.width));
    lines.push(Vec::new());
    lines.extend(hooks(picture, usize::from(area.width), app.palette));
    scrolled(buffer, area, &lines, app.health_scroll, app.palette, hits);
}

fn general(picture: &Picture, app: &App, width: usize) -> Vec<Vec<Piece>> {
    let session = &picture.session;
    let health = &picture.health;
    let mut lines = Vec::new();
    let mut line = |name: &str, value: String, role: Role| {
        let head = format!("{name:<11} ");
        for (at, part) in wrap(&value, width.saturating_sub(head.len()).max(10)).into_iter().enumerate() {
            let lead = if at == 0 { head.clone() } else { " ".repeat(head.len()) };
            lines.push(vec![(lead, Role::Faint), (part, role)]);
        }
    };
    line("kernel", escape(&session.release), Role::Text);
    let why =
        if session.tier_reason.is_empty() { String::new() } else { format!(" ({})", session.tier_reason) };
    line("tier", format!("{}{}", session.tier, escape(&why)), Role::Text);
    if let Some(file) = &session.recording {
        line("recording", escape(file), Role::Text);
    }
    for (at, reason) in picture.reasons.iter().enumerate() {
        line(if at == 0 { "verdict" } else { "" }, escape(reason), Role::Text);
    }
    line("losses", losses(picture), if picture.lost().next().is_some() { Role::Bad } else { Role::Good });
    line(
        "records",
        format!("{}, {} a second", format::count(picture.records), format::count(picture.record_rate)),
        Role::Text,
    );
    if let Some((bytes, peak)) = health.ring {
        let share = peak * 100 / bytes.max(1);
        line(
            "ring",
            format!("{share} % of {} at most at one look", big(bytes)),
            if share > 50 { Role::Warn } else { Role::Text },
        );
    }
    if let Some(permille) = health.cpu_permille {
        line("this tool", format!("{} of one CPU{}", percent(permille), memory(health.memory)), Role::Text);
    }
    match health.programs_permille {
        Some(permille) => line(
            "programs",
            format!("{} of one CPU in the kernel, measured while this page is shown", percent(permille)),
            Role::Text,
        ),
        None if !app.replay => {
            line("programs", "this kernel does not tell their run time".to_owned(), Role::Faint)
        }
        None => {}
    }
    line("failed", picture.failed.text(), Role::Text);
    if health.warnings > 0 {
        line(
            "kernel",
            format!("{} seen: read the kernel's log", format::counted(health.warnings, "WARN")),
            Role::Bad,
        );
    }
    let walk = health.walk_ns.map(|ns| format!(", a walk over all takes {}", ms(ns))).unwrap_or_default();
    let closed = health
        .closed
        .map(|closed| format!(", {} ended clean in the kernel", format::count(closed)))
        .unwrap_or_default();
    line(
        "inodes",
        format!("{} live in the books{closed}{walk}", format::count(picture.inodes.known)),
        Role::Text,
    );
    for (at, message) in health.messages.iter().rev().take(6).enumerate() {
        line(if at == 0 { "messages" } else { "" }, escape(message), Role::Warn);
    }
    lines
}

/// Every class that lost something; the others together.
fn losses(picture: &Picture) -> String {
    let lost: Vec<String> =
        picture.lost().map(|(class, count)| format!("{} {}", class.name(), format::count(count))).collect();
    if lost.is_empty() {
        format!("none in {} classes", picture.loss.len())
    } else {
        format!("{}; none in {} other classes", lost.join(", "), picture.loss.len() - lost.len())
    }
}

fn percent(permille: u64) -> String {
    format!("{}.{} %", permille / 10, permille % 10)
}

fn big(bytes: u64) -> String {
    format::bytes(i64::try_from(bytes).unwrap_or(i64::MAX), "iB")
}

fn memory(bytes: Option<u64>) -> String {
    bytes.map(|bytes| format!(", {} of memory", big(bytes))).unwrap_or_default()
}

fn ms(ns: u64) -> String {
    format!("{}.{} ms", ns / 1_000_000, ns / 100_000 % 10)
}

/// Hooks as a table of text: it scrolls with what is above it.
fn hooks(picture: &Picture, width: usize, palette: Palette) -> Vec<Vec<Piece>> {
    let attached = picture.health.hooks.iter().filter(|hook| hook.attached).count();
    let mut lines =
        vec![vec![(format!("{attached} of {} hooks attached", picture.health.hooks.len()), Role::Strong)]];
    let name = (width.saturating_sub(44)).clamp(28, 40);
    lines.push(vec![(
        format!(
            "{:<name$} {:>9} {:>12} {:>6} {:>6} {:>5}",
            "HOOK", "RUNS/s", "RUNS", "MISSED", "ns/run", "CPU"
        ),
        Role::Head,
    )]);
    for hook in &picture.health.hooks {
        lines.push(hook_line(hook, name, palette));
        // Those that are on have one too: why by a kprobe.
        if !hook.attached && !hook.reason.is_empty() {
            for part in wrap(&escape(&hook.reason), width.saturating_sub(4)) {
                lines.push(vec![(format!("    {part}"), Role::Faint)]);
            }
        }
    }
    lines
}

fn hook_line(hook: &HookLine, name: usize, palette: Palette) -> Vec<Piece> {
    let (mark, role) = match (hook.attached, hook.skipped) {
        (true, _) => (palette.glyph("●", "*"), Role::Good),
        (false, true) => (palette.glyph("○", "o"), Role::Faint),
        (false, false) => (palette.glyph("✗", "x"), Role::Bad),
    };
    let count = |value: Option<u64>| value.map_or_else(|| "-".to_owned(), format::count);
    let id: String = hook.id.chars().take(name.saturating_sub(2)).collect();
    // A recording knows runs only at its end; until then its records speak for a hook.
    let runs = hook.hits.map_or_else(|| format!("{} rec", format::count(hook.records)), format::count);
    vec![
        (format!("{mark} "), role),
        (format!("{id:<width$}", width = name.saturating_sub(2)), Role::Text),
        (format!(" {:>9} {runs:>12}", count(hook.rate)), Role::Text),
        (
            format!(" {:>6}", count(hook.missed)),
            if hook.missed.unwrap_or(0) > 0 { Role::Bad } else { Role::Text },
        ),
        (
            format!(
                " {:>6} {:>5}",
                count(hook.ns_per_run),
                hook.cpu_permille.map_or_else(|| "-".to_owned(), |p| format!("{}.{}%", p / 10, p % 10))
            ),
            Role::Text,
        ),
    ]
}
