//! Draws lanes as SVG. The script draws the same way when a reader moves (`timeline.js`): columns of [`WIDTH`], steps, and a band from
//! the lowest to the highest value of a column.
use std::fmt::Write as _;

use maud::{Markup, html};

use super::{
    super::model::CounterTimeline,
    lanes::{Kind, Lane, PARTS},
    sample::{Column, Length, columns},
};

/// Width of a picture in its own units. It is stretched to the page's.
pub(super) const WIDTH: usize = 1000;
/// Height of a line.
pub(super) const LINE: i64 = 40;
/// Height of a stack.
pub(super) const STACK: i64 = 64;

/// A lane in `count` columns.
pub(super) fn draw(lane: &Lane, length: Length, count: usize) -> Markup {
    match lane.kind {
        Kind::Line => line(lane, length, count),
        Kind::Stack => stack(lane, length, count),
    }
}

fn line(lane: &Lane, length: Length, count: usize) -> Markup {
    let Some(counter) = lane.counters.first() else { return html! {} };
    let scale = Scale::of(counter.low(), counter.high(), LINE);
    let columns = columns(&counter.points, length, count);
    html! {
        svg.plot viewBox={ "0 0 " (WIDTH) " " (LINE) } preserveAspectRatio="none" aria-hidden="true" {
            path.band d=(band(&columns, &scale)) {}
            path.line d=(steps(&columns, &scale, |column| column.last)) {}
        }
    }
}

/// What a value is in the picture.
struct Scale {
    low: i128,
    range: i128,
    height: i128,
}

impl Scale {
    /// From `low`, or 0, to `high`.
    fn of(low: i64, high: i64, height: i64) -> Self {
        let low = i128::from(low.min(0));
        Self { low, range: (i128::from(high) - low).max(1), height: i128::from(height) }
    }

    /// In tenths, from the top. A line at the very edge would be half cut off.
    fn y(&self, value: i64) -> f64 {
        const EDGE: i128 = 15;
        let tenths = self.height * 10 - 2 * EDGE;
        let from_bottom = (i128::from(value) - self.low) * tenths / self.range;
        (tenths - from_bottom + EDGE) as f64 / 10.0
    }
}

fn x(column: usize, count: usize) -> usize {
    column * WIDTH / count.max(1)
}

/// A line of steps.
fn steps(columns: &[Option<Column>], scale: &Scale, value: impl Fn(&Column) -> i64) -> String {
    let mut path = String::new();
    let mut at: Option<f64> = None;
    for (number, column) in columns.iter().enumerate() {
        let Some(column) = column else { continue };
        let y = scale.y(value(column));
        if at == Some(y) {
            continue;
        }
        let x = x(number, columns.len());
        let _ = match at {
            None => write!(path, "M{x} {y}"),
            Some(_) => write!(path, "H{x}V{y}"),
        };
        at = Some(y);
    }
    if let Some(last) = columns.iter().rposition(Option::is_some) {
        let _ = write!(path, "H{}", x(last + 1, columns.len()));
    }
    path
}

/// From the bottom, or the lowest value of each column, to the highest.
fn band(columns: &[Option<Column>], scale: &Scale) -> String {
    let zero = scale.y(0);
    let mut path = String::new();
    let mut column = 0;
    while column < columns.len() {
        let Some(here) = columns[column] else {
            column += 1;
            continue;
        };
        let same = |other: &&Option<Column>| other.is_some_and(|other| other.high == here.high);
        let length = columns[column..].iter().take_while(same).count();
        let y = scale.y(here.high);
        if y != zero {
            let (left, right) = (x(column, columns.len()), x(column + length, columns.len()));
            let _ = write!(path, "M{left} {zero}V{y}H{right}V{zero}Z");
        }
        column += length;
    }
    path
}

fn stack(lane: &Lane, length: Length, count: usize) -> Markup {
    let (parts, totals): (Vec<&CounterTimeline>, Vec<&CounterTimeline>) =
        lane.counters.iter().partition(|counter| counter.name != "total_bytes");
    let Some(total) = totals.first() else { return html! {} };
    let all: Vec<Vec<Option<Column>>> =
        parts.iter().map(|part| columns(&part.points, length, count)).collect();
    // The parts of a column need not have been highest at the same time, so what they were last is added up.
    let sum_to = |part: usize, column: usize| {
        all[..=part].iter().filter_map(|of| of[column]).fold(0_i64, |sum, of| sum.saturating_add(of.last))
    };
    let highest = (0..count).map(|column| sum_to(parts.len() - 1, column)).max().unwrap_or(0);
    let scale = Scale::of(0, highest.max(total.high()), STACK);
    let of_total = columns(&total.points, length, count);
    html! {
        svg.plot viewBox={ "0 0 " (WIDTH) " " (STACK) } preserveAspectRatio="none" aria-hidden="true" {
            // From the top down, so that each covers the part of the one before that is not its own.
            @for part in (0..parts.len()).rev() {
                @let class = PARTS.iter().find(|(name, _)| *name == parts[part].name).map_or("", |(_, class)| class);
                @let sums = sums(&all[part], |column| sum_to(part, column));
                path class={ "area " (class) } d=(band(&sums, &scale)) {}
            }
            path.total d=(steps(&of_total, &scale, |column| column.last)) {}
        }
    }
}

fn sums(columns: &[Option<Column>], sum: impl Fn(usize) -> i64) -> Vec<Option<Column>> {
    let column = |(number, known): (usize, &Option<Column>)| {
        known.map(|_| {
            let last = sum(number);
            Column { low: last, high: last, last }
        })
    };
    columns.iter().enumerate().map(column).collect()
}
