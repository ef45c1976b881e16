//! The page Tests: each run of a test is a row of its own, as in a report.
use insta::assert_snapshot;
use probe_ledger::Verdict;

use super::{Stage, streams::suite};

/// They were told apart by their names: the end of one run ended the other's.
#[test]
fn parallel_and_repeated_runs_of_a_test_are_rows_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let mut stage = Stage::open(&suite(folder.path()));
    let picture = stage.end();
    let rows = picture.windows.rows.iter().rev().map(|row| {
        let test = row.test.as_ref().unwrap();
        let seconds = (row.begun_ns / 1_000_000_000, row.length_ns / 1_000_000_000);
        (test.number, test.run, row.name.as_str(), seconds, row.ended, row.lost, row.findings, test.verdict)
    });
    assert_eq!(
        rows.collect::<Vec<_>>(),
        [
            (1, 700, "generic/001", (9, 5), true, 0, 0, Verdict::Clean),
            (2, 800, "generic/001", (10, 9), true, 0, 1, Verdict::Findings),
            (3, 700, "generic/001", (15, 8), true, 5, 1, Verdict::Findings),
            (4, 700, "generic/002", (24, 15), false, 0, 1, Verdict::Findings),
        ]
    );
    stage.keys("4");
    for (width, height) in [(80, 24), (120, 40)] {
        assert_snapshot!(format!("suite_{width}x{height}"), stage.screen(width, height));
    }
}

/// Of many runs the newest are shown, and it is said that there are more.
#[test]
fn older_tests_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let mut stage = Stage::open(&super::streams::many_tests(folder.path(), 2100));
    let picture = stage.end();
    assert_eq!((picture.windows.rows.len(), picture.windows.older), (2000, 100));
    assert_eq!(picture.windows.rows[0].test.as_ref().unwrap().number, 2100);
    stage.keys("4");
    let screen = stage.screen(80, 24);
    assert!(screen.contains("100 older tests are in a report and not here"), "{screen}");
}
