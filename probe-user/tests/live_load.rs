//! A correct kernel under full load, met in the middle of it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail by panicking")]
#![allow(clippy::print_stdout, reason = "a failing test should show what was seen")]
mod support;

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use support::at_least;
use support::load::MixLoad;
use support::probe::{self, RING, assert_clean, assert_silent, lives, number};

#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn a_mixed_load_met_in_the_middle_is_clean_and_the_books_are_those_of_sysfs() {
    let Some(_alone) = support::live() else { return };
    let load = MixLoad::start(2, &["--quota", "--balance", "--size", "512"]);
    let mut arguments = vec!["watch", "--duration", "20s", "--ring-size", RING];
    arguments.extend(load.uuids.iter().flat_map(|uuid| ["--fs", uuid]));
    let done = probe::run(&arguments);
    let report = done.report();
    println!("{}", report["verdict_reasons"]);
    assert_clean(&done);
    assert!(number(&report["statistics"]["links"]) > at_least(100_000), "{}", report["statistics"]);
    assert!(number(&report["statistics"]["order_checked"]) > at_least(1000), "{}", report["statistics"]);
    assert!(number(&report["statistics"]["inodes_closed"]) > at_least(100), "{}", report["statistics"]);
    for uuid in &load.uuids {
        let [fs] = lives(report, uuid)[..] else { panic!("{uuid} has not one life: {report}") };
        assert_eq!(fs["born"], false);
        assert_eq!(fs["ended"], false);
        let audit = &fs["audit"];
        // Under full load a counter may keep moving, but not each of six in each of three audits.
        assert!(number(&audit["compared"]) > 0, "{audit}");
    }
}

#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn a_ring_that_is_too_small_makes_it_inconclusive_and_says_what_to_do() {
    let Some(_alone) = support::live() else { return };
    // Without a balance: one under way has to end before the load stops, and an emulated machine is slow at it.
    let _load = MixLoad::start(2, &["--size", "512"]);
    let stopped = Duration::from_secs(4) * support::patience().min(4);
    let duration = format!("{}s", stopped.as_secs() + 8);
    let session = probe::attached(&["watch", "--duration", &duration, "--ring-size", "64K"]);
    // Nobody reads meanwhile, so that the ring runs over even if the load is slow.
    session.signal(Signal::SIGSTOP);
    std::thread::sleep(stopped);
    session.signal(Signal::SIGCONT);
    let done = session.finish();
    let report = done.report();
    assert_silent(report);
    assert_eq!((report["verdict"].as_str(), done.code), (Some("inconclusive"), 4), "{}", report["loss"]);
    let by_class = &report["loss"]["by_class"];
    let classes = ["books_record", "chain_record", "descriptive"];
    let sum: i64 = classes.iter().map(|class| number(&by_class[class])).sum();
    assert!(number(&by_class["books_record"]) > 0, "{by_class}");
    assert_eq!(number(&report["loss"]["records"]), sum);
    let reasons = report["verdict_reasons"].to_string();
    assert!(reasons.contains("--ring-size"), "{reasons}");
    assert!(done.stderr.contains("lost so far"), "{}", done.stderr);
}

/// At most 64 MiB and 200 bytes for each live inode, from the first moment on, and flat.
///
/// Counted are private pages and the ring. `VmHWM` would count the ring twice, since it is mapped twice in a row so that
/// a record never wraps, and the text of an unoptimised program, which is larger than all of its data.
#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn memory_stays_within_its_budget() {
    let Some(_alone) = support::live() else { return };
    let load = MixLoad::start(1, &["--only", "small,orphan,inline,names", "--threads", "2"]);
    let uuid = load.uuids.iter().next().unwrap();
    let mut session = probe::start(&["watch", "--fs", uuid, "--duration", "20s"]);
    let mut peak = 0;
    let start = Instant::now();
    while !session.said("attached,") {
        assert!(start.elapsed() < support::deadline(90), "the hooks never went on");
        std::thread::sleep(Duration::from_millis(50));
        peak = peak.max(private_bytes(session.pid()).unwrap_or(0));
    }
    // What grows from here on grows with the load.
    let mut samples = Vec::new();
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(19) {
        std::thread::sleep(Duration::from_millis(50));
        samples.extend(private_bytes(session.pid()));
    }
    let done = session.finish();
    let report = done.report();
    assert_silent(report);
    let inodes = lives(report, uuid).iter().map(|fs| number(&fs["inodes"])).max().unwrap();
    let closed = number(&report["statistics"]["inodes_closed"]);
    peak = peak.max(*samples.iter().max().unwrap());
    println!("peak {peak} bytes, {inodes} inodes, {closed} closed, {} samples", samples.len());
    assert!(closed > at_least(1000), "the load was too small to show growth: {closed}");
    assert!(peak < (64 << 20) + 200 * inodes.unsigned_abs(), "{peak} bytes");
    // What leaks grows all the time; a queue that got longer once stays so, and is no leak.
    let at = [3, 4, 5, 6].map(|sixth| samples[(samples.len() - 1) * sixth / 6]);
    let steps = [0, 1, 2].map(|part| at[part + 1].saturating_sub(at[part]));
    assert!(
        *steps.iter().min().unwrap() < (4 << 20) / 3,
        "{steps:?} bytes more in the parts of the second half"
    );
}

/// Anonymous pages of a process, and its ring once there is one, in bytes.
fn private_bytes(pid: u32) -> Option<u64> {
    let read = |name: &str| std::fs::read_to_string(format!("/proc/{pid}/{name}")).ok();
    let status = read("status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    let anonymous = line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? << 10;
    // The kernel's types are read, and gone, before the ring is made.
    let ring = if read("maps")?.contains("bpf-map") { 16 << 20 } else { 0 };
    Some(anonymous + ring)
}
