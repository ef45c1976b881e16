//! A complaint of btrfs in the kernel's log prevents `clean`, unless a finding explains it.
use probe_common::{
    chain::{CHAIN_LEVEL, CHAIN_OPEN, CHAIN_UNDERFLOW, Chain, ChainCounter},
    fs::{FS_BORN, LEVELS_ERROR},
    hook::HookId,
};

use super::stream::{FS, Stream};
use crate::{
    ledger::Ledger,
    read::{kernel_lines::KernelLine, summary::Verdict},
    vocabulary::setup::Setup,
};

const UNRELEASED: &str = "qgroup 0/257 has unreleased space, type 0 rsv 4096";
const OTHER: u32 = 0x102;

fn warning(device: &str) -> String {
    format!("BTRFS warning (device {device}): {UNRELEASED}")
}

/// A filesystem on `sdb` whose birth was seen.
fn on_sdb() -> Stream {
    let mut stream = Stream::attached();
    stream.on(FS, FS_BORN, "sdb");
    stream
}

/// Verdict, doubts, complaints.
#[track_caller]
fn judged(stream: &Stream, setup: Setup) -> (Verdict, Vec<String>, Vec<KernelLine>) {
    let mut ledger = Ledger::new(setup);
    stream.records.iter().for_each(|record| ledger.apply(record));
    ledger.finish();
    assert_eq!(ledger.findings().len(), usize::from(ledger.summary(0).verdict == Verdict::Findings));
    let summary = ledger.summary(0);
    assert_eq!(summary.verdict == Verdict::Clean, summary.doubts.is_empty() && ledger.findings().is_empty());
    assert_eq!(
        summary.verdict == Verdict::Clean,
        ledger.doubts().none()
            && summary.lines.iter().all(|line| line.open.is_empty())
            && ledger.findings().is_empty()
    );
    (summary.verdict, summary.doubts, summary.lines)
}

fn following_one() -> Setup {
    Setup { only_named: true, ..Setup::default() }
}

#[test]
fn a_complaint_that_no_finding_explains_is_a_doubt_that_names_the_filesystem() {
    let mut stream = on_sdb();
    stream.line(&warning("sdb")).unmount();
    for setup in [Setup::default(), following_one()] {
        let (verdict, doubts, lines) = judged(&stream, setup);
        assert_eq!(verdict, Verdict::Inconclusive);
        assert_eq!(
            doubts,
            [format!(
                "The kernel said of sdb (01010101-0101-0101-0101-010101010101): \"{UNRELEASED}\", and no finding \
                 says why: read the kernel's log."
            )]
        );
        let [line] = lines.as_slice() else { panic!("{lines:?}") };
        assert_eq!((line.fs.as_slice(), line.count, line.open.len()), ([FS].as_slice(), 1, 1));
    }
}

#[test]
fn what_btrfs_says_every_day_is_clean() {
    let mut stream = on_sdb();
    stream
        .line("BTRFS info (device sdb): first mount of filesystem 01010101-0101-0101-0101-010101010101")
        .line("BTRFS info (device sdb): qgroup scan completed")
        .line("BTRFS info (device sdb): last unmount of filesystem 01010101-0101-0101-0101-010101010101")
        .unmount();
    stream.assert_clean();
}

#[test]
fn complaints_that_differ_in_numbers_are_one_sentence() {
    let mut stream = on_sdb();
    stream
        .line(&warning("sdb"))
        .line("BTRFS warning (device sdb): qgroup 1/100 has unreleased space, type 2 rsv 16384")
        .line("BTRFS error (device sdb): qgroup reserved space leaked");
    let (_, doubts, lines) = judged(&stream, Setup::default());
    assert_eq!((doubts.len(), lines.len()), (2, 2), "{doubts:?}");
    assert!(doubts[0].contains("complained 2 times of sdb ") && doubts[0].contains("0/257"), "{doubts:?}");
}

/// `close_ctree()` checks qgroups before it destroys the work queues, and prints other lines after that.
#[test]
fn a_line_may_come_after_the_end_of_its_filesystem() {
    let mut stream = on_sdb();
    stream.unmount().line(&warning("sdb"));
    let (verdict, _, lines) = judged(&stream, Setup::default());
    assert_eq!((verdict, lines[0].fs.as_slice()), (Verdict::Inconclusive, [FS].as_slice()));
    // The next filesystem on the same device is another one.
    stream.on(OTHER, FS_BORN, "sdb").line(&warning("sdb"));
    let (_, _, lines) = judged(&stream, Setup::default());
    assert_eq!(lines.iter().map(|line| line.fs.clone()).collect::<Vec<_>>(), [[FS], [OTHER]]);
}

