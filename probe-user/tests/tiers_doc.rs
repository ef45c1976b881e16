//! What the docs say of the tiers.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail by panicking")]
mod support;

/// The docs say of each tier what the scenarios of `vm_faults.rs` test, and nothing else.
#[test]
fn the_docs_agree_with_the_scenarios() {
    const DOCS: &str = include_str!("../../docs/tiers.md");
    for table in [support::fault::doc::found(), support::fault::doc::silent()] {
        assert!(DOCS.contains(&table), "docs/tiers.md has to have this table:\n{table}");
    }
}
