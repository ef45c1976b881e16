//! The page that text is written on: width, colours, headings, wrapping, bars.
use std::borrow::Cow;

use crate::format::escape::{ascii, width};

/// What the terminal, or the reader, can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// Columns; below 60 counts as 60.
    pub width: usize,
    /// Write ANSI colours.
    pub color: bool,
    /// Write characters beyond ASCII.
    pub unicode: bool,
    /// Cut long names to the width: a screen does not scroll sideways, a file does.
    pub cut: bool,
}

impl Look {
    /// For files and pipes: 80 columns, ASCII, no colour.
    pub const PLAIN: Self = Self { width: 80, color: false, unicode: false, cut: false };
}

/// A colour by its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// A finding.
    Bad,
    /// In doubt.
    Doubt,
    /// As it should be.
    Good,
    /// Headings and labels that lead.
    Strong,
    /// What can be skipped.
    Faint,
}

impl Tone {
    /// SGR parameters: the eight basic colours, so that the terminal's own palette decides.
    const fn sgr(self) -> &'static str {
        match self {
            Self::Bad => "1;31",
            Self::Doubt => "1;33",
            Self::Good => "1;32",
            Self::Strong => "1",
            Self::Faint => "2",
        }
    }
}

/// Text under construction.
pub(crate) struct Paper {
    look: Look,
    text: String,
}

impl Paper {
    pub(crate) fn new(look: Look) -> Self {
        Self { look: Look { width: look.width.max(60), ..look }, text: String::new() }
    }

    /// The text as it can be shown.
    pub(crate) fn shown<'t>(&self, text: &'t str) -> Cow<'t, str> {
        if self.look.unicode { Cow::Borrowed(text) } else { ascii(text) }
    }

    /// Columns for a name in the last column of a table of which so many are taken.
    pub(crate) const fn room_behind(&self, taken: usize) -> usize {
        if self.look.cut { self.look.width.saturating_sub(taken) } else { usize::MAX }
    }

    pub(crate) const fn width(&self) -> usize {
        self.look.width
    }

    pub(crate) fn into_text(self) -> String {
        self.text
    }

    /// The text in a tone. Only for text that is already laid out: the codes have no width.
    pub(crate) fn tone(&self, tone: Tone, text: &str) -> String {
        if self.look.color { format!("\x1b[{}m{text}\x1b[0m", tone.sgr()) } else { text.to_owned() }
    }

    /// A line; blanks at its end are cut.
    pub(crate) fn line(&mut self, text: &str) {
        self.text.push_str(self.shown(text).trim_end());
        self.text.push('\n');
    }

    pub(crate) fn blank(&mut self) {
        self.text.push('\n');
    }

    /// A heading with a rule to the right edge, a blank line before it.
    pub(crate) fn heading(&mut self, title: &str) {
        let dash = if self.look.unicode { "─" } else { "-" };
        let rest = self.look.width.saturating_sub(width(title) + 4).max(2);
        let left = self.tone(Tone::Faint, &dash.repeat(2));
        let right = self.tone(Tone::Faint, &dash.repeat(rest));
        let title = self.tone(Tone::Strong, title);
        self.blank();
        self.line(&format!("{left} {title} {right}"));
    }

    /// A paragraph: the first line begins with `first`, the others with as many blanks.
    pub(crate) fn paragraph(&mut self, first: &str, text: &str) {
        let indent = width(first);
        let room = self.look.width.saturating_sub(indent).max(20);
        let mut lead = first.to_owned();
        for line in wrap(&self.shown(text), room) {
            self.line(&format!("{lead}{line}"));
            lead = " ".repeat(indent);
        }
    }

    /// A paragraph in a tone: the first line begins with `first`, the others with as many blanks.
    pub(crate) fn toned(&mut self, tone: Tone, first: &str, text: &str) {
        let indent = width(first);
        let mut lead = first.to_owned();
        for line in wrap(&self.shown(text), self.look.width.saturating_sub(indent).max(20)) {
            let line = self.tone(tone, &format!("{lead}{line}"));
            self.line(&line);
            lead = " ".repeat(indent);
        }
    }

    /// A list item.
    pub(crate) fn item(&mut self, text: &str) {
        let bullet = if self.look.unicode { "  • " } else { "  * " };
        self.paragraph(bullet, text);
    }

    /// A label and its text.
    pub(crate) fn field(&mut self, label: &str, text: &str) {
        self.paragraph(&format!("   {label:<13}"), text);
    }

    /// A bar of `columns` columns that shows `part` of `whole`. Anything above zero shows at least a trace.
    pub(crate) fn bar(&self, part: i64, whole: i64, columns: usize) -> String {
        let (part, whole) = (part.max(0).unsigned_abs(), whole.max(0).unsigned_abs());
        let steps = if self.look.unicode { columns * 8 } else { columns };
        let filled = if whole == 0 {
            0
        } else {
            let exact = u128::from(part) * steps as u128 / u128::from(whole);
            usize::try_from(exact).unwrap_or(steps).clamp(usize::from(part > 0), steps)
        };
        if !self.look.unicode {
            return format!("[{}{}]", "#".repeat(filled), ".".repeat(columns - filled));
        }
        const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
        let (full, rest) = (filled / 8, filled % 8);
        let empty = columns - full - usize::from(rest > 0);
        format!("▕{}{}{}▏", "█".repeat(full), EIGHTHS[rest], " ".repeat(empty))
    }
}

/// Words in lines of at most `room` columns. A longer word stands alone and is broken.
pub(crate) fn wrap(text: &str, room: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split(' ') {
        let mut word = word.to_owned();
        if !line.is_empty() && width(&line) + 1 + width(&word) > room {
            lines.push(std::mem::take(&mut line));
        }
        while width(&word) > room {
            let mut taken = String::new();
            for c in word.chars() {
                let mut longer = taken.clone();
                longer.push(c);
                if width(&longer) > room {
                    break;
                }
                taken = longer;
            }
            word = word.get(taken.len()..).unwrap_or_default().to_owned();
            lines.push(taken);
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(&word);
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_wrap_and_long_words_break() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("/a/very/long/path x", 8), ["/a/very/", "long/pat", "h x"]);
        assert_eq!(wrap("", 8), [""]);
    }

    #[test]
    fn bars_show_a_trace_and_never_overflow() {
        let ascii = Paper::new(Look::PLAIN);
        assert_eq!(ascii.bar(0, 100, 4), "[....]");
        assert_eq!(ascii.bar(1, 100, 4), "[#...]");
        assert_eq!(ascii.bar(200, 100, 4), "[####]");
        assert_eq!(ascii.bar(-5, 100, 4), "[....]");
        assert_eq!(ascii.bar(5, 0, 4), "[....]");
        let unicode = Paper::new(Look { unicode: true, ..Look::PLAIN });
        assert_eq!(unicode.bar(1, 2, 3), "▕█▌ ▏");
        assert_eq!(unicode.bar(i64::MAX, i64::MAX, 2), "▕██▏");
    }
}
