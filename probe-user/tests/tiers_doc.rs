//! What the docs say of the tiers.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail by panicking")]
mod support;

/// The docs say of each tier what the scenarios of `vm_faults.rs` test, and nothing else.
#[test]
fn the_docs_agree_with_the_scenarios() {
    const DOCS: &str = include_str!("../../docs/tiers.md");
    for table in [support::fault::doc::kinds(), support::fault::doc::found(), support::fault::doc::silent()] {
        assert!(DOCS.contains(&table), "docs/tiers.md has to have this table:\n{table}");
    }
}

/// A kind that no bug of ours brings about would be a promise that no kernel has tried.
#[test]
fn every_kind_of_finding_has_its_bug() {
    for row in support::fault::doc::kinds().lines().skip(2) {
        assert!(row.contains("exact: ") || row.contains("bounded: "), "{row}");
    }
}
