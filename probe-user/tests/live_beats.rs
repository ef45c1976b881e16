//! The signs of life of `watch`: a heartbeat among the lines of NDJSON, and the status line of a terminal.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail by panicking")]
mod support;

use std::{
    fs::File,
    io::{BufRead as _, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use probe_workload::loopfs::{LoopFs, LoopFsOptions};
use serde_json::Value;
use support::{
    probe::{self, RING, number},
    tmux::{Tmux, quoted},
};

const MIB: usize = 1 << 20;

fn filesystem() -> LoopFs {
    LoopFs::create_mounted(LoopFsOptions::new(256 << 20).single()).unwrap()
}

fn dirty(path: &Path) {
    File::create(path).unwrap().write_all(&vec![0x5a; 20 * MIB]).unwrap();
}

#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn a_heartbeat_says_how_the_session_stands() {
    let Some(_alone) = support::live() else { return };
    let fs = filesystem();
    let mut watch = Command::new(probe::program())
        .args(["watch", "--format", "ndjson", "--heartbeat", "200ms", "--ring-size", RING, "--fs"])
        .arg(fs.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let pid = Pid::from_raw(watch.id() as i32);
    let mut kinds = Vec::new();
    let mut seen = false;
    for line in BufReader::new(watch.stdout.take().unwrap()).lines() {
        let line: Value = serde_json::from_str(&line.unwrap()).unwrap();
        let kind = line["type"].as_str().unwrap().to_owned();
        if kind == "heartbeat" && !kinds.contains(&kind) {
            dirty(&fs.path().join("dirty"));
        }
        let pool = &line["biggest_pool"];
        if kind == "heartbeat"
            && !seen
            && pool["space"] == "data"
            && number(&pool["bytes_may_use"]) >= 20 << 20
        {
            seen = true;
            assert_eq!(pool["filesystem"], fs.fsid().to_string(), "{line}");
            assert!(number(&line["records"]) > 0 && number(&line["time_ns"]) > 0, "{line}");
            assert_eq!((number(&line["findings"]), number(&line["waiting"])), (0, 0), "{line}");
            kill(pid, Signal::SIGINT).unwrap();
        }
        kinds.push(kind);
    }
    watch.wait().unwrap();
    assert!(seen, "{kinds:?}");
    assert_eq!(kinds.last().map(String::as_str), Some("report"), "{kinds:?}");
}

#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn a_terminal_has_a_status_line_until_the_report() {
    let Some(_alone) = support::live() else { return };
    let Some(tmux) = Tmux::start(100, 40) else { return };
    let fs = filesystem();
    let program = quoted(&probe::program());
    tmux.command(&format!(
        "{program} watch -q --ring-size {RING} --fs {}; echo \"left with $?\"",
        quoted(fs.path())
    ));
    tmux.wait_for("attached");
    tmux.key("C-c");
    let quiet =
        tmux.wait_until("the end", |screen| screen.contains("left with 0") || screen.contains("left with 4"));
    assert!(!quiet.contains("records/s"), "{quiet}");
    tmux.command(&format!(
        "clear; {program} watch --ring-size {RING} --fs {} > /dev/null; echo \"left with $?\"",
        quoted(fs.path())
    ));
    tmux.wait_for("records/s");
    dirty(&fs.path().join("dirty"));
    let screen = tmux.wait_for("data may_use 20M");
    // One line, below what was said before.
    assert_eq!(screen.matches("records/s").count(), 1, "{screen}");
    assert!(screen.find("attached").unwrap() < screen.find("records/s").unwrap(), "{screen}");
    tmux.key("C-c");
    let screen =
        tmux.wait_until("the end", |screen| screen.contains("left with 0") || screen.contains("left with 4"));
    assert!(!screen.contains("records/s"), "{screen}");
}

/// Writes until there is no space.
fn fill(path: &Path) {
    let mut file = File::create(path).unwrap();
    let block = vec![0x5a; MIB];
    let error = (0..4096).find_map(|_| file.write_all(&block).and_then(|()| file.sync_data()).err());
    assert_eq!(error.unwrap().kind(), std::io::ErrorKind::StorageFull);
}

#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn a_full_filesystem_runs_its_command_and_is_in_the_metrics() {
    let Some(_alone) = support::live() else { return };
    let fs = filesystem();
    let folder = tempfile::tempdir().unwrap();
    let (document, metrics) = (folder.path().join("document"), folder.path().join("btrfs-probe.prom"));
    // It does not end by itself: the session must not wait for it.
    let command =
        format!("cat > {0}.new; mv {0}.new {0}; echo \"has its $KIND\"; exec sleep 1000", document.display());
    let uuid = fs.fsid().to_string();
    let watch = ["watch", "--ring-size", RING, "--fs", &uuid, "--on", "enospc", &command, "--metrics"];
    let more = [metrics.to_str().unwrap(), "--metrics-interval", "100ms"];
    let mut session = probe::start_with(&[&watch[..], &more].concat(), |command| {
        command.env("KIND", "document");
    });
    session.wait_for("attached,");
    fill(&fs.path().join("large"));
    session.wait_for("has its document");
    // While the command runs, the session goes on.
    let failed = format!(
        "btrfs_probe_failures_total{{filesystem=\"{uuid}\",kind=\"ticket\",errno=\"ENOSPC\",cause=\""
    );
    let begun = std::time::Instant::now();
    let text = loop {
        let text = std::fs::read_to_string(&metrics).unwrap();
        if text.contains(&failed) || begun.elapsed() > support::deadline(60) {
            break text;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    };
    assert!(text.contains(&failed), "{text}");
    for part in [
        "btrfs_probe_watching 1",
        &format!("btrfs_probe_space_info_total_bytes{{filesystem=\"{uuid}\",space_info=\"data\"}} "),
        &format!("btrfs_probe_ticket_wait_seconds_count{{filesystem=\"{uuid}\"}} "),
        "btrfs_probe_hook_runs_total{hook=\"update_bytes_may_use\"} ",
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    let done = session.interrupt();
    assert!(
        done.stderr.contains("--on enospc: 1 run took too long at the end and was ended"),
        "{}",
        done.stderr
    );
    let text = std::fs::read_to_string(&metrics).unwrap();
    assert!(text.contains("btrfs_probe_watching 0") && text.ends_with("# EOF\n"), "{text}");
    let event: Value = serde_json::from_slice(&std::fs::read(&document).unwrap()).unwrap();
    let failure = &event["failure"];
    assert_eq!(
        (&event["event"], &event["schema_version"]),
        (&Value::from("enospc"), &Value::from(1)),
        "{event}"
    );
    assert_eq!(
        (&failure["filesystem"], &failure["errno"]),
        (&Value::from(uuid), &Value::from("ENOSPC")),
        "{event}"
    );
    assert_eq!(failure["space_info"], "data", "{event}");
    assert!(!failure["instances"][0]["why"]["sentence"].is_null(), "{event}");
}
