//! The screen and the report say the same of a stream: at its end, and at any moment of it. Every number that both show is
//! compared; what only one of them has is named, so that a new field of either has to be put on one side or the other.
use std::{collections::BTreeMap, path::Path};

use probe_common::{failure::Warn, header::Header};
use probe_ledger::{Account, Verdict};
use probe_record::{batch::RecordBatch, file::RecordingReader, record::Record, stream::Source as _};

use super::{
    Stage, recording,
    streams::{self, functions_tier, many_leaks, suite, write},
    with_leaks,
};
use crate::{
    report::{
        build::Policy,
        model::{
            AccountState, Filesystem, HookState, IgnoredBy, InodeHolder, Report, Reserving, StatisticTotals,
        },
        text::{self, Detail, Look},
    },
    session::{books::Books, facts},
    tui::picture::{
        FailureRow, FailuresView, FsView, HealthView, HookLine, InodeRow, Picture, PoolKey, PoolRow,
        ReplayView, WindowView,
    },
};

const RECORDINGS: [&str; 13] = [
    "born",
    "midlife",
    "enospc",
    "edquot",
    "failures",
    "paths",
    "twins",
    "parallel",
    "lossy",
    "audited",
    "functions",
    "demo",
    "broken",
];

/// The report of the first `most` records; of all if there are no more, with the end.
fn report_of(path: &Path, most: u64) -> Report {
    let mut reader = RecordingReader::open(path).unwrap();
    let mut books = Books::new(reader.header());
    let mut batch = RecordBatch::new();
    'stream: loop {
        if !reader.next_batch(&mut batch) {
            books.finish();
            break;
        }
        books.names.add(reader.take_symbols());
        let mut undecodable = 0;
        for record in batch.decoded(&mut undecodable) {
            if books.ledger.record_count() == most {
                break 'stream;
            }
            books.apply(&record);
        }
    }
    let end = if books.over { reader.end() } else { None };
    let doubts = if books.over { books.all_doubts(&reader) } else { Vec::new() };
    facts::report(reader.header(), end, doubts, &books, &Policy::default())
}

fn length_of(path: &Path) -> u64 {
    let mut reader = RecordingReader::open(path).unwrap();
    let (mut batch, mut records) = (RecordBatch::new(), 0);
    while reader.next_batch(&mut batch) {
        records += batch.records();
    }
    records
}

/// At its quarters, and at its end.
fn agree(path: &Path) {
    let length = length_of(path);
    let mut stage = Stage::open(path);
    for moment in [length / 4, length / 2, length * 3 / 4, u64::MAX] {
        let report = report_of(path, moment);
        let here = stage.player.applied();
        stage.step(i64::try_from(moment - here).unwrap_or(i64::MAX));
        let picture = stage.app.picture.clone().unwrap();
        let what = format!("{}, record {moment} of {length}", path.display());
        compare(&what, &picture, &report);
    }
}

#[test]
fn screen_and_report_agree_on_every_recording() {
    RECORDINGS.iter().for_each(|name| agree(&recording(name)));
}

#[test]
fn screen_and_report_agree_on_findings() {
    let folder = tempfile::tempdir().unwrap();
    agree(&with_leaks("paths", &[2, 5, 9, 11, 13, 15, 17], folder.path()));
}

/// A kernel that is wrong on every inode has one finding on each filesystem, and `n` goes from the one to the other.
#[test]
fn screen_and_report_agree_on_hundreds_of_inodes_with_one_fingerprint() {
    let folder = tempfile::tempdir().unwrap();
    let path = many_leaks(folder.path(), 300);
    agree(&path);
    let report = report_of(&path, u64::MAX);
    let counts: Vec<_> = report.findings.iter().map(|of| (of.inodes, of.count, of.instances.len())).collect();
    assert_eq!(counts, [(300, 300, 16), (300, 300, 16)]);
    let text = text::render(&report, Look::PLAIN, Detail::Brief);
    assert!(text.lines().count() < 60, "{text}");
    let mut stage = Stage::open(&path);
    let found: Vec<u64> = (0..3)
        .map(|_| {
            stage.keys("n");
            stage.app.picture.as_ref().unwrap().found
        })
        .collect();
    assert_eq!(found, [1, 2, 2]);
    assert!(stage.player.applied() > 600, "there is no third: it goes to the end");
}

