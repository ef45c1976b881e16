//! Kretprobes are events of tracefs: with room for more calls than a kernel follows by itself, and gone with the session.
use std::fs;
use std::io;
use std::os::unix::process::CommandExt;

use nix::libc;
use nix::sys::signal::Signal;

use super::module;
use super::run::Tier;
use crate::support::load;
use crate::support::probe::{self, Session, assert_clean, list};

const EVENTS: &str = "/sys/kernel/tracing/kprobe_events";

pub fn run() {
    module::load();
    module::disarm();
    let fs = load::filesystem(160);
    let mut arguments = vec!["watch"];
    arguments.extend(Tier::Functions.arguments());
    let killed = by_kprobes(&arguments);
    let left = events();
    assert!(left.len() > 20 && left.iter().all(|event| event.starts_with("r1024:")), "{left:?}");
    killed.signal(Signal::SIGKILL);
    killed.finish();
    assert_eq!(events(), left, "the kernel takes them away by itself: nothing of ours has to");

    let session = by_kprobes(&arguments);
    let made = events();
    assert_eq!(made.len(), left.len(), "{made:?}");
    assert!(!made.iter().any(|event| left.contains(event)), "{made:?}");
    fs::write(fs.path().join("file"), vec![7; 8 << 20]).expect("room");
    let done = session.interrupt();
    assert!(events().is_empty(), "{:?}", events());
    assert_clean(&done);
    let told =
        list(&done.report()["hooks"]).iter().filter(|hook| hook["kind"] == "kprobe+kretprobe").all(|hook| {
            hook["state"] != "attached"
                || hook["reason"].as_str().is_some_and(|why| why.contains("BTF objects"))
        });
    assert!(told, "why not by fentry: {}", done.report()["hooks"]);
    let narrow: Vec<_> = list(&done.report()["hooks"])
        .iter()
        .filter(|hook| hook["reason"].as_str().is_some_and(|why| why.contains("follows few calls")))
        .collect();
    assert!(narrow.is_empty(), "{narrow:?}");
}

/// The tool where it uses kprobes: without `CAP_SYS_ADMIN` it cannot ask for the BTF object of the module, which fentry takes.
fn by_kprobes(arguments: &[&str]) -> Session {
    /// `include/uapi/linux/capability.h`
    const CAP_SYS_ADMIN: libc::c_ulong = 21;
    // At Debian's 3, kprobes take that right too.
    fs::write("/proc/sys/kernel/perf_event_paranoid", "2").expect("a sysctl");
    let mut session = probe::start_with(arguments, |command| {
        let change = || {
            // SAFETY: takes numbers alone.
            let dropped = unsafe { libc::prctl(libc::PR_CAPBSET_DROP, CAP_SYS_ADMIN, 0, 0, 0) };
            if dropped == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
        };
        // SAFETY: one system call.
        unsafe { command.pre_exec(change) };
    });
    session.wait_for("attached,");
    session
}

/// Events of ours in tracefs.
fn events() -> Vec<String> {
    let listed = fs::read_to_string(EVENTS).expect("tracefs");
    listed.lines().filter(|line| line.contains(":btrfs_probe_")).map(str::to_owned).collect()
}
