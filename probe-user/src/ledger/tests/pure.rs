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

#[test]
fn nothing_below_ledger_does_io_or_reads_a_clock_or_is_unsafe() {
    let mut found = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/ledger"), &mut found);
    assert!(found.len() >= 15, "the sources are elsewhere: {found:?}");
    let forbidden = [
        "std::fs",
        "std::net",
        "std::io",
        "std::env",
        "std::process",
        "std::thread",
        "Instant",
        "SystemTime",
        "unsafe {",
        "unsafe fn",
        "unsafe impl",
        "rand",
        "RandomState",
    ];
    for (path, text) in &found {
        let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        for line in code {
            for word in forbidden {
                let whole = line.split(|c: char| !c.is_alphanumeric() && !"_:{ ".contains(c)).any(|part| {
                    part.split(' ').any(|p| p == word || p.starts_with(&format!("{word}::")))
                        || (word.contains(' ') && part.contains(word))
                });
                assert!(!whole, "{path}: `{word}` in: {line}");
            }
        }
    }
}
