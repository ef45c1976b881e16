//! One finding for each fingerprint and filesystem.
use std::collections::BTreeMap;

use insta::assert_snapshot;
use probe_ledger::{
    Account, Confidence, Finding, FindingKind, Origin, Spans, StackRef, TaskRef, Verdict, Violation,
};
use proptest::{collection::vec, prelude::*};

use super::data::{FSID, START, Stacks, facts, line, over_release, report_of, summary};
use crate::report::{
    build::{Groups, Policy, finding_of_test},
    folded, junit,
    model::{IgnoredBy, Report},
    owners,
    text::{self, Detail, Look},
};

const FS: u32 = 0x101;
/// Of another filesystem.
const OTHER: u32 = 0x102;
/// The filesystem of `FS`, after another mount.
const AGAIN: u32 = 0x103;

/// A publish of an inode's extents before they were reserved; `id` is its position.
fn published(id: u32, fs: u32, ino: u64, amount: u64) -> Finding {
    let at = START + 1_000_000 * u64::from(id + 1);
    let violation = Violation {
        root: Some(5),
        ino: Some(ino),
        generation: Some(7),
        amount,
        stack: StackRef { id: 2, representative: false },
        origins: vec![Origin { bytes: 4096, count: 1, stack: StackRef { id: 2, representative: true } }],
        explanation: format!("Inode {ino} published {amount} extents before they were reserved."),
        ..Violation::new(FindingKind::PublishBeforeReserve, Account::InodeOutstandingExtents, fs, (at, 4243))
    };
    Finding {
        last_seen: at + 500,
        seen: Spans::at(at),
        task: Some(TaskRef { tid: 4243, pid: 4242, comm: "fio".to_owned() }),
        ..Finding::new(id, violation)
    }
}

fn report(findings: &[Finding], policy: &Policy) -> Report {
    let mut summary = summary(Verdict::Findings, &[]);
    let fs = summary.filesystems[0].clone();
    let mut other = [9_u8; 16];
    for (id, fsid) in [(OTHER, other), (AGAIN, FSID)] {
        summary.filesystems.push(probe_ledger::FsSummary { fs: id, fsid, ..fs.clone() });
    }
    for id in 0x200..0x220 {
        other[0] = id as u8;
        summary.filesystems.push(probe_ledger::FsSummary { fs: id, fsid: other, ..fs.clone() });
    }
    report_of(&summary, findings, &facts(), policy)
}

/// A thousand inodes; the amount of number 700 is the largest, number 3 was the last that broke the rule again.
fn thousand() -> Vec<Finding> {
    let mut findings: Vec<Finding> =
        (0..1000).map(|id| published(id, FS, 257 + u64::from(id), 1 + u64::from(id % 3))).collect();
    findings[700].amount = 50;
    findings[700].count = 25;
    findings[3].last_seen = START + 5_000_000_000;
    findings[8].confidence = Confidence::OneSided;
    findings
}

/// A kernel that publishes counters first on every write gave a finding for each inode and account, and 62,000 lines of text.
#[test]
fn a_thousand_inodes_with_one_fingerprint_are_one_finding() {
    let report = report(&thousand(), &Policy::default());
    let [finding] = report.findings.as_slice() else { panic!("{}", report.findings.len()) };
    assert_eq!((finding.id, finding.inode, finding.inodes, finding.roots), (0, Some(257), 1000, 1));
    let amount: u64 = (0..1000).filter(|id| *id != 700).map(|id| 1 + id % 3).sum::<u64>() + 50;
    assert_eq!((finding.amount as u64, finding.count), (amount, 999 + 25));
    assert_eq!((finding.first_seen_ns, finding.last_seen_ns), (1_000_000, 5_000_000_000));
    assert_eq!(finding.confidence.0, Confidence::OneSided);
    assert_eq!(
        (finding.origins.len(), finding.origins[0].bytes, finding.origins[0].count),
        (1, 4_096_000, 1000)
    );
    assert_eq!((finding.instances.len(), finding.instances_left_out), (16, 984));
    let inodes: Vec<u64> = finding.instances.iter().filter_map(|instance| instance.inode).collect();
    for (what, inode) in [("first", 257), ("last", 260), ("largest", 957)] {
        assert!(inodes.contains(&inode), "the {what} is in {inodes:?}");
    }
    assert_eq!(report.verdict_reasons[0], "1 rule was broken: see the finding.");
}

