//! Any bytes as a JSON report: held against itself, merged with itself, and read again after it was written.
#![no_main]
use libfuzzer_sys::fuzz_target;
use probe_user::report::{
    baseline::Baseline,
    json, merge,
    model::Report,
    text::{Detail, Look, render},
};

fuzz_target!(|data: &[u8]| {
    let Ok(report) = serde_json::from_slice::<Report>(data) else { return };
    let against =
        Baseline::new("fuzz".to_owned(), &report).compare(&report.findings, report.tier, report.verdict.0);
    assert!(against.new.is_empty() && against.gone.is_empty());
    let _ = render(&report, Look::PLAIN, Detail::Full);
    let mut written = Vec::new();
    assert!(json::write(&report, &mut written).is_ok());
    let again: Report = match serde_json::from_slice(&written) {
        Ok(again) => again,
        Err(error) => panic!("what was written is not read: {error}"),
    };
    assert_eq!(again, report);
    let merged = merge::merge(&[("a".to_owned(), report), ("b".to_owned(), again)]);
    assert!(!merge::render(&merged, Look::PLAIN).is_empty());
});
