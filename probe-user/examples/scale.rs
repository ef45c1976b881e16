//! How the books grow: `cargo run --release --example scale`.
//!
//! A simulated correct btrfs of a given size makes records, and the ledger books them: ns per record are CPU time of decoding and
//! booking alone. Each row is run twice, in processes of their own, with the ledger and without it; the difference of
//! their peaks is its memory. For a single core run it under `taskset -c 0`.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement for developers")]
use std::{hint::black_box, process::Command, time::Duration};

use nix::time::{ClockId, clock_gettime};
use probe_ledger::{AHEAD, Ledger, Setup, Verdict};
use probe_record::{batch::RecordBatch, record::Record};
use probe_simulated::{size::Size, tracepoints::Simulator};

/// Operations whose records are made before they are booked.
const PART: u64 = 20_000;
/// Records that are booked at a time.
const BATCH: usize = 4_096;
/// Buffered write of an extent; its writeback; eviction of a clean inode.
const WRITE: u8 = 0;
const WRITEBACK: u8 = 3;
const EVICT: u8 = 5;

/// name, filesystems, inodes that live at a time, tasks, inodes over the run (0: the same ones all the time)
const ROWS: [(&str, u32, u64, usize, u64); 8] = [
    ("1,000 inodes", 1, 1_000, 64, 0),
    ("10,000 inodes", 1, 10_000, 64, 0),
    ("100,000 inodes", 1, 100_000, 64, 0),
    ("1,000,000 inodes", 1, 1_000_000, 64, 0),
    ("10,000 inodes, 1,000,000 over the run", 1, 10_000, 64, 1_000_000),
    ("10,000 inodes, 10,000,000 over the run", 1, 10_000, 64, 10_000_000),
    ("100 filesystems, 10,000 inodes", 100, 10_000, 64, 0),
    ("10,000 tasks, 10,000 inodes", 1, 10_000, 10_000, 0),
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [row, with] = arguments.as_slice() {
        return print!("{}", measure(row.parse().unwrap(), with == "with"));
    }
    println!("{:40} {:>12} {:>10} {:>12} {:>11}", "", "records", "ns/record", "memory, MiB", "B per inode");
    for (row, (name, _, inodes, ..)) in ROWS.iter().enumerate() {
        let [without, with] = ["without", "with"].map(|with| {
            let own = std::env::current_exe().unwrap();
            let output = Command::new(own).args([&row.to_string(), with]).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            let text = String::from_utf8(output.stdout).unwrap();
            let numbers: Vec<u64> = text.split_whitespace().map(|number| number.parse().unwrap()).collect();
            <[u64; 3]>::try_from(numbers).unwrap()
        });
        let [records, time, peak] = with;
        let memory = peak.saturating_sub(without[2]);
        println!(
            "{name:40} {records:>12} {:>10.1} {:>12.1} {:>11}",
            time as f64 / records as f64,
            memory as f64 / f64::from(1 << 20),
            memory / inodes,
        );
    }
}

/// Records, ns in the ledger, and the peak of this process's memory, bytes.
fn measure(row: usize, with: bool) -> String {
    let (_, filesystems, inodes, tasks, over_all) = ROWS[row];
    let size = Size { filesystems, inodes: inodes.max(over_all), tasks };
    let mut simulator = Simulator::of_size(size, 269);
    let mut ledger = Ledger::new(Setup::default());
    let (mut records, mut time) = (0, Duration::ZERO);
    let mut batch = RecordBatch::new();
    let mut book_all = |simulator: &mut Simulator| {
        for part in simulator.records.chunks(BATCH) {
            batch.clear();
            part.iter().for_each(|record| batch.push_record(record));
            records += batch.records();
            let begin = cpu_time();
            if with {
                book(&mut ledger, black_box(&batch));
            }
            time += cpu_time() - begin;
        }
        simulator.records.clear();
    };
    if over_all > 0 {
        let all: Vec<u64> = (0..over_all).collect();
        for live in all.chunks(inodes as usize) {
            for part in live.chunks(PART as usize) {
                for operation in [WRITE, WRITEBACK] {
                    simulator.work(size, operation, part);
                    book_all(&mut simulator);
                }
            }
            simulator.work(size, EVICT, live);
            simulator.forget(size, live);
            book_all(&mut simulator);
        }
    } else {
        let all: Vec<u64> = (0..inodes).collect();
        for part in all.chunks(PART as usize) {
            simulator.work(size, WRITE, part);
            book_all(&mut simulator);
        }
        for _ in 0..100 {
            for operation in [WRITEBACK, WRITE] {
                let some: Vec<u64> = (0..PART).map(|_| simulator.random(inodes)).collect();
                simulator.work(size, operation, &some);
                book_all(&mut simulator);
            }
        }
    }
    let peak = peak();
    simulator.end(size);
    book_all(&mut simulator);
    if with {
        ledger.finish();
        let summary = ledger.summary(0);
        assert_eq!(summary.verdict, Verdict::Clean, "a correct btrfs: {:?}", summary.verdict_reasons);
    }
    format!("{records} {} {peak}\n", time.as_nanos())
}

/// As a session does it.
fn book(ledger: &mut Ledger, batch: &RecordBatch) {
    for group in batch.groups(AHEAD) {
        ledger.look_ahead(group.clone().flatten());
        for bytes in group {
            let record = bytes.and_then(Record::decode);
            ledger.apply(record.as_ref().unwrap());
        }
    }
}

/// CPU time of this thread.
fn cpu_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap().into()
}

/// `VmHWM` of this process, bytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() << 10
}
