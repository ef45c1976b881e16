//! JSON Schema of [`crate::explain::model`], checked in as `docs/schema/explain.json`.
use schemars::Schema;

use crate::{explain::model::Explanation, report::schema::titled};

/// The schema.
#[must_use]
pub fn explain() -> Schema {
    titled::<Explanation>("explain", "Why there is no space, by btrfs-probe explain, schema version 1.")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;
    use crate::report::schema::print;

    /// `BLESS=1 cargo test -p probe-user schema` writes the file anew.
    #[test]
    fn the_schema_that_is_checked_in_is_that_of_the_types() {
        let path = format!("{}/../docs/schema/explain.json", env!("CARGO_MANIFEST_DIR"));
        let now = print(&explain()).unwrap();
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&path, &now).unwrap();
        }
        let checked_in = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            checked_in == now,
            "docs/schema/explain.json is out of date; regenerate it with `BLESS=1 cargo test -p probe-user schema`"
        );
    }
}
