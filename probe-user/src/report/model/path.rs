//! The path of an inode as the three fields that reports have of it.
use probe_ledger::SeenPath;

use crate::format::base64;

/// `path`, `path_truncated` and `path_bytes`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InodePath {
    /// Its known parts as text.
    pub path: Option<String>,
    /// A part of it is missing.
    pub path_truncated: bool,
    /// Base64 of bytes that are not UTF-8.
    pub path_bytes: Option<String>,
}

impl From<Option<&SeenPath>> for InodePath {
    fn from(seen: Option<&SeenPath>) -> Self {
        let Some(seen) = seen else { return Self::default() };
        Self {
            path: Some(seen.to_string()),
            path_truncated: seen.truncated,
            path_bytes: seen.bytes.as_deref().map(base64),
        }
    }
}
