//! Stacks.
use maud::{Markup, html};

use super::super::{
    model::{Frame, StackSource},
    text::{frame_text, shown_frames},
};

/// A stack with its title, innermost frame first.
pub(super) fn stack(title: &str, source: StackSource, frames: &[Frame]) -> Markup {
    let source = match source {
        StackSource::Exact => "exact stack",
        StackSource::Representative => "representative stack",
        StackSource::None => "no stack was taken",
    };
    html! {
        .stack {
            h4 { (title) " " span.faint { (source) } }
            @if !frames.is_empty() { ol { @for frame in shown_frames(frames) { li { code { (frame_text(frame)) } } } } }
        }
    }
}
