//! What our pages tell a reader to type, as far as it needs no rights: each command runs, and prints what the page shows.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail by panicking")]
#[path = "support/pages.rs"]
mod pages;

use std::path::Path;

use tempfile::TempDir;

#[test]
fn commands_of_anybody_run_and_print_what_the_pages_show() {
    let program = Path::new(env!("CARGO_BIN_EXE_btrfs-probe"));
    let mut wrong = Vec::new();
    let mut commands = 0;
    for (page, text) in pages::pages() {
        let blocks: Vec<_> = pages::blocks(&text).into_iter().filter(|block| !block.root).collect();
        if blocks.is_empty() {
            continue;
        }
        commands += blocks.iter().map(|block| block.steps.len()).sum::<usize>();
        let folder = TempDir::new().unwrap();
        pages::furnish(folder.path(), program);
        wrong.extend(pages::run(&page, &blocks, folder.path(), &[], ""));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    assert!(commands > 0, "no page has a block that is marked `console`");
}

#[test]
fn a_page_that_is_wrong_is_told() {
    let page = "```console\n$ echo one; echo two\none\n$ false\n$ echo 'a b c'\na … c\n$ seq 5\n1\n...\n5\n$ exit 7\n```\n";
    let folder = TempDir::new().unwrap();
    let blocks = pages::blocks(page);
    let wrong = pages::run("p.md", &blocks, folder.path(), &[], "");
    let starts: Vec<&str> = wrong.iter().filter_map(|text| text.lines().next()).collect();
    assert_eq!(
        starts,
        [
            "p.md:1: `echo one; echo two` prints something else:",
            "p.md:1: `false` ended with 1:",
            "p.md:1: `exit 7` did not end:"
        ]
    );
}

#[test]
fn commands_of_root_are_told_from_those_of_anybody() {
    let page = "```console\n$ a \\\n  b\n```\n```sh\n$ c\n```\n```console\n# d\n```\n";
    let blocks = pages::blocks(page);
    let said: Vec<(&str, bool)> =
        blocks.iter().map(|block| (block.steps[0].command.as_str(), block.root)).collect();
    assert_eq!(said, [("a \\\n  b", false), ("d", true)]);
}