/// Failed reservations are judged by their calls there: the other book is switched off.
#[test]
fn screen_and_report_agree_in_the_functions_tier() {
    let folder = tempfile::tempdir().unwrap();
    for wrong in [false, true] {
        let (path, failed) = functions_tier(folder.path(), wrong);
        assert!(failed > 0);
        agree(&path);
        let report = report_of(&path, u64::MAX);
        assert_eq!(report.failed_reservations.total, failed);
        assert_eq!(report.findings.is_empty(), !wrong);
    }
}

#[test]
fn screen_and_report_agree_on_tests() {
    let folder = tempfile::tempdir().unwrap();
    agree(&suite(folder.path()));
}

/// It does not count, neither in the verdict nor in that of its test, and is shown all the same.
#[test]
fn screen_and_report_agree_on_a_known_kernel_bug() {
    let folder = tempfile::tempdir().unwrap();
    let path = streams::known_bug(folder.path());
    agree(&path);
    let report = report_of(&path, u64::MAX);
    assert_eq!(report.findings[0].ignored, Some(IgnoredBy::Known));
    assert_eq!((report.verdict.0, report.tests[0].verdict.0), (Verdict::Clean, Verdict::Clean));
    let mut stage = Stage::open(&path);
    stage.end();
    stage.keys("3\n");
    let screen = stage.screen(120, 50);
    assert!(
        screen.contains("clean so far") && screen.contains("snapshot-prealloc-wrong-subvolume:"),
        "{screen}"
    );
}

/// A check of the kernel that failed and is not explained.
#[test]
fn screen_and_report_agree_on_what_the_kernel_warned_of() {
    let folder = tempfile::tempdir().unwrap();
    let mut reader = RecordingReader::open(&recording("born")).unwrap();
    let (mut batch, mut records, mut undecodable) = (RecordBatch::new(), Vec::new(), 0);
    while reader.next_batch(&mut batch) {
        records.extend(batch.decoded(&mut undecodable));
    }
    let time = records[records.len() / 3].header().time;
    for _ in 0..3 {
        let header = Header { time, ..Header::default() };
        let warn = Warn { header, address: 0xffff_ffff_8000_1000, detector: 2, stack: 0 };
        records.insert(records.len() / 3, Record::from(warn));
    }
    let path = folder.path().join("warned.rsv");
    write(&path, reader.header(), records, reader.end().cloned());
    agree(&path);
    let health = Stage::open(&path).end().health.clone();
    assert_eq!(health.warnings, 3);
}

/// What is cut off is no whole recording, whatever the books say of the rest.
#[test]
fn screen_and_report_agree_on_a_recording_that_breaks_off() {
    let folder = tempfile::tempdir().unwrap();
    let whole = std::fs::read(recording("paths")).unwrap();
    let path = folder.path().join("cut.rsv");
    std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    agree(&path);
    // Its begin is damaged: kernel, hooks and clock are not known.
    let mut damaged = whole;
    damaged[200..230].fill(0x55);
    std::fs::write(&path, &damaged).unwrap();
    agree(&path);
}

