//! Samples of real recordings.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
use std::path::Path;

use probe_ledger::{FlushTotals, FsSummary};
use probe_record::{file::RecordingReader, stream::Source};

use super::*;
use crate::{
    capture::HookGauge,
    hooks::RunTime,
    metrics::{ALL, parse::samples},
    report::build::Policy,
    session::{
        consume::{Nobody, Onlooker, into_books},
        pulse::Pulse,
    },
};

/// Counts as the session does.
struct Counting<'a>(&'a mut Counts);

impl<S: Source> Onlooker<S> for Counting<'_> {
    fn record(&mut self, record: &Record) {
        self.0.see(record);
    }
}

fn of(recording: &str) -> String {
    let path = format!("{}/{recording}", env!("CARGO_MANIFEST_DIR"));
    let mut reader = RecordingReader::open(Path::new(&path)).unwrap();
    let mut counts = Counts::default();
    let books = into_books(&mut reader, Counting(&mut counts));
    let mut announcer = Announcer::new(false, false);
    announcer.announce(&books, &reader, &Policy::default());
    let beat = Pulse::default().beat(&books, &reader, announcer.found(), &Policy::default());
    let run = Some(RunTime { ns: 1_500_000_000, runs: 3 });
    let hooks = vec![HookGauge { id: "update_bytes_may_use", hits: 12, missed: 1, run }];
    let gauges = Gauges { hooks, ring_bytes: 1 << 24, ring_peak: 4096, closed: 0 };
    text(&mut counts, &announcer, &books, reader.header(), &beat, Some(&gauges), true)
}

#[test]
fn every_recording_gives_text_by_the_specification() {
    let mut seen = std::collections::BTreeSet::new();
    for name in ["audited", "born", "edquot", "enospc", "failures", "functions", "lossy", "midlife"] {
        let text = of(&format!("testdata/recordings/{name}.rsv"));
        let read = samples(&text);
        seen.extend(
            ALL.iter().map(|metric| metric.name).filter(|name| text.contains(&format!("# TYPE {name} "))),
        );
        assert!(read.len() < 400, "{name}: {} samples", read.len());
        let verdicts: f64 = read
            .iter()
            .filter(|(key, _)| key.starts_with("btrfs_probe_verdict{"))
            .map(|(_, value)| value)
            .sum();
        assert_eq!(verdicts, 1.0, "{name}");
    }
    // No recording ends while a filesystem that had flushes is mounted.
    let waits = FsWaits {
        flushes: vec![FlushTotals { space_flags: 1, state: 4, calls: 3, ..FlushTotals::default() }],
        ..FsWaits::default()
    };
    let fs = FsSummary { waits: Some(Box::new(waits)), ..FsSummary::default() };
    let mut out = Exposition::default();
    let flush_states = BTreeMap::from([(4, "FLUSH_DELALLOC".to_owned())]);
    filesystem(&mut out, &fs, &WaitNames { flush_states: &flush_states, started: 0, stall_ns: 0 });
    let text = out.finish();
    samples(&text);
    assert!(text.contains("space_info=\"data\",state=\"FLUSH_DELALLOC\"} 3"), "{text}");
    seen.insert("btrfs_probe_flush_calls");
    // Each row of the table is used.
    let unused: Vec<&str> =
        ALL.iter().map(|metric| metric.name).filter(|name| !seen.contains(name)).collect();
    assert!(unused.is_empty(), "{unused:?}");
}

#[test]
fn the_figures_are_those_of_the_report() {
    let read = samples(&of("testdata/recordings/audited.rsv"));
    let books = {
        let path = format!("{}/testdata/recordings/audited.rsv", env!("CARGO_MANIFEST_DIR"));
        into_books(&mut RecordingReader::open(Path::new(&path)).unwrap(), Nobody)
    };
    let get = |key: &str| read.get(&format!("btrfs_probe_{key}")).copied();
    assert_eq!(get("verdict{btrfs_probe_verdict=\"clean\"}"), Some(1.0));
    let records: f64 = read
        .iter()
        .filter(|(key, _)| key.starts_with("btrfs_probe_records_total{"))
        .map(|(_, value)| value)
        .sum();
    assert_eq!(records, books.ledger.record_count() as f64);
    let pools = books.ledger.pools();
    let fs = pools.iter().find(|fs| !fs.ended).unwrap();
    let uuid = format::uuid(&fs.fsid);
    let may_use = format!("space_info_may_use_bytes{{filesystem=\"{uuid}\",space_info=\"metadata\"}}");
    assert_eq!(get(&may_use), Some(5_767_168.0));
    assert!(get("reservations_total{account=\"inode.meta_rsv\",direction=\"reserve\"}").unwrap() > 0.0);
    assert_eq!(get("hook_run_seconds_total{hook=\"update_bytes_may_use\"}"), Some(1.5));
    assert_eq!(get("watching"), Some(1.0));
}

#[test]
fn findings_and_failures_are_counted_by_kind_and_cause() {
    let read = samples(&of("assets/broken.rsv"));
    let total = |name: &str| -> f64 {
        read.iter().filter(|(key, _)| key.starts_with(name)).map(|(_, value)| value).sum()
    };
    assert!(total("btrfs_probe_findings_total{") >= 4.0);
    assert!(total("btrfs_probe_violations_total{") >= total("btrfs_probe_findings_total{"));
    assert_eq!(read["btrfs_probe_verdict{btrfs_probe_verdict=\"findings\"}"], 1.0);
    let text = of("testdata/recordings/failures.rsv");
    assert!(text.contains("kind=\"qgroup\",errno=\"EDQUOT\",cause=\"qgroup-limit\"} "), "{text}");
    assert!(text.contains("errno=\"ENOSPC\",cause=\""), "{text}");
}

#[test]
fn many_filesystems_and_failures_keep_the_text_small() {
    let of = |number: u32, ended| {
        let mut fsid = [0; 16];
        fsid[..4].copy_from_slice(&number.to_le_bytes());
        FsSummary { fs: number, fsid, ended, ..FsSummary::default() }
    };
    // One that was mounted again, and one that is gone.
    let mut pools: Vec<FsSummary> = (0..1000).map(|number| of(number, false)).collect();
    pools.push(of(5000, true));
    pools.push(FsSummary { fs: 6000, ..of(3, false) });
    let (shown, left_out) = shown(&pools);
    assert_eq!((shown.len(), left_out), (MOST_FILESYSTEMS, 1000 - MOST_FILESYSTEMS));
}

#[test]
fn waits_fall_into_buckets_that_never_change() {
    let octaves = [(1 << 10, 1), (1 << 11, 2), (1 << 12, 4), (1_u64 << 40, 8)];
    let buckets = buckets(&octaves);
    assert_eq!(buckets.len(), 15);
    assert_eq!(&buckets[..3], &[(1 << 10, 1), (1 << 12, 6), (1 << 14, 0)]);
    assert_eq!(buckets.last(), Some(&(u64::MAX, 8)));
}
