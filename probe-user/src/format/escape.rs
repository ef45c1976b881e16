//! Makes names safe for a terminal.
//!
//! A file name or a `comm` can contain any bytes: an escape sequence in it is shown, not obeyed, and so is a mark that
//! changes the direction of writing. So are marks that would join what stands before the name, and more marks on one letter than any
//! script needs: they take no column, or reach into other lines.
use std::{borrow::Cow, fmt::Write as _};

use unicode_width::UnicodeWidthChar as _;

/// The text with everything that a terminal would act on written out. Reversible: a backslash is doubled.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    // How many more marks the last letter may have.
    let mut room = 0;
    for c in text.chars() {
        let mark = c.width() == Some(0);
        let joins = mark && room > 0;
        room = match (mark, room) {
            (true, left) => u8::saturating_sub(left, 1),
            (false, _) if c == ' ' || c == '\\' || c.is_control() => 0,
            (false, _) => MARKS,
        };
        match c {
            '\\' => safe.push_str("\\\\"),
            '\n' => safe.push_str("\\n"),
            '\t' => safe.push_str("\\t"),
            '\r' => safe.push_str("\\r"),
            c if (c as u32) < 0x20 || c == '\x7f' => {
                let _ = write!(safe, "\\x{:02x}", c as u32);
            }
            c if c.is_control() || is_invisible(c) || (mark && !joins) => {
                let _ = write!(safe, "\\u{{{:x}}}", c as u32);
            }
            c => safe.push(c),
        }
    }
    safe
}

/// Most marks without a column of their own on a letter.
const MARKS: u8 = 2;

/// Text that was made safe, for who can show ASCII only: other letters are written out as [`escape`] does it.
#[must_use]
pub fn ascii(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            c if c.is_ascii() => safe.push(c),
            '\u{2026}' => safe.push_str("..."),
            c => {
                let _ = write!(safe, "\\u{{{:x}}}", c as u32);
            }
        }
    }
    Cow::Owned(safe)
}

/// Format characters that hide or reorder text.
const fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Columns on a terminal.
#[must_use]
pub fn width(text: &str) -> usize {
    text.chars().map(|c| c.width().unwrap_or(0)).sum()
}

/// At most `columns` columns of a text; what is cut off at the front is marked, since the end of a path says more.
#[must_use]
pub fn keep_end(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut room = columns.saturating_sub(2);
    let mut from = text.len();
    for (at, c) in text.char_indices().rev() {
        let wide = c.width().unwrap_or(0);
        if wide > room {
            break;
        }
        room -= wide;
        from = at;
    }
    format!("..{}", text.get(from..).unwrap_or_default())
}

/// At most `columns` columns of a text; what is cut off at the end is marked.
#[must_use]
pub fn keep_begin(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut room = columns.saturating_sub(2);
    let taken = text.chars().take_while(|c| {
        let wide = c.width().unwrap_or(0);
        let fits = wide <= room;
        room = room.saturating_sub(wide);
        fits
    });
    format!("{}..", taken.collect::<String>())
}

/// The text and blanks up to `columns` columns.
#[must_use]
pub fn pad(text: &str, columns: usize) -> String {
    format!("{text}{}", " ".repeat(columns.saturating_sub(width(text))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_stay_on_the_letters_of_the_name() {
        assert_eq!(escape("e\u{301}te\u{301}"), "e\u{301}te\u{301}");
        assert_eq!(escape("\u{301}x"), "\\u{301}x");
        assert_eq!(escape(" \u{301}"), " \\u{301}");
        assert_eq!(escape("Z\u{301}\u{302}\u{303}\u{304}"), "Z\u{301}\u{302}\\u{303}\\u{304}");
        assert_eq!(escape("a\u{fe0f}"), "a\\u{fe0f}");
    }

    #[test]
    fn what_shows_ascii_only_gets_ascii_only() {
        assert_eq!(ascii("plain"), "plain");
        assert_eq!(ascii("Gr\u{fc}\u{df}e \u{65e5}\u{2026}"), "Gr\\u{fc}\\u{df}e \\u{65e5}...");
    }

    #[test]
    fn a_long_name_keeps_its_begin_and_its_width() {
        assert_eq!(keep_begin("kworker", 10), "kworker");
        assert_eq!(keep_begin("a-very-long-name", 8), "a-very..");
        let cut = keep_begin("\u{65e5}\u{672c}\u{8a9e}\u{65e5}\u{672c}", 7);
        assert_eq!((cut.as_str(), width(&cut)), ("\u{65e5}\u{672c}..", 6));
        assert_eq!(pad("\u{65e5}", 4), "\u{65e5}  ");
    }

    #[test]
    fn a_terminal_escape_is_shown_not_obeyed() {
        assert_eq!(escape("a\x1b[2Jb\x07\u{9b}31m"), "a\\x1b[2Jb\\x07\\u{9b}31m");
        assert_eq!(escape("x\u{202e}txt.exe"), "x\\u{202e}txt.exe");
        assert_eq!(escape("back\\slash\n"), "back\\\\slash\\n");
        assert_eq!(escape("Grüße 日本"), "Grüße 日本");
    }

    #[test]
    fn a_long_path_keeps_its_end_and_its_width() {
        assert_eq!(keep_end("/short", 10), "/short");
        assert_eq!(keep_end("/very/long/path/name", 10), "..ath/name");
        let cut = keep_end("/日本語日本語日本語", 10);
        assert!(width(&cut) <= 10 && cut.starts_with(".."), "{cut}");
    }
}
