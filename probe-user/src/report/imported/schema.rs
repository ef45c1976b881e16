//! JSON Schema of [`crate::import::model`], checked in as `docs/schema/import.json`.
use schemars::Schema;

use crate::{import::model::Imported, report::schema::titled};

/// The schema.
#[must_use]
pub fn import() -> Schema {
    titled::<Imported>("import", "What a trace of the kernel says, by btrfs-probe import, schema version 1.")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;
    use crate::report::schema::print;

    /// `BLESS=1 cargo test -p probe-user schema` writes the file anew.
    #[test]
    fn the_schema_that_is_checked_in_is_that_of_the_types() {
        let path = format!("{}/../docs/schema/import.json", env!("CARGO_MANIFEST_DIR"));
        let now = print(&import()).unwrap();
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&path, &now).unwrap();
        }
        let checked_in = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            checked_in == now,
            "docs/schema/import.json is out of date; regenerate it with `BLESS=1 cargo test -p probe-user schema`"
        );
    }
}
