//! The pages in `docs/screen/` are what the screen draws now.
use std::{env, fs, path::Path};

use super::{Stage, drawing, recording, streams::suite, with_leaks};
use crate::tui::palette::{Palette, Theme};

/// Set it to write the files anew.
const RENEW: &str = "BTRFS_PROBE_RENEW";
const FOLDER: &str = "../docs/screen";
const SIZES: [(u16, u16); 2] = [(80, 24), (200, 60)];
/// The middle of the demo: two filesystems, one of them full, quotas on the other.
const MIDDLE: i64 = 30_000;

/// Colours as by default.
fn open(path: &Path, records: i64) -> Stage {
    let mut stage = Stage::open(path);
    stage.app.palette = Palette { theme: Theme::Standard, unicode: true };
    stage.step(records);
    stage
}

/// Compares one page with its files; the names of those that differ.
fn page(name: &str, stage: &mut Stage, stale: &mut Vec<String>) {
    for (width, height) in SIZES {
        let buffer = stage.draw(width, height);
        for (kind, content) in [("txt", drawing::text(&buffer)), ("svg", drawing::picture(&buffer))] {
            let path = format!("{FOLDER}/{name}-{width}x{height}.{kind}");
            if env::var_os(RENEW).is_some() {
                fs::write(&path, &content).unwrap();
            } else if fs::read_to_string(&path).unwrap_or_default() != content {
                stale.push(path);
            }
        }
    }
}

/// The pictures in the docs were taken by hand, and the page Tests had other columns since.
#[test]
fn the_pages_in_the_docs_are_those_of_this_screen() {
    let folder = tempfile::tempdir().unwrap();
    let mut stale = Vec::new();

    let mut stage = open(&recording("demo"), MIDDLE);
    page("inodes", &mut stage, &mut stale);
    stage.keys("2j");
    page("pools", &mut stage, &mut stale);
    stage.keys("3");
    page("findings", &mut stage, &mut stale);
    stage.keys("5");
    page("health", &mut stage, &mut stale);
    stage.keys("1\n");
    stage.step(4000);
    page("inode", &mut stage, &mut stale);

    let mut stage = open(&recording("failures"), i64::MAX);
    stage.keys("6j");
    page("failures", &mut stage, &mut stale);
    stage.keys("\n");
    page("failure", &mut stage, &mut stale);
    stage.keys("2d");
    page("draws", &mut stage, &mut stale);

    let mut stage = open(&with_leaks("paths", &[2, 5, 9, 11, 13, 15, 17], folder.path()), i64::MAX);
    stage.keys("3");
    page("broken", &mut stage, &mut stale);
    stage.keys("\n");
    page("finding", &mut stage, &mut stale);

    let mut stage = open(&suite(folder.path()), i64::MAX);
    stage.keys("4");
    page("tests", &mut stage, &mut stale);

    let renew = format!("{RENEW}=1 cargo test -p probe-user the_pages_in_the_docs");
    assert!(stale.is_empty(), "stale: {}: run `{renew}` and look at them", stale.join(", "));
}