/// The filesystem had sent no record when its unmount began.
#[test]
fn a_line_may_come_before_the_first_record_of_its_filesystem() {
    let mut stream = Stream::attached();
    stream.line(&warning("sdb")).on(FS, 0, "sdb");
    let (verdict, _, lines) = judged(&stream, following_one());
    assert_eq!((verdict, lines[0].fs.as_slice()), (Verdict::Inconclusive, [FS].as_slice()));
    // Born after the line, so the line does not mean it.
    let mut stream = Stream::attached();
    stream.line(&warning("sdb")).on(FS, FS_BORN, "sdb");
    assert_eq!(judged(&stream, following_one()).0, Verdict::Clean);
}

#[test]
fn a_device_that_is_not_followed_is_somebody_elses_only_if_filesystems_were_named() {
    let mut stream = on_sdb();
    stream.line(&warning("sdc")).unmount();
    let (verdict, _, lines) = judged(&stream, following_one());
    assert_eq!((verdict, lines.len()), (Verdict::Clean, 0));
    let (verdict, doubts, _) = judged(&stream, Setup::default());
    assert_eq!(verdict, Verdict::Inconclusive);
    assert!(doubts[0].starts_with("The kernel said of sdc: "), "{doubts:?}");
}

#[test]
fn a_line_that_may_mean_several_filesystems_means_each() {
    // `sb->s_id` stays the name of a device that was removed from the filesystem.
    let mut stream = on_sdb();
    stream.on(OTHER, FS_BORN, "sdb").line(&warning("sdb"));
    let (_, doubts, lines) = judged(&stream, following_one());
    assert_eq!(lines[0].fs, [FS, OTHER]);
    assert!(doubts[0].contains("010101010101 or 02020202"), "{doubts:?}");
    // The line may mean a filesystem whose device is not known yet.
    let mut stream = Stream::born();
    stream.line(&warning("sdb"));
    let (verdict, _, lines) = judged(&stream, following_one());
    assert_eq!((verdict, lines[0].fs.as_slice()), (Verdict::Inconclusive, [FS].as_slice()));
}

#[test]
fn a_line_that_names_no_filesystem_is_a_doubt_of_the_session() {
    for line in [
        "BTRFS warning (device <unknown>): qgroup reserved space leaked",
        "qgroup 257 data reserved space underflow, have 0 to free 4096",
    ] {
        let mut stream = on_sdb();
        stream.line(line);
        let (verdict, doubts, _) = judged(&stream, following_one());
        assert_eq!(verdict, Verdict::Inconclusive, "{line}");
        assert!(doubts[0].starts_with("The kernel said without a filesystem: "), "{doubts:?}");
    }
}

/// An underflow of the DATA reservation of a qgroup.
fn qgroup_underflow() -> Chain {
    Chain {
        object_flags: 257,
        counter: ChainCounter::QgroupData as u32,
        event: CHAIN_UNDERFLOW,
        old: 4096,
        expected: 4096,
        diff: -8192,
        links: 2,
        ..Chain::default()
    }
}

/// A stream with a finding about the DATA reservation of a qgroup.
fn with_finding() -> Stream {
    let mut stream = on_sdb();
    let open = Chain { event: CHAIN_OPEN, diff: 4096, old: 0, expected: 0, links: 1, ..qgroup_underflow() };
    stream.chain(open).chain(qgroup_underflow());
    stream
}

#[test]
fn a_finding_of_the_same_kind_of_account_explains_a_complaint() {
    let mut stream = with_finding();
    stream.line(&warning("sdb"));
    let (verdict, doubts, lines) = judged(&stream, Setup::default());
    assert_eq!((verdict, doubts), (Verdict::Findings, Vec::new()));
    assert_eq!((lines[0].findings.as_slice(), lines[0].open.len()), ([0].as_slice(), 0));
    // On another account, on another filesystem, or long before the finding.
    let mut stream = with_finding();
    stream.line("BTRFS info (device sdb): at unmount delalloc count 4096");
    assert_eq!(judged(&stream, Setup::default()).1.len(), 1);
    let mut stream = with_finding();
    stream.on(OTHER, FS_BORN, "sdc").line(&warning("sdc"));
    assert_eq!(judged(&stream, Setup::default()).1.len(), 1);
    let mut stream = on_sdb();
    stream.line(&warning("sdb")).wait(60_000_000_000);
    let open = Chain { event: CHAIN_OPEN, diff: 4096, old: 0, expected: 0, links: 1, ..qgroup_underflow() };
    stream.chain(open).chain(qgroup_underflow());
    assert_eq!(judged(&stream, Setup::default()).1.len(), 1);
}

