//! The ledger is pure: nothing below `ledger/` does IO, reads a clock or is `unsafe`.
use std::path::Path;

fn sources(folder: &Path, found: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            // Tests may read files, as this one does.
            if path.file_name().is_some_and(|name| name != "tests") {
                sources(&path, found);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push((path.display().to_string(), std::fs::read_to_string(&path).unwrap()));
        }
    }
}

/// `word` in `line`, not as a part of a longer name.
fn mentions(line: &str, word: &str) -> bool {
    let part_of_name = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    line.match_indices(word).any(|(start, _)| {
        let before = line[..start].chars().next_back();
        let after = line[start + word.len()..].chars().next();
        !part_of_name(before) && !part_of_name(after)
    })
}

#[test]
fn nothing_below_ledger_does_io_or_reads_a_clock_or_is_unsafe() {
    let mut found = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/ledger"), &mut found);
    assert!(found.len() >= 15, "the sources are elsewhere: {found:?}");
    let forbidden = [
        "fs::File",
        "std::fs",
        "std::net",
        "std::io",
        "std::env",
        "std::process",
        "Instant",
        "SystemTime",
        "unsafe",
    ];
    for (path, text) in &found {
        for line in text.lines().filter(|line| !line.trim_start().starts_with("//")) {
            let word = forbidden.into_iter().find(|word| mentions(line, word));
            assert_eq!(word, None, "{path}: {line}");
        }
    }
    assert!(mentions("let t = std::time::Instant::now();", "Instant") && !mentions("Instantly", "Instant"));
}