fn compare(what: &str, picture: &Picture, report: &Report) {
    let Picture {
        session,
        now_ns: _,
        verdict,
        reasons,
        loss,
        records,
        record_rate: _,
        failed,
        inodes,
        focus: _,
        filesystems,
        findings,
        found,
        failures: shortages,
        windows,
        health,
        replay: Some(ReplayView { ended: picture_is_over, .. }),
    } = picture
    else {
        panic!("{what}: no replay")
    };
    let Report {
        schema_version: _,
        tool: _,
        kernel,
        tier,
        tier_reason,
        hooks,
        started_at: _,
        ended_at: _,
        started_monotonic_ns: _,
        duration_ns: _,
        command,
        verdict: judged,
        verdict_reasons,
        loss: lost,
        filesystems: reported,
        failed_reservations,
        tests,
        findings: rows,
        inodes: holders,
        kernel_warnings,
        // The screen has them among the verdict's reasons.
        kernel_lines: _,
        failures,
        failures_left_out,
        // Parts of the findings.
        outside_tests: _,
        statistics:
            StatisticTotals {
                records: counted,
                by_hook,
                peak_rates: _,
                links: _,
                order_checked: _,
                order_unknown: _,
                inodes_closed: _,
                overlapping: _,
            },
        // The screen keeps histories of its own, of another length.
        timeline: _,
        reserving: _,
        // Of the other report.
        against: _,
        part: _,
    } = report;
    timeline_agrees(what, report);

    assert_eq!((&session.release, session.tier.as_str()), (&kernel.release, tier.name()), "{what}");
    assert_eq!(session.tier_reason, tier_reason.clone().unwrap_or_default(), "{what}");
    assert_eq!(session.command, command.clone().unwrap_or_default(), "{what}");
    match verdict {
        // Nothing happened yet, and the stream goes on: a report would only be of the end.
        None => assert_eq!((judged.0, picture_is_over), (Verdict::Clean, &false), "{what}"),
        Some(verdict) => assert_eq!((*verdict, &**reasons), (judged.0, verdict_reasons), "{what}"),
    }
    let by_class: BTreeMap<String, u64> =
        loss.iter().map(|(class, count)| (class.name().to_owned(), *count)).collect();
    assert_eq!(by_class, lost.by_class, "{what}");
    assert_eq!(records, counted, "{what}");
    assert_eq!(failed, failed_reservations, "{what}");
    assert_eq!((&**findings, *found), (rows, rows.len() as u64), "{what}");

    let FailuresView { rows: failed, left_out } = &**shortages;
    assert_eq!(
        failed.iter().map(|row| &row.failure).collect::<Vec<_>>(),
        failures.iter().collect::<Vec<_>>(),
        "{what}"
    );
    assert_eq!(left_out, failures_left_out, "{what}");
    for (at, FailureRow { number, fs, device, failure }) in failed.iter().enumerate() {
        let of = filesystems.iter().find(|view| view.fs == *fs);
        assert_eq!(*number as usize, at, "{what}");
        assert_eq!(of.map(|view| Some(&view.uuid)), Some(failure.filesystem.as_ref()), "{what}");
        assert_eq!(of.map(FsView::short), Some(&**device), "{what}");
    }

    let views: &[FsView] = filesystems;
    assert_eq!(views.len(), reported.len(), "{what}");
    for fs in reported {
        let mut of = views.iter().filter(|view| view.uuid == fs.uuid);
        let (Some(view), None) = (of.next(), of.next()) else {
            panic!("{what}: {} is not there once", fs.uuid)
        };
        filesystem(&format!("{what}, {}", fs.uuid), view, fs);
    }

    assert_eq!(inodes.known, reported.iter().map(|fs| fs.inodes).sum::<u64>(), "{what}");
    let held = reported.iter().filter_map(|fs| fs.accounts.get(Account::InodeMetaRsv.name())?.balance);
    assert_eq!(inodes.bytes, held.sum::<i64>(), "{what}");
    for holder in holders {
        let uuid =
            |row: &InodeRow| views.iter().find(|view| view.fs == row.id.fs).map(|view| view.uuid.clone());
        let row = inodes.rows.iter().find(|row| {
            (uuid(row), row.id.root as i64, row.id.ino)
                == (holder.filesystem.clone(), holder.root, holder.inode)
        });
        inode(&format!("{what}, inode {}", holder.inode), row.unwrap(), holder);
    }

    let rows: Vec<&WindowView> = windows.rows.iter().filter(|row| row.test.is_some()).collect();
    assert_eq!((rows.len(), windows.older), (tests.len(), 0), "{what}");
    for (row, test) in rows.iter().rev().zip(tests) {
        let WindowView { name, test: view, begun_ns: _, length_ns, ended, records, lost, findings } = row;
        let view = view.as_ref().unwrap();
        assert_eq!(
            (name, &view.section, view.run, &view.result, view.verdict, ended),
            (&test.name, &test.section, test.run.unwrap_or(0), &test.result, test.verdict.0, &test.ended),
            "{what}"
        );
        assert_eq!(
            [*length_ns, *records, *lost, *findings],
            [test.duration_ns, test.records, test.lost, test.finding_ids.len() as u64],
            "{what}, {name}"
        );
    }

    let HealthView {
        hooks: lines,
        ring: _,
        cpu_permille: _,
        programs_permille: _,
        memory: _,
        walk_ns: _,
        closed: _,
        messages: _,
        warnings,
    } = &**health;
    assert_eq!(*warnings, kernel_warnings.iter().map(|warning| warning.count).sum::<u64>(), "{what}");
    assert_eq!(lines.len(), hooks.len(), "{what}");
    for (line, hook) in lines.iter().zip(hooks) {
        let HookLine {
            id,
            target,
            attached,
            skipped,
            reason,
            hits,
            rate: _,
            missed,
            records,
            ns_per_run: _,
            cpu_permille: _,
        } = line;
        assert_eq!(
            (id, target, reason.as_str()),
            (&hook.id, &hook.target, hook.reason.as_deref().unwrap_or_default()),
            "{what}"
        );
        let state = (hook.state == HookState::Attached, hook.state == HookState::Skipped);
        assert_eq!((*attached, *skipped), state, "{what}, {id}");
        assert_eq!((hits.unwrap_or(0), missed.unwrap_or(0)), (hook.hits, hook.missed), "{what}, {id}");
        assert_eq!(*records, by_hook.get(id).copied().unwrap_or(0), "{what}, {id}");
    }
}

