//! Why a file cannot be read or written, and what to do about it, in words that end a sentence.
//!
//! The system's own words name neither a remedy nor always the file that the user typed: a temporary name can be in them.
use std::{io, path::Path};

/// What stands for standard input where a file is read; `/dev/stdin` opens it.
pub const STDIN: &str = "/dev/stdin";

/// A path as it is shown in a sentence: no character in it acts on a terminal.
#[must_use]
pub fn shown(path: &Path) -> String {
    if path == Path::new(STDIN) {
        return "standard input".to_owned();
    }
    let mut text = String::new();
    for c in path.to_string_lossy().chars() {
        if c.is_control() { text.extend(c.escape_default()) } else { text.push(c) }
    }
    text
}

/// Why a file could not be read: the end of `cannot read FILE: ...`.
#[must_use]
pub fn unread(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        io::ErrorKind::IsADirectory => "it is a folder; name a file in it".to_owned(),
        io::ErrorKind::PermissionDenied => "you may not read it; run as its owner or as root".to_owned(),
        io::ErrorKind::InvalidData => "it is not text in UTF-8".to_owned(),
        _ => plain(error),
    }
}

/// Why a file could not be written: the end of `cannot write FILE: ...`.
#[must_use]
pub fn unwritten(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => {
            "its folder does not exist; make the folder, or name a file elsewhere".to_owned()
        }
        io::ErrorKind::NotADirectory => {
            "what should be its folder is a file; name a file elsewhere".to_owned()
        }
        io::ErrorKind::IsADirectory => "it is a folder; name a file in it".to_owned(),
        io::ErrorKind::PermissionDenied => {
            "you may not write there; name a file elsewhere, or run as root".to_owned()
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "the disk is full; free some space, or name a file elsewhere".to_owned()
        }
        io::ErrorKind::ReadOnlyFilesystem => "its filesystem is read-only; name a file elsewhere".to_owned(),
        _ => plain(error),
    }
}

/// The system's words, without the number of the error and without names that a library put there.
fn plain(error: &io::Error) -> String {
    let inner =
        error.get_ref().and_then(|inner| inner.source()).and_then(<dyn std::error::Error>::downcast_ref);
    without_number(&inner.unwrap_or(error).to_string())
}

/// Leaves out ` (os error 2)`, which says nothing beside the words before it.
#[must_use]
pub fn without_number(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once(" (os error ") {
        kept.push_str(before);
        let Some((number, after)) = behind.split_once(')') else {
            kept.push_str(" (os error ");
            rest = behind;
            break;
        };
        if !number.bytes().all(|byte| byte.is_ascii_digit()) {
            kept.push_str(" (os error ");
            rest = behind;
            continue;
        }
        rest = after;
    }
    kept.push_str(rest);
    kept
}

/// An error with all its causes on one line; what a text has already is not said again.
#[must_use]
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = String::new();
    for cause in std::iter::successors(Some(error), |error| error.source()) {
        let cause = without_number(&cause.to_string());
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_an_error_is_left_out_and_nothing_else() {
        assert_eq!(without_number("No such file (os error 2): x (os error 13)"), "No such file: x");
        for same in ["", "a (os error", "a (os error x) b", "a (os error 3"] {
            assert_eq!(without_number(same), same);
        }
    }

    #[test]
    fn a_name_in_a_sentence_does_nothing_to_the_terminal() {
        assert_eq!(shown(Path::new("a\x1b[2Jb\n")), "a\\u{1b}[2Jb\\n");
        assert_eq!(shown(Path::new("/dev/stdin")), "standard input");
    }

    #[test]
    fn what_can_be_remedied_has_its_remedy() {
        let of = |kind: io::ErrorKind| io::Error::from(kind);
        assert_eq!(unread(&of(io::ErrorKind::NotFound)), "there is no such file");
        assert!(unwritten(&of(io::ErrorKind::NotFound)).contains("make the folder"));
        assert!(unwritten(&of(io::ErrorKind::StorageFull)).contains("free some space"));
        assert_eq!(unread(&io::Error::from_raw_os_error(5)), "Input/output error");
    }
}
