//! How the books grow: `cargo run --release --example scale`.
//!
//! A simulated correct btrfs of a given size makes records, and the ledger books them: ns per record are CPU time of decoding and
//! booking alone. Each row is run twice, in processes of their own, with the ledger and without it; the difference of
//! their peaks is its memory. For a single core run it under `taskset -c 0`.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement for developers")]
use std::{hint::black_box, process::Command, time::Duration};

use nix::time::{ClockId, clock_gettime};
use probe_common::hook::HookId;
use probe_ledger::{AHEAD, Ledger, Setup, Verdict};
use probe_record::{batch::RecordBatch, record::Record};
use probe_simulated::{functions::Kernel, size::Size, tracepoints::Simulator};

/// Operations whose records are made before they are booked.
const PART: u64 = 20_000;
/// Records that are booked at a time.
const BATCH: usize = 4_096;
/// Buffered write of an extent; its writeback; eviction of a clean inode.
const WRITE: u8 = 0;
const WRITEBACK: u8 = 3;
const EVICT: u8 = 5;

/// Writeback on the functions tier; up to four ranges of an inode are dirty.
const CLEAN: u8 = 6;

/// name, filesystems, inodes that live at a time, tasks, inodes over the run (0: the same ones all the time)
const ROWS: [(&str, u32, u64, usize, u64); 12] = [
    ("1,000 inodes", 1, 1_000, 64, 0),
    ("10,000 inodes", 1, 10_000, 64, 0),
    ("100,000 inodes", 1, 100_000, 64, 0),
    ("1,000,000 inodes", 1, 1_000_000, 64, 0),
    ("10,000 inodes, 1,000,000 over the run", 1, 10_000, 64, 1_000_000),
    ("10,000 inodes, 10,000,000 over the run", 1, 10_000, 64, 10_000_000),
    ("100 filesystems, 10,000 inodes", 100, 10_000, 64, 0),
    ("10,000 tasks, 10,000 inodes", 1, 10_000, 10_000, 0),
    ("functions: 1,000 inodes", 1, 1_000, FUNCTIONS, 0),
    ("functions: 10,000 inodes", 1, 10_000, FUNCTIONS, 0),
    ("functions: 100,000 inodes", 1, 100_000, FUNCTIONS, 0),
    ("functions: 1,000,000 inodes", 1, 1_000_000, FUNCTIONS, 0),
];
/// In place of the number of tasks: the functions tier, which has six.
const FUNCTIONS: usize = 0;

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
    if tasks == FUNCTIONS {
        return measure_calls(inodes, with);
    }
    let size = Size { filesystems, inodes: inodes.max(over_all), tasks };
    let mut simulator = Simulator::of_size(size, 269);
    let mut books = Books::new(with, Setup::default());
    if over_all > 0 {
        let all: Vec<u64> = (0..over_all).collect();
        for live in all.chunks(inodes as usize) {
            for part in live.chunks(PART as usize) {
                for operation in [WRITE, WRITEBACK] {
                    simulator.work(size, operation, part);
                    books.take(&mut simulator.records);
                }
            }
            simulator.work(size, EVICT, live);
            simulator.forget(size, live);
            books.take(&mut simulator.records);
        }
    } else {
        let all: Vec<u64> = (0..inodes).collect();
        for part in all.chunks(PART as usize) {
            simulator.work(size, WRITE, part);
            books.take(&mut simulator.records);
        }
        for _ in 0..100 {
            for operation in [WRITEBACK, WRITE] {
                let some: Vec<u64> = (0..PART).map(|_| simulator.random(inodes)).collect();
                simulator.work(size, operation, &some);
                books.take(&mut simulator.records);
            }
        }
    }
    let peak = peak();
    simulator.end(size);
    books.take(&mut simulator.records);
    books.end(peak)
}

/// [`measure`] on the functions tier.
fn measure_calls(inodes: u64, with: bool) -> String {
    let mut kernel = Kernel::of_size(269);
    let mut books = Books::new(with, Setup { attached: HookId::ALL.to_vec(), ..Setup::default() });
    let all: Vec<u64> = (0..inodes).collect();
    for part in all.chunks(PART as usize) {
        kernel.work(WRITE, part);
        books.take(&mut kernel.records);
    }
    for _ in 0..50 {
        for operation in [CLEAN, WRITE] {
            let some: Vec<u64> = (0..PART).map(|_| kernel.random(inodes)).collect();
            kernel.work(operation, &some);
            books.take(&mut kernel.records);
        }
    }
    let peak = peak();
    for part in all.chunks(PART as usize) {
        for _ in 0..4 {
            kernel.work(CLEAN, part);
            books.take(&mut kernel.records);
        }
    }
    kernel.close();
    books.take(&mut kernel.records);
    books.end(peak)
}

/// The ledger, and what booking took.
struct Books {
    with: bool,
    ledger: Ledger,
    batch: RecordBatch,
    records: u64,
    time: Duration,
}

impl Books {
    fn new(with: bool, setup: Setup) -> Self {
        let (ledger, batch) = (Ledger::new(setup), RecordBatch::new());
        Self { with, ledger, batch, records: 0, time: Duration::ZERO }
    }

    /// Books what was recorded.
    fn take(&mut self, records: &mut Vec<Record>) {
        for part in records.chunks(BATCH) {
            self.batch.clear();
            part.iter().for_each(|record| self.batch.push_record(record));
            self.records += self.batch.records();
            let begin = cpu_time();
            if self.with {
                book(&mut self.ledger, black_box(&self.batch));
            }
            self.time += cpu_time() - begin;
        }
        records.clear();
    }

    fn end(mut self, peak: u64) -> String {
        if self.with {
            self.ledger.finish();
            let summary = self.ledger.summary(0);
            assert_eq!(summary.verdict, Verdict::Clean, "a correct btrfs: {:?}", summary.verdict_reasons);
        }
        format!("{} {} {peak}\n", self.records, self.time.as_nanos())
    }
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
