//! More tasks inside a hooked function than a kretprobe has room for by itself, and what a killed tool leaves behind.
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;

use nix::libc::O_DSYNC;
use nix::sys::signal::Signal;

use super::module;
use super::run::Tier;
use crate::support::load;
use crate::support::probe::{self, assert_clean, list, number};

/// Guests have two processors that could be, so a kernel follows ten calls of a function by itself.
const TASKS: usize = 32;
const EVENTS: &str = "/sys/kernel/tracing/kprobe_events";

pub fn run() {
    module::load();
    module::disarm();
    let fs = load::filesystem(160);
    let mut arguments = vec!["watch"];
    arguments.extend(Tier::Functions.arguments());
    let killed = probe::attached(&arguments);
    killed.signal(Signal::SIGKILL);
    killed.finish();
    assert!(events() > 0, "a killed tool leaves nothing any more: this test has no use");

    let session = probe::attached(&arguments);
    write_until_full(fs.path());
    let done = session.interrupt();
    assert_eq!(events(), 0, "{:?}", std::fs::read_to_string(EVENTS));
    assert_clean(&done);
    let report = done.report();
    let narrow: Vec<_> = list(&report["hooks"])
        .iter()
        .filter(|hook| hook["reason"].as_str().is_some_and(|why| why.contains("follows few calls")))
        .collect();
    assert!(narrow.is_empty(), "{narrow:?}");
    assert_eq!(number(&report["loss"]["by_class"]["missed_return"]), 0, "{}", report["loss"]);
    assert!(
        list(&report["filesystems"]).iter().any(|fs| number(&fs["enospc"]) > 0),
        "nobody waited for space"
    );
}

/// Events of ours in tracefs.
fn events() -> usize {
    let listed = std::fs::read_to_string(EVENTS).expect("tracefs");
    listed.lines().filter(|line| line.contains("btrfs_probe_")).count()
}

/// Files that do not fit together: tasks wait for space inside the functions that reserve it.
fn write_until_full(root: &std::path::Path) {
    std::thread::scope(|scope| {
        for task in 0..TASKS {
            scope.spawn(move || {
                let path = root.join(format!("file{task}"));
                let file = std::fs::OpenOptions::new()
                    .create(true)
                    .write(true)
                    .truncate(true)
                    .custom_flags(if task % 2 == 0 { O_DSYNC } else { 0 })
                    .open(&path);
                // A full filesystem is what is wanted.
                let Ok(mut file) = file else { return };
                for _ in 0..128 {
                    if file.write_all(&[7; 64 << 10]).is_err() {
                        break;
                    }
                }
                drop(file);
                let _ = std::fs::remove_file(&path);
            });
        }
    });
}