fn filesystem(what: &str, view: &FsView, fs: &Filesystem) {
    let FsView {
        fs: _,
        uuid,
        device: _,
        mounts,
        ended,
        aborted,
        inodes,
        transid: _,
        levels_ns: _,
        pools,
        holders,
        span_ns: _,
        tickets,
        enospc,
        flushes: _,
        lines: _,
        waits,
        flush,
        draws,
        sysfs,
    } = view;
    assert_eq!((waits, flush, holders), (&fs.waits, &fs.flushes, &fs.holders), "{what}");
    assert_eq!(draws.as_deref(), fs.draws.as_ref(), "{what}");
    assert_eq!((uuid, mounts, ended, aborted), (&fs.uuid, &fs.mounts, &fs.ended, &fs.aborted), "{what}");
    assert_eq!(
        [*inodes, tickets.0, tickets.1, *enospc],
        [fs.inodes, fs.tickets.granted, fs.tickets.failed, fs.enospc],
        "{what}"
    );
    assert_eq!(
        [sysfs.compared, sysfs.equal, sysfs.moving],
        [fs.audit.compared, fs.audit.equal, fs.audit.moving],
        "{what}"
    );
    let mut rows = pools.clone();
    for (name, space) in &fs.space {
        let row = take(&mut rows, &format!("space.{name}"));
        assert_eq!(
            (row.whole as i64, row.held, row.parts),
            (
                space.total,
                space.bytes_may_use,
                [space.used, space.bytes_pinned, space.bytes_reserved, space.bytes_may_use]
            ),
            "{what}, {name}"
        );
    }
    for (name, account) in &fs.accounts {
        let AccountState { unit: _, balance, size, reserved, closing: _, not_judged: _ } = account;
        match (size.zip(*reserved), balance) {
            (Some((size, reserved)), _) => {
                let row = take(&mut rows, name);
                assert_eq!((row.whole as i64, row.held), (size, reserved), "{what}, {name}");
            }
            (None, Some(balance)) if name == Account::InodeMetaRsv.name() => {
                assert_eq!(take(&mut rows, name).held, *balance, "{what}, {name}");
            }
            // The screen shows block_rsvs by the kernel's levels alone.
            (None, _) => {}
        }
    }
    for row in rows {
        match row.key {
            PoolKey::Qgroup(kind, _) => {
                let object = row.name.split(' ').nth(1).unwrap();
                let chain = fs.chains.iter().find(|chain| {
                    chain.object == object && chain.account.name().to_lowercase().contains(kind)
                });
                let chain = chain.unwrap_or_else(|| panic!("{what}: {}", row.name));
                assert_eq!((row.held, row.whole as i64), (chain.value, chain.peak), "{what}, {}", row.name);
            }
            // Without levels a report has chains only.
            PoolKey::Space(..) if fs.space.is_empty() => {
                let may_use = format!("{}.bytes_may_use", row.name);
                let chain = fs.chains.iter().find(|chain| chain.account.name() == may_use);
                assert_eq!(chain.map_or(0, |chain| chain.value), row.held, "{what}, {}", row.name);
            }
            _ => panic!("{what}: {} is not in the report", row.name),
        }
    }
}

