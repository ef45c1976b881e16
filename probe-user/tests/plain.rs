//! For those who cannot use colours or box drawing: `--color never` writes no escape byte, not even on a terminal, and where the
//! locale is not UTF-8 all text is ASCII.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::panic,
    reason = "a test says why it skips, and may fail by panicking"
)]
use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Lines that write text, with every part of a report in one of them. The recordings are those of the repository.
const LINES: [&str; 16] = [
    "demo --broken",
    "demo --broken -v",
    "report testdata/recordings/failures.rsv -v",
    "report testdata/recordings/lossy.rsv -v",
    "report testdata/recordings/parallel.rsv",
    "report assets/broken.rsv --against testdata/recordings/functions.rsv",
    "report assets/broken.rsv testdata/recordings/functions.rsv --merge",
    "explain testdata/explain/mkdir-6.18.dmesg.txt",
    "explain leak",
    "explain qgroup-limit",
    "import testdata/traces/underflow-6.1.trace",
    "doctor --ftrace",
    "--help",
    "watch -h",
    "watch --no-such-option",
    "report /no/such/file",
];

fn program() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_btrfs-probe"))
}

/// What a line writes to a terminal of 100 columns.
fn on_a_terminal(line: &str) -> Vec<u8> {
    let line = format!("stty cols 100; {} {line}", program().display());
    let output = Command::new("script")
        .args(["--quiet", "--command", &line, "/dev/null"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("TERM", "xterm-256color")
        .env("LC_ALL", "C.UTF-8")
        .env_remove("NO_COLOR")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    output.stdout
}

#[test]
fn without_colours_there_is_no_escape_byte() {
    if !["/usr/bin/script", "/bin/script"].iter().any(|path| Path::new(path).is_file()) {
        eprintln!("SKIPPED: needs the program script (package bsdutils or util-linux)");
        return;
    }
    let mut colored = 0;
    for line in LINES {
        let with = on_a_terminal(line);
        assert!(!with.is_empty(), "{line}");
        colored += usize::from(with.contains(&0x1b));
        let written = on_a_terminal(&format!("{line} --color never"));
        assert!(!written.is_empty(), "{line}");
        let text = String::from_utf8_lossy(&written).into_owned();
        assert!(!written.contains(&0x1b), "{line} --color never: {}", text.escape_debug());
    }
    // Else the test would say nothing.
    assert!(colored > LINES.len() / 2, "only {colored} lines have colours on a terminal");
}

#[test]
fn where_the_locale_is_not_utf8_all_text_is_ascii() {
    for line in LINES {
        let said = |locale: &str| {
            let output = Command::new(program())
                .args(line.split(' '))
                .current_dir(env!("CARGO_MANIFEST_DIR"))
                .env("LC_ALL", locale)
                .stdin(Stdio::null())
                .output()
                .unwrap();
            [output.stdout, output.stderr].concat()
        };
        let text = said("C");
        let odd: Vec<String> = String::from_utf8_lossy(&text)
            .lines()
            .filter(|line| !line.is_ascii())
            .take(3)
            .map(str::to_owned)
            .collect();
        assert!(odd.is_empty(), "{line}: {odd:?}");
    }
    assert!(
        !Command::new(program())
            .args(["demo", "--broken"])
            .env("LC_ALL", "C.UTF-8")
            .output()
            .unwrap()
            .stdout
            .is_ascii(),
        "with UTF-8 there is more than ASCII"
    );
}
