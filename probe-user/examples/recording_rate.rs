//! How fast records go into a recording and come back: `cargo run --release --example recording_rate [LEVEL [DIRECTORY]]`.
//!
//! 96-byte records are drawn from a model of a busy filesystem: some threads, many inodes, growing counters, and
//! pushed as fast as the writer takes them. For a single core run it under `taskset -c 0`.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement for developers")]
use std::time::{Duration, Instant};

use probe_common::{header::Header, inode::Mod};
use probe_record::{
    batch::RecordBatch,
    file::{RecordingReader, RecordingWriter, WriterOptions},
    session::{SessionEnd, SessionHeader},
};
use zerocopy::IntoBytes as _;

/// Length of each record.
const LEN: usize = 96;
/// Records made once and pushed again and again with new times, so that making them is not measured.
const MODEL: usize = 200_000;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let level = arguments.next().map_or(WriterOptions::default().level, |level| level.parse().unwrap());
    let directory = arguments.next().map_or_else(std::env::temp_dir, Into::into);
    let seconds = Duration::from_secs(5);
    let path = directory.join(format!("recording_rate.{}.rsv", std::process::id()));
    let model = model();

    let options = WriterOptions { level, ..WriterOptions::default() };
    let mut writer = RecordingWriter::create(&path, &SessionHeader::default(), &options).unwrap();
    let (begin, cpu) = (Instant::now(), cpu_time());
    let mut pushed = 0_u64;
    while begin.elapsed() < seconds {
        for record in model.raw() {
            writer.push(record.unwrap());
        }
        pushed += model.records();
    }
    let done = writer.finish(SessionEnd::default()).unwrap();
    report("write", pushed, begin.elapsed(), cpu_time() - cpu);
    let raw = pushed * LEN as u64;
    println!(
        "       level {level}, {:.2} GB of records in {:.2} GB ({:.1} %), complete {}, lost {}",
        raw as f64 / 1e9,
        done.status.bytes as f64 / 1e9,
        100.0 * done.status.bytes as f64 / raw as f64,
        done.complete,
        done.status.lost,
    );

    let mut reader = RecordingReader::open(&path).unwrap();
    let mut batch = RecordBatch::new();
    let (begin, cpu) = (Instant::now(), cpu_time());
    let (mut read, mut sum) = (0, 0_u64);
    while reader.next_batch(&mut batch) {
        for record in batch.iter().flatten() {
            sum = sum.wrapping_add(record.header().time);
            read += 1;
        }
    }
    report("read", read, begin.elapsed(), cpu_time() - cpu);
    assert_eq!(read, pushed, "all that was pushed comes back ({sum})");
    std::fs::remove_file(path).unwrap();
}

fn report(what: &str, records: u64, wall: Duration, cpu: Duration) {
    let (wall, cpu) = (wall.as_secs_f64(), cpu.as_secs_f64());
    let rate = |seconds| records as f64 / seconds / 1e6;
    println!("{what:5}  {:.2} M records/s wall, {:.2} M records per CPU second", rate(wall), rate(cpu));
}

/// CPU time of all threads of this process.
fn cpu_time() -> Duration {
    use nix::sys::{
        resource::{UsageWho, getrusage},
        time::TimeVal,
    };
    let usage = getrusage(UsageWho::RUSAGE_SELF).unwrap();
    let of = |time: TimeVal| Duration::new(time.tv_sec() as u64, time.tv_usec() as u32 * 1000);
    of(usage.user_time()) + of(usage.system_time())
}

fn model() -> RecordBatch {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    let mut batch = RecordBatch::new();
    let mut time = 4_000_000_000_000_u64;
    let mut outstanding = vec![0_u32; 5000];
    for number in 0..MODEL {
        // Coarse time: a jiffy of 4 ms every 1000 records and so.
        time += if random(1000) == 0 { 4_000_000 } else { 0 };
        let inode = random(5000) as usize;
        let modification = if outstanding[inode] > 0 && random(2) == 0 { -1 } else { 1 };
        outstanding[inode] = outstanding[inode].wrapping_add_signed(modification);
        let record = Mod {
            header: Header {
                kind: 7,
                hook: 4,
                len: LEN as u16,
                cpu: random(2) as u16,
                lost: 0,
                tid: 4000 + random(24) as u32,
                fs: 1,
                time,
            },
            root: 5 + 256 * random(2),
            ino: 257 + inode as u64,
            modification,
            outstanding: outstanding[inode],
            expected: outstanding[inode],
            flags: 1,
            links: number as u64,
            stack: random(60).wrapping_mul(0x517c_c1b7_2722_0a95),
        };
        let mut bytes = [0_u8; LEN];
        bytes[..size_of::<Mod>()].copy_from_slice(record.as_bytes());
        // What a longer record of the same kind would carry: byte counts in pages, and one figure without pattern.
        let tail = [random(64) * 4096, random(1 << 20) * 4096, random(u64::MAX)];
        bytes[size_of::<Mod>()..].copy_from_slice(tail.as_bytes());
        batch.push(&bytes).unwrap();
    }
    batch
}