fn take(rows: &mut Vec<PoolRow>, name: &str) -> PoolRow {
    let at = rows.iter().position(|row| row.name == name);
    rows.remove(at.unwrap_or_else(|| panic!("{name} is not on the screen")))
}

fn inode(what: &str, row: &InodeRow, holder: &InodeHolder) {
    let InodeRow {
        id: _,
        fs: _,
        path,
        generation,
        meta_rsv,
        exact,
        counted,
        reserved,
        size,
        csum_bytes,
        delalloc_bytes,
        extents,
        rate: _,
        reserved_total,
        reservations,
        idle_ns: _,
        tid,
        comm,
        trend: _,
    } = row;
    assert_eq!((path, *generation), (&holder.path, holder.generation.unwrap_or(0)), "{what}");
    assert_eq!((*meta_rsv, *exact), (holder.meta_rsv, holder.opening_known), "{what}");
    let counter = |value: i64| counted.then_some(value);
    assert_eq!(
        [
            counter(*reserved as i64),
            counter(*size as i64),
            counter(*csum_bytes as i64),
            counter(*delalloc_bytes as i64),
            counter(i64::from(*extents as i32))
        ],
        [
            holder.rsv_reserved,
            holder.rsv_size,
            holder.csum_bytes,
            holder.delalloc_bytes,
            holder.outstanding_extents
        ],
        "{what}"
    );
    assert_eq!(
        (*reserved_total, u64::from(*reservations)),
        (holder.reserved_total, holder.reservations),
        "{what}"
    );
    let task = holder.task.as_ref().map(|task| (task.tid, task.comm.clone())).unwrap_or_default();
    assert_eq!((*tid, comm.clone()), task, "{what}");
}

/// The kernel side sends the name of an inode when it comes to it, which may be after its finding.
#[test]
fn a_path_that_comes_after_its_finding_is_on_the_screen_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = streams::named_late(folder.path());
    let mut stage = Stage::open(&path);
    let shown = |stage: &Stage| stage.app.picture.as_ref().unwrap().findings[0].path.clone();
    stage.step(3);
    assert_eq!(shown(&stage), None);
    stage.step(1);
    assert_eq!(shown(&stage).as_deref(), Some("dir/file"));
    agree(&path);
}

/// The last moment of the pools over time is what the report says that they hold. What is read at a failure is in the timeline only.
fn timeline_agrees(what: &str, report: &Report) {
    let failed = |uuid: &str| report.failures.iter().any(|of| of.filesystem.as_deref() == Some(uuid));
    for fs in report.filesystems.iter().filter(|fs| !failed(&fs.uuid)) {
        let timeline = report.timeline.filesystems.iter().rfind(|of| of.uuid == fs.uuid).unwrap();
        for (name, state) in &fs.space {
            let pool = timeline.pools.iter().find(|pool| pool.is_space && pool.name == *name).unwrap();
            let last = |counter| pool.counter(counter).unwrap().points.last().unwrap().last;
            let expected = [
                ("total_bytes", state.total),
                ("bytes_used", state.used),
                ("bytes_may_use", state.bytes_may_use),
                ("bytes_reserved", state.bytes_reserved),
                ("bytes_pinned", state.bytes_pinned),
            ];
            for (counter, value) in expected {
                assert_eq!(last(counter), value, "{what}: {counter} of {name} of {}", fs.uuid);
            }
        }
        for (account, state) in &fs.accounts {
            let Some(reserved) = state.reserved else { continue };
            let pool = timeline.pools.iter().find(|pool| pool.name == *account).unwrap();
            assert_eq!(
                pool.counters[0].points.last().unwrap().last,
                reserved,
                "{what}: {account} of {}",
                fs.uuid
            );
        }
    }
    let Reserving { held, total } = &report.reserving;
    assert!(
        held.bytes() <= report.inodes.iter().map(|inode| inode.meta_rsv.unsigned_abs()).sum::<u64>()
            || report.inodes.len() == 20,
        "{what}"
    );
    assert!(total.bytes() >= held.bytes() || report.filesystems.iter().any(|fs| !fs.born), "{what}");
}
