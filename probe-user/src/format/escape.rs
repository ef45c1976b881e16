//! Makes names safe for a terminal.
//!
//! A file name or a `comm` can contain any bytes: an escape sequence in it is shown, not obeyed, and so is a mark that
//! changes the direction of writing.
use std::fmt::Write as _;

use unicode_width::UnicodeWidthChar as _;

/// The text with everything that a terminal would act on written out. Reversible: a backslash is doubled.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => safe.push_str("\\\\"),
            '\n' => safe.push_str("\\n"),
            '\t' => safe.push_str("\\t"),
            '\r' => safe.push_str("\\r"),
            c if (c as u32) < 0x20 || c == '\x7f' => {
                let _ = write!(safe, "\\x{:02x}", c as u32);
            }
            c if c.is_control() || is_invisible(c) => {
                let _ = write!(safe, "\\u{{{:x}}}", c as u32);
            }
            c => safe.push(c),
        }
    }
    safe
}

/// Format characters that hide or reorder text.
const fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
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

#[cfg(test)]
mod tests {
    use super::*;

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
