//! Real traces, the same with a line less, and any text.
#![allow(clippy::unwrap_used, reason = "a test may panic")]
use proptest::prelude::*;

use super::{
    input::{Binary, Input},
    model::Imported,
};

const MOUNT: &str = include_str!("../../testdata/traces/mount-6.12.trace");
const ENOSPC: &str = include_str!("../../testdata/traces/enospc-6.12.trace");
const PERF: &str = include_str!("../../testdata/traces/perf-script-6.18.txt");
const TRACE_CMD: &str = include_str!("../../testdata/traces/trace-cmd-6.12.txt");

fn of(text: &str) -> Imported {
    let mut input = Input::default();
    assert_eq!(input.read(text.as_bytes()).unwrap(), None);
    input.finish()
}

fn links(imported: &Imported) -> (u64, u64) {
    let rows = imported.filesystems.iter().flat_map(|fs| &fs.chains);
    rows.fold((0, 0), |sum, row| (sum.0 + row.links, sum.1 + row.breaks))
}

#[test]
fn every_change_of_a_real_trace_fits() {
    for (text, least) in [(MOUNT, 100), (TRACE_CMD, 10), (PERF, 10), (ENOSPC, 10)] {
        let imported = of(text);
        let (links, breaks) = links(&imported);
        assert!(links >= least && breaks == 0, "{imported:#?}");
        assert_eq!((imported.not_understood, imported.findings_count, imported.filesystems.len()), (0, 0, 1));
        assert_eq!(imported.verdict, "inconclusive");
    }
    // Every line behind the head is an event.
    assert_eq!(of(MOUNT).events, 308);
}

#[test]
fn tickets_end_with_space_or_an_error() {
    let imported = of(ENOSPC);
    let tickets = &imported.filesystems[0].tickets;
    assert_eq!((tickets.granted, tickets.failed, tickets.errors[0].errno), (0, 2, 28));
    // The task and the figure that btrfs-probe itself saw beside the trace: 2.04 s.
    let (longest, at) = (tickets.longest_ns.unwrap(), tickets.longest_at.as_ref().unwrap());
    assert_eq!((longest / 10_000_000, at.comm.as_str()), (203, "dd"));
    assert_eq!(imported.filesystems[0].failed_all, 2);
}

/// Without any one change that is not the last of its counter, the next one of it breaks.
#[test]
fn a_change_that_is_missing_shows_at_the_next_one() {
    let lines: Vec<&str> = MOUNT.lines().collect();
    let changes: Vec<usize> = (0..lines.len())
        .filter(|at| lines[*at].contains("update_bytes_may_use") && !lines[*at].contains("diff=0"))
        .collect();
    let mut shown = 0;
    for at in &changes {
        let mut less = lines.clone();
        less.remove(*at);
        let imported = of(&less.join("\n"));
        let (_, breaks) = links(&imported);
        assert!(breaks <= 1 && imported.findings_count == 0, "{at}: {imported:#?}");
        shown += breaks;
        if let Some(found) = imported.filesystems[0].breaks.first() {
            assert!(found.at.line > *at as u64, "{found:?}");
            assert!(imported.verdict_reasons.iter().any(|reason| reason.contains("That is no finding")));
        }
    }
    // The first and the last change of each type have no neighbour on one side.
    assert!(shown + 4 >= changes.len() as u64, "{shown} of {}", changes.len());
}

const FS: &str = "5ed97e2b-617c-4964-84e8-ae5339236593";

fn line(event: &str, fields: &str) -> String {
    format!("  dd-7 [000] ...2. 1.000001: {event}: {FS}: {fields}\n")
}

#[test]
fn more_taken_than_there_was_is_a_finding() {
    for (event, fields, account, object) in [
        (
            "update_bytes_may_use",
            "type=METADATA old=4096 diff=-8192",
            "space.metadata.bytes_may_use",
            "METADATA",
        ),
        (
            "qgroup_update_reserve",
            "qgid=281474976710912 type=DATA cur_reserved=0 diff=-1",
            "qgroup.data",
            "1/256",
        ),
        (
            "btrfs_qgroup_update_reserve",
            "qgid=5 type=META_PREALLOC cur_reserved=4 diff=-5",
            "qgroup.meta_prealloc",
            "0/5",
        ),
        (
            "btrfs_inode_mod_outstanding_extents",
            "root=5(FS_TREE) ino=257 mod=-1 outstanding=4294967295",
            "inode.outstanding_extents",
            "5/257",
        ),
    ] {
        let imported = of(&line(event, fields));
        assert_eq!((imported.verdict.as_str(), imported.findings_count), ("findings", 1), "{fields}");
        let finding = &imported.findings[0];
        assert_eq!((finding.account.as_str(), finding.object.as_str()), (account, object));
        assert_eq!((finding.at.line, finding.at.tid), (1, 7));
        assert!(finding.old + finding.diff < 0);
    }
    // What fits exactly, and what was below zero before, are none.
    let fine = line("update_bytes_pinned", "type=DATA old=4096 diff=-4096")
        + &line("update_bytes_may_use", "type=DATA old=18446744073709551615 diff=-1");
    assert_eq!(of(&fine).findings_count, 0);
}