#[test]
fn text_of_a_thousand_inodes_fits_on_a_screen() {
    let report = report(&thousand(), &Policy::default());
    let text = text::render(&report, Look::PLAIN, Detail::Brief);
    assert!(text.lines().count() <= 45, "{text}");
    assert_snapshot!(text);
}

/// A subvolume that broke the rule on each of three mounts was named three times.
#[test]
fn an_owner_with_several_instances_is_named_once() {
    let findings = [
        published(0, FS, 257, 5),
        published(1, FS, 258, 7),
        published(2, AGAIN, 257, 5),
        published(3, AGAIN, 257, 5),
    ];
    let report = report(&findings, &Policy::default());
    let largest = owners::largest(&report.findings[0], 3);
    let text = "2, the largest: 257 of subvolume 5 (15), 258 of subvolume 5 (7)";
    assert_eq!(largest, Some(("inodes".to_owned(), text.to_owned())));
}

#[test]
fn filesystems_stay_apart_and_mounts_of_one_do_not() {
    let findings = [
        published(0, FS, 257, 1),
        published(1, OTHER, 257, 1),
        published(2, AGAIN, 257, 2),
        published(3, AGAIN, 258, 3),
        published(4, 0, 257, 1),
        published(5, 7, 257, 1),
    ];
    let report = report(&findings, &Policy::default());
    let rows: Vec<_> = report
        .findings
        .iter()
        .map(|finding| (finding.id, finding.inodes, finding.all_instances(), finding.amount))
        .collect();
    // Nothing is known of the last two filesystems.
    assert_eq!(rows, [(0, 2, 3, 6), (1, 1, 1, 1), (4, 1, 1, 1), (5, 1, 1, 1)]);
    assert_ne!(report.findings[0].filesystem, report.findings[1].filesystem);
    assert_eq!(report.findings[0].fingerprint, report.findings[1].fingerprint);
}

#[test]
fn text_shows_a_finding_of_many_filesystems_once_in_full() {
    let findings: Vec<Finding> = (0..32).map(|id| published(id, 0x200 + id, 257, 1)).collect();
    let report = report(&findings, &Policy::default());
    assert_eq!(report.findings.len(), 32);
    let brief = text::render(&report, Look::PLAIN, Detail::Brief);
    assert_eq!(brief.matches("published (exact stack)").count(), 1, "{brief}");
    assert_eq!(brief.matches("As #0, on another filesystem.").count(), 4, "{brief}");
    assert!(brief.contains("As #0, on 27 more filesystems, in 27 violations"), "{brief}");
    let full = text::render(&report, Look::PLAIN, Detail::Full);
    assert_eq!(full.matches("published (exact stack)").count(), 32);
}

#[test]
fn a_fingerprint_ignores_all_its_instances() {
    let mut findings = thousand();
    findings.push(Finding { id: 1000, ..over_release() });
    let fingerprint = report(&findings, &Policy::default()).findings[0].fingerprint.clone();
    let report = report(&findings, &Policy { ignore: [fingerprint].into(), ..Policy::default() });
    let ignored: Vec<_> = report.findings.iter().map(|finding| (finding.id, finding.ignored)).collect();
    assert_eq!(ignored, [(0, Some(IgnoredBy::IgnoreFile)), (1000, None)]);
    assert_eq!(
        report.verdict_reasons,
        [
            "1 rule was broken: see the finding.",
            "1 finding does not count: it is named in the --ignore file."
        ]
    );
}

#[test]
fn a_line_of_the_kernel_names_the_finding_of_its_instances() {
    let mut summary = summary(Verdict::Findings, &[]);
    summary.lines = vec![line(&[5, 6, 900])];
    let report = report_of(&summary, &thousand(), &facts(), &Policy::default());
    assert_eq!(report.kernel_lines[0].finding_ids, [0]);
    assert!(report.findings[0].evidence.iter().any(|line| line.text.starts_with("the kernel said")));
}

