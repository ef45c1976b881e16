//! `MANIFEST.json`: each file of a bundle, and each that is not there, with why.
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};

use crate::report::schema::titled;

/// Version of this layout.
pub const SCHEMA_VERSION: u32 = 1;

/// What is in a bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Manifest {
    /// Version of this layout: 1.
    pub schema_version: u32,
    /// Version of the btrfs-probe that made it.
    pub tool_version: String,
    /// When, RFC 3339, UTC.
    pub made_at: String,
    /// Names were replaced by pseudonyms (`--redact`).
    pub redacted: bool,
    /// The files that a bundle can have.
    pub files: Vec<ManifestFile>,
}

/// A file of a bundle, or one that is not there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ManifestFile {
    /// Its name below the folder of the bundle.
    pub name: String,
    /// It is there.
    pub included: bool,
    /// Its length in bytes; 0 if it is not there.
    pub bytes: u64,
    /// What it is.
    pub what: String,
    /// Why it is not there, or what of it is not; null if it is there as a whole.
    pub why: Option<String>,
}

/// Schema of the manifest, checked in as `docs/schema/bundle.json`.
#[must_use]
pub fn schema() -> Schema {
    titled::<Manifest>("bundle", "MANIFEST.json of a bundle of btrfs-probe, schema version 1.")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;
    use crate::report::schema::print;

    /// `BLESS=1 cargo test -p probe-user schema` writes the file anew.
    #[test]
    fn the_schema_that_is_checked_in_is_that_of_the_types() {
        let path = format!("{}/../docs/schema/bundle.json", env!("CARGO_MANIFEST_DIR"));
        let now = print(&schema()).unwrap();
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&path, &now).unwrap();
        }
        let checked_in = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(checked_in == now, "docs/schema/bundle.json is out of date: BLESS=1 cargo test schema");
    }
}
