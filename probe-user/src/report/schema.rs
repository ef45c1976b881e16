//! JSON Schema of the report and of the NDJSON stream, made from the types.
//!
//! The result is checked in under `docs/schema/`, so a review shows a change of the format. A test compares both.
use schemars::{JsonSchema, Schema, generate::SchemaSettings};

use super::{merge::Merged, model::Report, ndjson::StreamLine};

/// Schema of the JSON report.
#[must_use]
pub fn report() -> Schema {
    titled::<Report>("report", "A report of btrfs-probe, schema version 1.")
}

/// Schema of the JSON report of many sessions.
#[must_use]
pub fn merged() -> Schema {
    titled::<Merged>("merged", "A report of many sessions of btrfs-probe, schema version 1.")
}

/// Schema of one line of the NDJSON stream.
#[must_use]
pub fn stream() -> Schema {
    titled::<StreamLine>("stream", "One line of an NDJSON stream of btrfs-probe, schema version 1.")
}

/// A schema with its id and title.
pub(crate) fn titled<T: JsonSchema>(name: &str, title: &str) -> Schema {
    let mut schema =
        SchemaSettings::draft2020_12().for_serialize().into_generator().into_root_schema_for::<T>();
    schema.insert("$id".to_owned(), format!("urn:btrfs-probe:schema:{name}:1").into());
    schema.insert("title".to_owned(), title.into());
    schema
}

/// As it is printed and checked in: indented, with a newline at the end.
///
/// # Errors
/// None in practice: a schema is plain JSON.
pub fn print(schema: &Schema) -> serde_json::Result<String> {
    Ok(serde_json::to_string_pretty(schema)? + "\n")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]
    use super::*;

    /// `BLESS=1 cargo test -p probe-user schema` writes the files anew.
    #[test]
    fn the_schemas_that_are_checked_in_are_those_of_the_types() {
        for (name, schema) in [("report", report()), ("stream", stream()), ("merged", merged())] {
            let path = format!("{}/../docs/schema/{name}.json", env!("CARGO_MANIFEST_DIR"));
            let now = print(&schema).unwrap();
            if std::env::var_os("BLESS").is_some() {
                std::fs::write(&path, &now).unwrap();
            }
            let checked_in = std::fs::read_to_string(&path).unwrap_or_default();
            assert!(
                checked_in == now,
                "docs/schema/{name}.json is out of date; regenerate it with `BLESS=1 cargo test -p probe-user schema`"
            );
        }
    }

    #[test]
    fn every_property_of_the_report_is_described() {
        fn walk(value: &serde_json::Value, at: &str, missing: &mut Vec<String>) {
            let Some(object) = value.as_object() else { return };
            for (name, property) in object.get("properties").and_then(|p| p.as_object()).into_iter().flatten()
            {
                let described =
                    ["description", "$ref", "const"].iter().any(|key| property.get(key).is_some());
                if !described {
                    missing.push(format!("{at}.{name}"));
                }
            }
            for (name, child) in object {
                walk(child, &format!("{at}/{name}"), missing);
            }
        }
        let mut missing = Vec::new();
        walk(report().as_value(), "report", &mut missing);
        walk(merged().as_value(), "merged", &mut missing);
        assert!(missing.is_empty(), "{missing:?}");
    }
}