/// 6.1 does not release the qgroup reservations of an aborted transaction.
#[test]
fn what_an_error_leaves_is_not_judged_and_said() {
    let said = |verdict: (Verdict, Vec<String>, Vec<KernelLine>)| (verdict.0, verdict.2[0].after_error);
    let mut stream = on_sdb();
    stream.line(&format!("BTRFS warning (device sdb state EA): {UNRELEASED}"));
    assert_eq!(said(judged(&stream, Setup::default())), (Verdict::Clean, true));
    let reasons = stream.ledger().summary(0).verdict_reasons;
    assert!(reasons.iter().any(|reason| reason.contains("after an error were not judged")), "{reasons:?}");
    let mut stream = on_sdb();
    stream.line(&warning("sdb")).unmount_with(|levels| levels.fs_flags = LEVELS_ERROR);
    assert_eq!(said(judged(&stream, Setup::default())), (Verdict::Clean, true));
    // A leak of an inode is a bug, even if its filesystem had an error.
    let mut stream = on_sdb();
    stream.line(
        "BTRFS warning (device sdb state EA): leaking qgroup reserved space, ino: 257, start: 0, end: 4095",
    );
    assert_eq!(said(judged(&stream, Setup::default())), (Verdict::Inconclusive, false));
}

#[test]
fn lines_that_were_held_back_may_have_been_complaints() {
    let mut stream = on_sdb();
    stream
        .line("_btrfs_printk: 12 callbacks suppressed")
        .line("BTRFS warning (device sdb): csum failed root 5 ino 257 off 0");
    let (verdict, doubts, _) = judged(&stream, following_one());
    assert_eq!(verdict, Verdict::Inconclusive);
    assert!(doubts[0].starts_with("12 lines of btrfs were held back"), "{doubts:?}");
    assert_eq!(stream.ledger().doubts().unread, 12);
    // A test that mounts often has many such lines.
    let mut stream = on_sdb();
    stream
        .line("_btrfs_printk: 12 callbacks suppressed")
        .line("BTRFS info (device sdb): using free-space-tree");
    let reasons = stream.assert_clean().summary(0).verdict_reasons;
    assert!(
        reasons.iter().any(|reason| reason.starts_with("12 lines of btrfs without a warning")),
        "{reasons:?}"
    );
}

#[test]
fn a_log_that_cannot_be_read_is_a_doubt_and_one_of_an_old_recording_a_note() {
    let attached: Vec<HookId> =
        Setup::default().attached.into_iter().filter(|hook| *hook != HookId::Console).collect();
    let stream = on_sdb();
    let refused = Setup {
        attached: attached.clone(),
        missing_reasons: vec![(HookId::Console, "refused".to_owned())],
        ..Setup::default()
    };
    let (verdict, doubts, _) = judged(&stream, refused);
    assert_eq!(verdict, Verdict::Inconclusive);
    assert!(doubts[0].starts_with("The kernel's log is not read (refused)"), "{doubts:?}");
    let mut old = Ledger::new(Setup { attached, ..Setup::default() });
    stream.records.iter().for_each(|record| old.apply(record));
    let summary = old.summary(0);
    assert_eq!(summary.verdict, Verdict::Clean);
    assert!(summary.verdict_reasons.iter().any(|reason| reason.contains("this recording does not hold")));
}

/// No rule looks at qgroup counters when a filesystem is unmounted.
#[test]
fn a_clean_verdict_says_that_levels_of_qgroups_are_not_judged() {
    let mut stream = on_sdb();
    let level = Chain { event: CHAIN_LEVEL, diff: -4096, links: 2, ..qgroup_underflow() };
    let open = Chain { event: CHAIN_OPEN, diff: 4096, old: 0, expected: 0, links: 1, ..qgroup_underflow() };
    stream.chain(open).chain(level).unmount();
    let notes = |ledger: Ledger| -> Vec<String> {
        let reasons = ledger.summary(0).verdict_reasons;
        reasons.into_iter().filter(|reason| reason.starts_with("Not judged")).collect()
    };
    let said = notes(stream.assert_clean());
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(
        said[0].contains("the qgroups of a filesystem held") && said[1].contains("tracepoints tier"),
        "{said:?}"
    );
    // Without quotas there is nothing to say.
    let mut stream = on_sdb();
    stream.unmount();
    assert_eq!(notes(stream.assert_clean()), Vec::<String>::new());
}

#[test]
fn many_complaints_are_bounded_and_none_is_forgotten() {
    let mut stream = Stream::attached();
    for device in 0..3000 {
        stream.line(&warning(&format!("dm-{device}")));
    }
    let (verdict, doubts, lines) = judged(&stream, Setup::default());
    assert_eq!((verdict, doubts.len(), lines.len()), (Verdict::Inconclusive, 16 + 3, 1024));
    assert!(
        doubts[17].starts_with("1,976 more complaints of the kernel were only counted"),
        "{}",
        doubts[17]
    );
    assert_eq!(stream.ledger().doubts().unread, 1976);
}
