//! The file of known findings: one fingerprint per line, `#` begins a comment.
use std::collections::BTreeSet;

/// A line that is not a fingerprint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "line {line}: `{text}` is no fingerprint; write the 16 hex digits that a report shows as `fingerprint`"
)]
pub struct IgnoreError {
    /// Line number, from 1.
    pub line: usize,
    /// What stands there, escaped.
    pub text: String,
}

/// Reads the fingerprints.
///
/// # Errors
/// A line that is not a fingerprint is an error: a typing error would silently let a known finding count again.
pub fn parse(text: &str) -> Result<BTreeSet<String>, IgnoreError> {
    let mut fingerprints = BTreeSet::new();
    for (at, line) in text.lines().enumerate() {
        let entry = line.split('#').next().unwrap_or_default().trim();
        if entry.is_empty() {
            continue;
        }
        if entry.len() != 16 || !entry.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(IgnoreError { line: at + 1, text: crate::format::escape::escape(entry) });
        }
        fingerprints.insert(entry.to_ascii_lowercase());
    }
    Ok(fingerprints)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    #[test]
    fn comments_blank_lines_and_capitals_are_allowed() {
        let known =
            parse("# known on 6.1\n\n  4FA3B2C1D0E9F877  # seen since May\r\n0000000000000001").unwrap();
        assert_eq!(known.into_iter().collect::<Vec<_>>(), ["0000000000000001", "4fa3b2c1d0e9f877"]);
    }

    #[test]
    fn anything_else_is_refused_with_its_line() {
        let error = parse("0000000000000001\n0xabc\n").unwrap_err();
        assert_eq!((error.line, error.text.as_str()), (2, "0xabc"));
        assert!(parse("leak").is_err());
    }
}
