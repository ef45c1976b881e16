//! The path of an inode as far as the kernel side sent it.
//!
//! A record has the last four components, each with its first 47 bytes ([`probe_common::inode::Name`]). So a path with four components
//! may have begun before them, and a component of 47 bytes may have been longer: both count as cut.
use std::{fmt, ops::Deref};

/// What stands for a part that is not known.
pub const CUT: char = '\u{2026}';

/// A path below the root of its subvolume. As text its known parts: `CUT` stands for what is missing, U+FFFD for what is not UTF-8.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SeenPath {
    text: Box<str>,
    /// A component was cut, or components before the first may be missing.
    pub truncated: bool,
    /// The known bytes, if they are not UTF-8.
    pub bytes: Option<Box<[u8]>>,
}

impl SeenPath {
    /// From the components of a record, innermost first, padded with NUL; `None` if there are none.
    #[must_use]
    pub fn of<const LEN: usize>(components: &[[u8; LEN]]) -> Option<Self> {
        let known: Vec<&[u8]> =
            components.iter().map(|part| until_nul(part)).take_while(|part| !part.is_empty()).collect();
        if known.is_empty() {
            return None;
        }
        // The last byte is the NUL that the helper writes.
        let cut = |part: &[u8]| part.len() + 1 >= LEN;
        let begins_before = known.len() == components.len();
        let mut text = String::new();
        let mut bytes = Vec::new();
        let mut utf8 = true;
        if begins_before {
            text.push(CUT);
        }
        for (at, part) in known.iter().rev().enumerate() {
            if at > 0 || begins_before {
                text.push('/');
            }
            if at > 0 {
                bytes.push(b'/');
            }
            let part = if cut(part) { whole_letters(part) } else { part };
            utf8 &= std::str::from_utf8(part).is_ok();
            text.push_str(&String::from_utf8_lossy(part));
            bytes.extend_from_slice(part);
            if known.iter().rev().nth(at).is_some_and(|part| cut(part)) {
                text.push(CUT);
            }
        }
        Some(Self {
            text: text.into(),
            truncated: begins_before || known.iter().any(|part| cut(part)),
            bytes: (!utf8).then(|| bytes.into()),
        })
    }
}

impl Deref for SeenPath {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for SeenPath {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(self)
    }
}

impl From<&str> for SeenPath {
    fn from(text: &str) -> Self {
        Self { text: text.into(), truncated: false, bytes: None }
    }
}

fn until_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// The bytes without a letter of which only the begin is there.
fn whole_letters(bytes: &[u8]) -> &[u8] {
    match std::str::from_utf8(bytes) {
        // No length: the bytes end within a letter.
        Err(error) if error.error_len().is_none() => bytes.get(..error.valid_up_to()).unwrap_or(bytes),
        _ => bytes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(components: &[&[u8]]) -> SeenPath {
        let mut padded = [[0; 48]; 4];
        for (to, from) in padded.iter_mut().zip(components) {
            let len = from.len().min(47);
            to[..len].copy_from_slice(&from[..len]);
        }
        SeenPath::of(&padded).unwrap_or_default()
    }

    #[test]
    fn a_short_path_is_whole() {
        let path = seen(&[b"file", b"folder"]);
        assert_eq!((&*path, path.truncated, path.bytes.is_none()), ("folder/file", false, true));
        assert_eq!(SeenPath::of(&[[0; 48]; 4]), None);
    }

    #[test]
    fn what_is_missing_is_marked() {
        let deep = seen(&[b"file", b"c", b"b", b"a"]);
        assert_eq!((&*deep, deep.truncated), ("\u{2026}/a/b/c/file", true));
        let long = seen(&[&[b'x'; 60], b"a"]);
        assert_eq!((&*long, long.truncated), (&*format!("a/{}\u{2026}", "x".repeat(47)), true));
    }

    #[test]
    fn a_name_is_cut_between_letters() {
        let umlauts = "\u{e4}".repeat(40);
        let cut = seen(&[umlauts.as_bytes()]);
        assert_eq!((&*cut, cut.bytes.is_none()), (&*format!("{}\u{2026}", "\u{e4}".repeat(23)), true));
    }

    #[test]
    fn bytes_that_are_no_text_are_kept() {
        let path = seen(&[b"bad\xff\xfename", b"a"]);
        assert_eq!((&*path, path.truncated), ("a/bad\u{fffd}\u{fffd}name", false));
        assert_eq!(path.bytes.as_deref(), Some(&b"a/bad\xff\xfename"[..]));
    }
}