/// The kernel said so too: its WARN is in the trace.
#[test]
fn a_real_underflow_is_found_with_its_warn() {
    let imported = of(include_str!("../../testdata/traces/underflow-6.1.trace"));
    assert_eq!((imported.findings_count, links(&imported).1), (1, 0));
    let finding = &imported.findings[0];
    assert_eq!(
        (finding.account.as_str(), finding.old, finding.diff),
        ("space.data.bytes_may_use", 0, -65536)
    );
    assert_eq!((finding.at.comm.as_str(), finding.at.line), ("rm", 130));
    assert!(imported.warnings[0].text.contains("fs/btrfs/space-info.h:191"), "{:?}", imported.warnings);
}

#[test]
fn what_a_trace_says_of_its_losses_is_told() {
    let head = "# entries-in-buffer/entries-written: 10/25   #P:2\n";
    let text = head.to_owned()
        + &line("update_bytes_may_use", "type=DATA old=0 diff=5")
        + "CPU:1 [LOST 12 EVENTS]\nCPU:0 [EVENTS DROPPED]\n##### CPU 1 buffer started ####\n"
        + &line("update_bytes_may_use", "type=DATA old=9 diff=5")
        + "  dd-7 [000] 1.0: console: WARNING: CPU: 0 PID: 7 at fs/btrfs/space-info.h:190 btrfs_x+0x1/0x2\n"
        + &line("update_bytes_may_use", "type=DATA old=garbage diff=5");
    let imported = of(&text);
    let lost = &imported.lost;
    assert_eq!((lost.events, lost.places_without_number, lost.overwritten), (12, 1, 15));
    assert_eq!((imported.not_understood, imported.filesystems[0].breaks_count), (1, 1));
    assert_eq!((imported.warnings.len(), imported.warnings[0].line), (1, 7));
    assert_eq!(imported.verdict, "inconclusive");
    assert!(imported.verdict_reasons.iter().any(|reason| reason.contains("buffer_size_kb")));
}

#[test]
fn a_binary_file_is_told_from_a_text() {
    let read = |bytes: &[u8]| Input::default().read(bytes).unwrap();
    assert_eq!(read(b"\x17\x08\x44tracing6\0"), Some(Binary::TraceCmd));
    assert_eq!(read(b"PERFILE2\x68"), Some(Binary::Perf));
    assert_eq!(read(&probe_record::file::layout::FILE_MAGIC), Some(Binary::Recording));
    assert_eq!(read(b"\x7fELF"), None);
}

/// Names, filesystems and counters without end are bounded, and what finds no room is counted.
#[test]
fn memory_is_bounded() {
    let mut input = Input::default();
    for n in 0..2000_u32 {
        let fs = format!("{n:08x}-617c-4964-84e8-ae5339236593");
        input.line(&format!("  t{n}-{n} [000] ...2. 1.000001: btrfs_event_{n}: {fs}: x=1"));
        input.line(&line("btrfs_space_reservation", &format!("kind{n}: 1 reserve 4096")));
        input.line(&line(
            "btrfs_flush_space",
            &format!("state=1(S{n}) flags=1(DATA) num_bytes=1 ret=0 for_preempt=0"),
        ));
        input.line(&line("btrfs_trigger_flush", &format!("why{n}: flush=3(0x3) flags=1(DATA) bytes=1")));
        input.line(&line(
            "btrfs_reserve_ticket",
            &format!("flags=DATA bytes=1 start_ns=1 flush=0x3 error=-{n}"),
        ));
        input.line(&line("update_bytes_may_use", &format!("type=T{n} old=1 diff=-2")));
    }
    input.line(&"x".repeat(1 << 20));
    let imported = input.finish();
    assert!(imported.filesystems.len() <= 64 && imported.by_event.len() <= 256);
    assert!(imported.tasks.len() <= 16 && imported.findings.len() <= 64);
    assert!(imported.events_not_followed > 9000, "{}", imported.events_not_followed);
    for fs in &imported.filesystems {
        assert!(fs.chains.len() <= 64 && fs.reservations.len() <= 64 && fs.flushes.len() <= 64);
        assert!(fs.triggers.len() <= 64 && fs.tickets.errors.len() <= 64);
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        let mut input = Input::default();
        if input.read(bytes.as_slice()).unwrap().is_none() {
            prop_assert_eq!(input.finish().verdict, "inconclusive");
        }
    }

    /// A real trace in which letters, numbers and lines were changed: read without a panic, and never `clean`.
    #[test]
    fn a_changed_trace_is_read(
        changes in prop::collection::vec((0..MOUNT.len(), prop::option::of(any::<char>())), 1..40),
        huge in 0..5_usize,
    ) {
        let huge = ["18446744073709551615", "-9223372036854775808", "9223372036854775807", "-1", ""][huge];
        let mut text: Vec<char> = MOUNT.chars().collect();
        for (at, to) in changes {
            match to {
                Some(to) => text[at] = to,
                None => text[at..].iter_mut().take(1).for_each(|c| *c = '9'),
            }
        }
        let text: String = text.into_iter().collect::<String>().replacen("diff=16384", &format!("diff={huge}"), 3);
        let imported = of(&text);
        prop_assert!(imported.verdict == "findings" || imported.verdict == "inconclusive");
        prop_assert!(serde_json::to_string(&imported).is_ok());
    }
}