/// What another test has of the same finding is not shown.
#[test]
fn a_test_shows_its_own_instances_only() {
    let findings = thousand();
    let mut facts = facts();
    let part = |ids: std::ops::Range<usize>| {
        let own: Vec<&Finding> = findings[ids].iter().collect();
        finding_of_test(0, &own, &|_, _, _| None, &|time| time - START)
    };
    let mut test = super::data::test("generic/269", Verdict::Findings, &[], 0);
    (test.finding_ids, test.findings) = (vec![0], vec![part(100..103)]);
    facts.tests = vec![test];
    facts.outside_tests = vec![part(200..201)];
    let report = report_of(&summary(Verdict::Findings, &[]), &findings, &facts, &Policy::default());
    let mut bytes = Vec::new();
    junit::write(&report, &mut bytes).unwrap();
    let document = String::from_utf8(bytes).unwrap();
    let (of_test, outside) = document.split_once("name=\"session\"").unwrap();
    assert!(of_test.contains("The first of 3 inodes: Inode 357 published"), "{of_test}");
    assert!(outside.contains("Inode 457 published"), "{outside}");
    for other in ["Inode 257", "1,000 inodes", "fio"] {
        assert!(!document.contains(other), "{other} is of another test: {document}");
    }
}

/// What is freed too much is missing later.
#[test]
fn an_underflow_names_the_finding_that_it_follows_from_and_is_not_counted() {
    let of = |id: u32, kind, fs, stack, amount| {
        let at = (START + 1000 * u64::from(id + 1), 7);
        let stack = StackRef { id: stack, representative: false };
        let account = Account::SpaceData(probe_ledger::SpaceCounter::BytesMayUse);
        Finding::new(id, Violation { amount, stack, ..Violation::new(kind, account, fs, at) })
    };
    let findings = [
        // Before there is a cause.
        of(0, FindingKind::Underflow, FS, 0, 4096),
        of(1, FindingKind::OverRelease, FS, 1, 8192),
        of(2, FindingKind::Underflow, FS, 2, 4096),
        // Of another filesystem.
        of(3, FindingKind::Underflow, OTHER, 1, 4096),
        // More than is left of the cause.
        of(4, FindingKind::Underflow, FS, 3, 8192),
        of(5, FindingKind::Leak, FS, 1, 4096),
    ];
    let causes = |report: &Report| report.findings.iter().map(|finding| finding.cause).collect::<Vec<_>>();
    let all = report(&findings, &Policy::default());
    assert_eq!(causes(&all), [None, None, Some(1), None, None, None]);
    assert_eq!(all.verdict_reasons[0], "5 rules were broken: see the findings.");
    let text = text::render(&all, Look::PLAIN, Detail::Brief);
    assert!(text.starts_with("FINDINGS: 5 broken rules\n"), "{text}");
    assert!(text.contains("   follows from #1, so it is not counted\n"), "{text}");
    // Without its cause it counts: ignoring one finding hides no other.
    let ignore = [all.findings[1].fingerprint.clone()].into();
    let report = report(&findings, &Policy { ignore, ..Policy::default() });
    assert!(causes(&report).iter().all(Option::is_none));
    assert_eq!(report.verdict_reasons[0], "5 rules were broken: see the findings.");
}

