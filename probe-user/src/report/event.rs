//! What a command of `watch --on` gets on its standard input: one JSON document.
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};

use super::{
    model::{Failure, Finding},
    ndjson::StallLine,
    schema::titled,
};

/// Version of this layout.
pub const SCHEMA_VERSION: u32 = 1;

/// Something happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Event {
    /// Version of this layout: 1.
    pub schema_version: u32,
    /// `finding`, `enospc`, `abort` or `stall`.
    pub event: String,
    /// When it was told, RFC 3339, UTC; what happened was up to a second before.
    pub told_at: String,
    /// Start of the session, RFC 3339, UTC. Times in ns count from here.
    pub started_at: String,
    /// Version of the btrfs-probe that watches.
    pub tool_version: String,
    /// `uname -r`
    pub kernel: String,
    /// The finding, as in a report; null if it is another event.
    pub finding: Option<Finding>,
    /// The failure, as in a report: of `enospc` and `abort`; null if it is another event.
    pub failure: Option<Failure>,
    /// The wait; null if it is another event.
    pub stall: Option<StallLine>,
}

/// Schema of the document, checked in as `docs/schema/event.json`.
#[must_use]
pub fn schema() -> Schema {
    titled::<Event>("event", "What a command of btrfs-probe watch --on gets, schema version 1.")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;
    use crate::report::schema::print;

    /// `BLESS=1 cargo test -p probe-user schema` writes the file anew.
    #[test]
    fn the_schema_that_is_checked_in_is_that_of_the_types() {
        let path = format!("{}/../docs/schema/event.json", env!("CARGO_MANIFEST_DIR"));
        let now = print(&schema()).unwrap();
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&path, &now).unwrap();
        }
        let checked_in = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(checked_in == now, "docs/schema/event.json is out of date: BLESS=1 cargo test schema");
    }
}
