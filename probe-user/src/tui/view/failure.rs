//! One kind of failure: how often, whose, and for each one that was kept who asked, why it failed, what helps and who held the space.
use ratatui::{buffer::Buffer, layout::Rect};

use super::frame::frame_line;
use crate::{
    format::{self, escape::escape},
    report::{
        drawn, failed,
        model::{Failure, FailureInstance, QgroupLimit},
    },
    tui::{
        drawing::{Hits, Piece, put, scrolled, wrap},
        palette::Role,
        picture::FailureRow,
        state::App,
    },
};

/// Draws the page.
pub fn draw(buffer: &mut Buffer, area: Rect, app: &App, hits: &mut Hits) {
    let (Some(picture), Some((number, from))) = (&app.picture, app.open_failure) else { return };
    let Some(row) = picture.failures.rows.iter().find(|row| row.number == number) else {
        let text = "This failure has not come yet at this moment of the recording.".to_owned();
        put(buffer, area.x + 2, area.y + 1, area.width - 2, &[(text, Role::Warn)], app.palette);
        return;
    };
    scrolled(buffer, area, &lines(row, usize::from(area.width)), from, app.palette, hits);
}

fn lines(row: &FailureRow, columns: usize) -> Vec<Vec<Piece>> {
    let failure = &row.failure;
    let role = if row.is_final() { Role::Bad } else { Role::Warn };
    let mut lines = vec![vec![(failed::title(failure, &escape(&row.device)), role)]];
    let mut fact = |name: &str, value: Option<String>| field(&mut lines, name, value, columns);
    fact("filesystem", failure.filesystem.clone());
    fact("happened", Some(failed::happened(failure)));
    fact("seen", (failure.count > 1).then(|| seen(failure)));
    let largest = i64::try_from(failure.largest_bytes).unwrap_or(i64::MAX);
    fact("largest", (largest > 0).then(|| format!("{} were asked for", format::bytes(largest, "iB"))));
    fact("explained", Some(explained(failure)));
    // Where the figures are known, this is with them.
    let told = failure.instances.iter().any(|instance| instance.why.is_some());
    fact("note", (!row.is_final() && !told).then(|| failed::ANOTHER_WAY.to_owned()));
    for instance in failure.instances.iter().rev() {
        lines.push(Vec::new());
        one(&mut lines, failure, instance, columns);
    }
    lines
}

fn seen(failure: &Failure) -> String {
    let [first, last] = [failure.first_seen_ns, failure.last_seen_ns].map(format::moment);
    format!("{first} first, {last} last")
}

/// Of how many the figures are known.
fn explained(failure: &Failure) -> String {
    match failed::explained(failure) {
        0 => "the kernel's figures of that moment were not recorded".to_owned(),
        known if known >= failure.count => "the figures of each are known".to_owned(),
        known => format!("the figures of {} were read", format::count(known)),
    }
}

fn one(lines: &mut Vec<Vec<Piece>>, failure: &Failure, instance: &FailureInstance, columns: usize) {
    let title = format!("{}, {}", failed::which(failure, instance), format::moment(instance.time_ns));
    lines.push(vec![(title, Role::Head)]);
    let text = wrap(&failed::sentence(failure, instance), columns);
    lines.extend(text.into_iter().map(|line| vec![(line, Role::Text)]));
    let mut fact = |name: &str, value: Option<String>| field(lines, name, value, columns);
    if let Some(why) = &instance.why {
        for (at, cause) in why.causes.iter().enumerate() {
            let name = if at == 0 { "cause" } else { "and" };
            fact(name, Some(format!("{cause} (btrfs-probe explain {cause})")));
        }
        for (at, help) in why.help.iter().enumerate() {
            fact(if at == 0 { "helps" } else { "or" }, Some(escape(help)));
        }
    }
    fact("held by", failed::held_by(instance));
    fact("limit", instance.limit.as_ref().map(limit));
    fact("flush", instance.flush.clone());
    if let Some(why) = &instance.why {
        why.impossible.iter().for_each(|text| fact("impossible", Some(escape(text))));
        why.not_proven.iter().for_each(|text| fact("not proven", Some(escape(text))));
    }
    for draw in &instance.drained_by {
        let place = drawn::place(draw);
        let place = if place.is_empty() { place } else { format!(" in {place}") };
        let amount = drawn::amount(draw.bytes_since_full);
        fact("drained by", Some(format!("{amount} {} by {}{place}", draw.kind, drawn::who(draw))));
    }
    if instance.stack.is_empty() {
        fact("stack", Some("none was taken".to_owned()));
        return;
    }
    fact("stack", Some("innermost first".to_owned()));
    for frame in &instance.stack {
        lines.push(vec![(format!("    {}", frame_line(frame, columns.saturating_sub(4))), Role::Text)]);
    }
}

fn limit(limit: &QgroupLimit) -> String {
    let bytes = |number: u64| format::bytes(i64::try_from(number).unwrap_or(i64::MAX), "iB");
    let of = |what, most: Option<u64>| most.map(|most| format!("{what} {}", bytes(most)));
    let limits: Vec<String> =
        [of("max_rfer", limit.max_rfer), of("max_excl", limit.max_excl)].into_iter().flatten().collect();
    format!(
        "{} of qgroup {}; rfer {}, excl {}, reserved: data {}, pertrans {}, prealloc {}",
        limits.join(", "),
        limit.qgroup,
        bytes(limit.rfer),
        bytes(limit.excl),
        bytes(limit.reserved_data),
        bytes(limit.reserved_meta_pertrans),
        bytes(limit.reserved_meta_prealloc)
    )
}

fn field(lines: &mut Vec<Vec<Piece>>, name: &str, value: Option<String>, columns: usize) {
    let Some(value) = value else { return };
    for (at, part) in wrap(&value, columns.saturating_sub(15)).into_iter().enumerate() {
        let name = if at == 0 { name } else { "" };
        lines.push(vec![(format!("  {name:<12} "), Role::Faint), (part, Role::Text)]);
    }
}