proptest! {
    /// Whatever the instances are: nothing is counted twice, and nothing is lost.
    #[test]
    fn totals_of_findings_are_those_of_their_instances(
        rows in vec((0..4_u32, 0..6_u64, 0..1_u64 << 40, 1..5_u64, 0..4_u64), 0..120)
    ) {
        let findings: Vec<Finding> = rows
            .iter()
            .enumerate()
            .map(|(id, (fs, ino, amount, count, stack))| {
                let mut finding = published(id as u32, FS + fs, 257 + ino, *amount);
                finding.count = *count;
                finding.violation.stack.id = *stack;
                finding
            })
            .collect();
        let report = report(&findings, &Policy::default());
        let sum = |of: fn(&Finding) -> u64| findings.iter().map(of).sum::<u64>();
        prop_assert_eq!(report.findings.iter().map(|one| one.amount as u64).sum::<u64>(), sum(|one| one.amount));
        prop_assert_eq!(report.findings.iter().map(|one| one.count).sum::<u64>(), sum(|one| one.count));
        let instances: u64 = report.findings.iter().map(|one| one.all_instances()).sum();
        prop_assert_eq!(instances, findings.len() as u64);
        let origins = |one: &crate::report::model::Finding| {
            one.origins.iter().map(|origin| origin.bytes).sum::<u64>() + one.origins_left_out_bytes
        };
        prop_assert_eq!(report.findings.iter().map(origins).sum::<u64>(), 4096 * findings.len() as u64);
        let mut keys = BTreeMap::new();
        for one in &report.findings {
            *keys.entry((&one.fingerprint, &one.filesystem)).or_insert(0) += 1;
            prop_assert!(one.instances.len() <= 16);
            prop_assert!(one.instances.iter().any(|instance| instance.first_seen_ns == one.first_seen_ns));
            prop_assert!(one.instances.iter().any(|instance| instance.last_seen_ns == one.last_seen_ns));
        }
        // 0x104 is not known, so it has no uuid.
        prop_assert!(keys.iter().all(|((_, fs), count)| fs.is_none() || *count == 1));
        let ids: Vec<u32> = report.findings.iter().map(|one| one.id).collect();
        prop_assert!(ids.is_sorted());
        let mut folded = Vec::new();
        folded::write(&report, &mut folded).unwrap();
        let text = String::from_utf8(folded).unwrap();
        let weight: u64 = text.lines().filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum();
        prop_assert_eq!(weight, 4096 * findings.len() as u64);
    }

    /// Findings come one by one on the screen, all at once in a report.
    #[test]
    fn groups_are_the_same_however_they_come(
        rows in vec((0..4_u32, 0..4_u64), 0..60), pieces in vec(1..9_usize, 60)
    ) {
        let findings: Vec<Finding> = rows
            .iter()
            .enumerate()
            .map(|(id, (fs, stack))| {
                let mut finding = published(id as u32, FS + fs, 257, 1);
                finding.violation.stack.id = *stack;
                finding
            })
            .collect();
        let fsid = |fs| [(FS, FSID), (OTHER, [9; 16]), (AGAIN, FSID)].into_iter().find(|(id, _)| *id == fs).map(|of| of.1);
        let whole = Groups::of(&findings, &Stacks, fsid);
        let mut grown = Groups::default();
        let mut to = 0;
        for piece in pieces {
            to = (to + piece).min(findings.len());
            grown.add(&findings[..to], &Stacks, fsid);
        }
        prop_assert_eq!(whole.list(), grown.list());
        let ids: Vec<u32> = (0..findings.len() as u32).collect();
        prop_assert_eq!(whole.ids(&ids), whole.list().iter().map(|group| group.id).collect::<Vec<_>>());
    }
}

/// `-v` and `-vv` printed the same.
#[test]
fn each_more_v_shows_more_of_a_finding() {
    let mut findings = vec![published(0, FS, 257, 5), published(1, FS, 258, 7)];
    findings[0].violation.origins = (0..6)
        .map(|_| Origin { bytes: 4096, count: 1, stack: StackRef { id: 2, representative: false } })
        .collect();
    let mut report = report(&findings, &Policy::default());
    // Stacks that are alike are one: those of a report of many sites.
    let origin = report.findings[0].origins[0].clone();
    report.findings[0].origins = vec![origin; 6];
    let shown = |detail| text::render(&report, Look::PLAIN, detail);
    let (normal, full, all) = (shown(Detail::Normal), shown(Detail::Full), shown(Detail::All));
    let hooks = "hits: how often a hook ran";
    assert!(!normal.contains(hooks) && full.contains(hooks) && all.contains(hooks), "{full}");
    for what in [
        "instances, in the order in which they were found",
        "judged at its end",
        "open: its end was not seen",
    ] {
        assert!(!full.contains(what), "{what}");
    }
    assert!(all.contains("instances, in the order in which they were found"), "{all}");
    assert!(all.contains("at its end\n"), "{all}");
    for (text, stacks, more) in [(&normal, 4, true), (&full, 4, true), (&all, 6, false)] {
        assert_eq!(text.matches("reserved 24,576 bytes (24 KiB) in").count(), stacks, "{text}");
        assert_eq!(text.contains("from 2 more stacks"), more, "{text}");
    }
    // Nothing is lost on the way.
    for line in full.lines().filter(|line| line.contains("fingerprint") || line.contains("hits")) {
        assert!(all.contains(line), "{line}");
    }
}

#[test]
fn all_instances_that_a_report_lists_are_rows() {
    let report = report(&thousand(), &Policy::default());
    let text = text::render(&report, Look { width: 120, ..Look::PLAIN }, Detail::All);
    assert!(text.contains("16 of 1,000 instances: the first, the last and the largest"), "{text}");
    let rows = text.lines().skip_while(|line| !line.contains("16 of 1,000 instances")).skip(2).take(16);
    let inodes: Vec<&str> = rows.filter_map(|row| row.split_whitespace().nth(1)).collect();
    assert!(inodes.len() == 16 && inodes.contains(&"957") && inodes[0] == "257", "{inodes:?}");
}
