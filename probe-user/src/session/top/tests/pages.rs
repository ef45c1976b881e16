//! Every page at three sizes.
use insta::assert_snapshot;

use super::{Stage, recording, streams::suite, with_leaks};
use crate::tui::palette::{Palette, Theme};

const SIZES: [(u16, u16); 3] = [(80, 24), (120, 40), (200, 60)];

/// The middle of the demo: two filesystems, one of them full, quotas on the other.
const MIDDLE: i64 = 30_000;

fn snapshots(name: &str, stage: &mut Stage) {
    for (width, height) in SIZES {
        assert_snapshot!(format!("{name}_{width}x{height}"), stage.screen(width, height));
    }
}

fn middle() -> Stage {
    let mut stage = Stage::open(&recording("demo"));
    stage.step(MIDDLE);
    stage
}

#[test]
fn inodes() {
    let mut stage = middle();
    snapshots("inodes", &mut stage);
    stage.keys("/delalloc>50k subvol=257");
    snapshots("inodes_filter", &mut stage);
    stage.keys(" path>");
    assert_snapshot!("inodes_filter_wrong", stage.screen(80, 24));
}

/// A `~` before an amount was explained in the help alone.
#[test]
fn what_is_not_exact_is_explained_where_it_is_shown() {
    let mut stage = Stage::open(&recording("lossy"));
    stage.step(20_000);
    assert_snapshot!("inodes_not_exact", stage.screen(80, 24));
    stage.keys("\n");
    assert_snapshot!("inode_not_exact", stage.screen(80, 24));
}

#[test]
fn one_inode() {
    let mut stage = middle();
    stage.keys("\n");
    stage.step(4000);
    snapshots("inode", &mut stage);
}

#[test]
fn pools() {
    let mut stage = middle();
    stage.keys("2");
    assert_snapshot!("pools_data", stage.screen(80, 24));
    // A selected block_rsv shows who holds its space_info.
    stage.keys("j");
    snapshots("pools", &mut stage);
    stage.keys("jjj");
    assert_snapshot!("pools_rsv", stage.screen(80, 24));
    stage.keys("kkkfj\n");
    snapshots("pools_chart", &mut stage);
}

#[test]
fn findings() {
    let mut stage = middle();
    stage.keys("3");
    assert_snapshot!("findings_none", stage.screen(80, 24));
    let folder = tempfile::tempdir().unwrap();
    let mut stage = Stage::open(&with_leaks("paths", &[2, 5, 9, 11, 13, 15, 17], folder.path()));
    stage.step(i64::MAX);
    stage.keys("3");
    snapshots("findings", &mut stage);
    stage.keys("\n");
    snapshots("finding", &mut stage);
}

#[test]
fn failures() {
    let mut stage = Stage::open(&recording("failures"));
    stage.step(200);
    stage.keys("6");
    assert_snapshot!("failures_none", stage.screen(80, 24));
    stage.end();
    stage.keys("j");
    snapshots("failures", &mut stage);
    stage.keys("\n");
    snapshots("failure", &mut stage);
    // The first line of every page tells of the last one.
    stage.keys("1");
    let first = stage.screen(80, 24);
    assert!(first.lines().next().unwrap().contains("  EDQUOT "), "{first}");
    // By how often, the least first: a qgroup's.
    stage.keys("66glr");
    assert_snapshot!("failures_qgroup", stage.screen(80, 24));
    stage.keys("\n");
    assert_snapshot!("failure_qgroup", stage.screen(80, 24));
}

/// On 60 columns the last tab was cut.
#[test]
fn tabs_fit_a_narrow_screen() {
    let folder = tempfile::tempdir().unwrap();
    let mut stage = Stage::open(&recording("failures"));
    stage.end();
    let tabs = |stage: &mut Stage, width| stage.screen(width, 24).lines().nth(1).unwrap().to_owned();
    assert_eq!(tabs(&mut stage, 60), " 1 Inodes 2 Pools 3 Findings 4 Tests 5 Health 6 Failures (4)");
    // Findings and failures: what is not shown and has nothing to count is a number.
    let mut stage = Stage::open(&with_leaks("enospc", &[2, 5, 9], folder.path()));
    stage.end();
    stage.keys("4");
    let found = stage.app.picture.as_ref().unwrap().found;
    assert!(tabs(&mut stage, 60).starts_with(&format!(" 1 2 3 Findings ({found}) 4 Tests 5 6 Failures (3)")));
}

/// Recordings of the versions before had no figures of failures.
#[test]
fn failures_without_figures() {
    let mut stage = Stage::open(&recording("enospc"));
    stage.end();
    stage.keys("6");
    assert_snapshot!("failures_no_figures", stage.screen(80, 24));
    stage.keys("\n");
    assert_snapshot!("failure_no_figures", stage.screen(80, 24));
}

#[test]
fn draws() {
    let mut stage = Stage::open(&recording("failures"));
    stage.end();
    // Of the filesystem of the selected failure.
    stage.keys("6jd");
    snapshots("draws", &mut stage);
    let mut stage = Stage::open(&recording("functions"));
    stage.end();
    stage.keys("2d");
    snapshots("draws_calls", &mut stage);
}

#[test]
fn tests_page() {
    let mut stage = middle();
    stage.keys("4");
    snapshots("tests", &mut stage);
    let mut stage = Stage::open(&recording("enospc"));
    stage.step(200);
    stage.keys("4");
    assert_snapshot!("tests_none", stage.screen(80, 24));
}

#[test]
fn health() {
    let mut stage = Stage::open(&recording("lossy"));
    stage.step(i64::MAX);
    stage.keys("5");
    snapshots("health", &mut stage);
}

#[test]
fn help_and_small_screens() {
    let mut stage = middle();
    stage.keys("?");
    snapshots("help", &mut stage);
    stage.keys("?");
    assert_snapshot!("smallest", stage.screen(60, 15));
    assert_snapshot!("too_small", stage.screen(40, 10));
}

#[test]
fn ascii_is_enough() {
    let folder = tempfile::tempdir().unwrap();
    let mut pools = None;
    for file in [
        recording("demo"),
        recording("failures"),
        recording("lossy"),
        with_leaks("paths", &[2, 5, 9, 11, 13, 15, 17], folder.path()),
        suite(folder.path()),
    ] {
        for theme in [Theme::Plain, Theme::Standard] {
            let mut stage = Stage::open(&file);
            stage.step(30_000);
            stage.app.palette = Palette { theme, unicode: false };
            for page in ["1", "2", "3", "3\n", "4", "4\n", "5", "6", "6\n", "2d", "1\n", "?"] {
                stage.keys(page);
                for (width, height) in [(120, 40), (80, 24), (60, 15), (40, 10)] {
                    let screen = stage.screen(width, height);
                    assert!(screen.is_ascii(), "{}, {page:?}: {screen}", file.display());
                }
            }
            stage.keys("?2");
            pools.get_or_insert_with(|| stage.screen(120, 40));
        }
    }
    assert_snapshot!("pools_ascii", pools.unwrap());
}
