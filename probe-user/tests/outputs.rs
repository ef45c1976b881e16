//! No report, and no file of metrics, takes the place of a file that is read, nor of another report: refused before anything is run or written.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
use std::collections::BTreeMap;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

const RECORDING: &[u8] = include_bytes!("../testdata/recordings/born.rsv");

/// A recording, links of each kind to it, and known findings.
fn folder() -> TempDir {
    let folder = TempDir::new().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("a.rsv"), RECORDING).unwrap();
    std::fs::hard_link(at("a.rsv"), at("hard")).unwrap();
    symlink("a.rsv", at("soft")).unwrap();
    std::fs::write(at("known"), "# none\n").unwrap();
    folder
}

/// Names and contents.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    std::fs::read_dir(folder)
        .unwrap()
        .map(Result::unwrap)
        .map(|entry| {
            (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap_or_default())
        })
        .collect()
}

/// Exit code and the sentence on standard error, of the program in that folder.
fn probe(folder: &Path, line: &str, stdout: Stdio) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_btrfs-probe"))
        .args(line.split(' '))
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(stdout)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    (output.status.code().unwrap(), said.lines().next().unwrap_or_default().to_owned())
}

fn assert_refused(line: &str, sentence: &str) {
    let folder = folder();
    let before = files(folder.path());
    let (code, said) = probe(folder.path(), line, Stdio::piped());
    assert_eq!((code, said.as_str()), (2, format!("error: {sentence}").as_str()), "{line}");
    assert_eq!(files(folder.path()), before, "{line}");
}

/// `report FILE -o FILE` replaced the recording by its report.
#[test]
fn a_report_does_not_replace_its_recording() {
    for output in ["a.rsv", "./a.rsv", "hard", "soft"] {
        let sentence = format!(
            "a report would go to {output}, which is the recording a.rsv; give the report a file of its own"
        );
        for option in [format!("-o {output}"), format!("--format json={output}")] {
            assert_refused(&format!("report a.rsv {option}"), &sentence);
        }
        assert_refused(&format!("report a.rsv --format json=fine.json --format junit={output}"), &sentence);
    }
}

#[test]
fn a_report_does_not_replace_known_findings() {
    let sentence =
        "a report would go to ./known, which is the --ignore file known; give the report a file of its own";
    for line in [
        "report a.rsv --ignore known -o ./known",
        "run --ignore known -o ./known -- touch ran",
        "watch --ignore known --format ndjson=./known --duration 1s",
        "demo --ignore known -o ./known",
    ] {
        assert_refused(line, sentence);
    }
}

#[test]
fn metrics_do_not_replace_what_is_read_or_reported() {
    assert_refused(
        "watch --ignore known --metrics ./known --duration 1s",
        "a file of metrics would go to ./known, which is the --ignore file known; give the file of metrics a file of its own",
    );
    assert_refused(
        "watch --metrics new -o ./new --duration 1s",
        "two reports would go to one file, by the names ./new and new; give each a file of its own with --format FORMAT=FILE",
    );
    assert_refused(
        "watch --metrics-listen=0.0.0.0:9977 --duration 1s",
        "--metrics-listen 0.0.0.0:9977 can be reached from other machines: add --metrics-anywhere if that is meant",
    );
    assert_refused(
        "watch --on enospc true --on enospc false --duration 1s",
        "--on enospc was given twice; give it one command that does both",
    );
    assert_refused(
        "watch --on warn true --duration 1s",
        "--on warn: there is no such event; choose one of finding, enospc, abort, stall",
    );
}

#[test]
fn two_reports_do_not_go_to_one_file() {
    for (one, other) in [("new", "./new"), ("hard", "soft")] {
        let sentence = format!(
            "two reports would go to one file, by the names {one} and {other}; give each a file of its own with --format \
             FORMAT=FILE"
        );
        assert_refused(&format!("run --format json={one} -o {other} -- touch ran"), &sentence);
    }
    assert_refused(
        "report a.rsv --format json=new -o new",
        "two reports would go to new; give each a file with --format FORMAT=FILE",
    );
}

#[test]
fn standard_output_is_a_file_too() {
    let folder = folder();
    let before = files(folder.path());
    let append = |name: &str| {
        Stdio::from(std::fs::File::options().append(true).open(folder.path().join(name)).unwrap())
    };
    let (code, said) = probe(folder.path(), "report soft", append("a.rsv"));
    let sentence = "error: a report would go to standard output, which is the recording soft; give the report a file of its own";
    assert_eq!((code, said.as_str()), (2, sentence));
    let (code, said) = probe(folder.path(), "report a.rsv --format json=- -o known", append("known"));
    assert_eq!(code, 2);
    assert!(said.contains("by the names standard output and known"), "{said}");
    assert_eq!(files(folder.path()), before);
}

#[test]
fn reports_go_to_files_of_their_own_and_links_to_those_stay() {
    let folder = folder();
    symlink("report", folder.path().join("link")).unwrap();
    std::fs::write(folder.path().join("report"), "old").unwrap();
    let (code, said) =
        probe(folder.path(), "report a.rsv --ignore known -o link --format json=new", Stdio::piped());
    assert_eq!(code, 0, "{said}");
    assert!(folder.path().join("link").is_symlink());
    assert!(std::fs::read_to_string(folder.path().join("report")).unwrap().starts_with("CLEAN"));
    assert_eq!(std::fs::read(folder.path().join("a.rsv")).unwrap(), RECORDING);
}
