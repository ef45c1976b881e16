//! Kretprobes are events of tracefs: with room for more calls than a kernel follows by itself, and gone with the session.
use std::fs;

use nix::sys::signal::Signal;

use super::module;
use super::run::Tier;
use crate::support::load;
use crate::support::probe::{self, assert_clean, list};

const EVENTS: &str = "/sys/kernel/tracing/kprobe_events";

pub fn run() {
    module::load();
    module::disarm();
    let fs = load::filesystem(160);
    let mut arguments = vec!["watch"];
    arguments.extend(Tier::Functions.arguments());
    let killed = probe::attached(&arguments);
    let left = events();
    assert!(left.len() > 20 && left.iter().all(|event| event.starts_with("r1024:")), "{left:?}");
    killed.signal(Signal::SIGKILL);
    killed.finish();
    assert_eq!(events(), left, "the kernel takes them away by itself: nothing of ours has to");

    let session = probe::attached(&arguments);
    let made = events();
    assert_eq!(made.len(), left.len(), "{made:?}");
    assert!(!made.iter().any(|event| left.contains(event)), "{made:?}");
    fs::write(fs.path().join("file"), vec![7; 8 << 20]).expect("room");
    let done = session.interrupt();
    assert!(events().is_empty(), "{:?}", events());
    assert_clean(&done);
    let narrow: Vec<_> = list(&done.report()["hooks"])
        .iter()
        .filter(|hook| hook["reason"].as_str().is_some_and(|why| why.contains("follows few calls")))
        .collect();
    assert!(narrow.is_empty(), "{narrow:?}");
}

/// Events of ours in tracefs.
fn events() -> Vec<String> {
    let listed = fs::read_to_string(EVENTS).expect("tracefs");
    listed.lines().filter(|line| line.contains(":btrfs_probe_")).map(str::to_owned).collect()
}
