//! The recording of `demo --broken`, in every form of a report that has findings; and the pages that show it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]
use std::collections::BTreeSet;

use probe_ledger::{FindingKind, Verdict};

use super::{BROKEN, Selected, recording};
use crate::{
    report::{
        build::Policy,
        folded, junit, mail,
        model::{Finding, IgnoredBy, Report, StackSource},
        text::{self, Look},
    },
    session::read_report,
};

fn report_with(policy: &Policy) -> Report {
    read_report::of_source(&mut Selected::all(recording(BROKEN).unwrap()), policy)
}

fn report() -> Report {
    report_with(&Policy::default())
}

fn rendered(write: impl Fn(&Report, &mut Vec<u8>) -> std::io::Result<()>, report: &Report) -> String {
    let mut bytes = Vec::new();
    write(report, &mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn it_has_four_kinds_of_findings_with_both_stacks() {
    let report = report();
    assert_eq!(report.verdict.0, Verdict::Findings);
    let kinds: Vec<&str> = report.findings.iter().map(|finding| finding.kind.name()).collect();
    assert_eq!(kinds, ["over-release", "leak", "error-path-leak", "wrong-owner"]);
    for finding in &report.findings {
        assert_eq!(finding.stack_source, StackSource::Exact, "{finding:?}");
        assert!(!finding.origins.is_empty() && !finding.evidence.is_empty(), "{finding:?}");
        assert!(finding.stack.iter().all(|frame| frame.symbol.is_some()), "{finding:?}");
    }
    assert_eq!(report.loss.records, 0);
    assert!(BROKEN.len() < 300_000, "it is part of the program");
}

#[test]
fn its_junit_is_one_failed_case_with_all_findings() {
    let xml = rendered(|report, writer| junit::write(report, writer), &report());
    assert!(xml.contains("tests=\"1\" failures=\"1\""), "{xml}");
    assert!(xml.contains("type=\"over-release,leak,error-path-leak,wrong-owner\""), "{xml}");
    for finding in &report().findings {
        assert!(xml.contains(&finding.fingerprint), "{xml}");
    }
}

#[test]
fn its_folded_stacks_are_those_that_reserved() {
    let text = rendered(|report, writer| folded::write(report, writer), &report());
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 4, "{text}");
    let expected = "error-path-leak;space.data.bytes_may_use;entry_SYSCALL_64_after_hwframe;do_syscall_64;ksys_write;vfs_write;\
                    btrfs_do_write_iter;btrfs_buffered_write;btrfs_check_data_free_space 65536";
    assert!(lines.contains(&expected), "{text}");
}

#[test]
fn a_finding_in_the_ignore_file_does_not_count_and_all_of_them_are_clean() {
    let all: Vec<String> = report().findings.iter().map(|finding| finding.fingerprint.clone()).collect();
    let first = Policy { ignore: BTreeSet::from([all[0].clone()]), ..Policy::default() };
    let report = report_with(&first);
    assert_eq!(report.verdict.0, Verdict::Findings);
    assert_eq!(report.findings[0].ignored, Some(IgnoredBy::IgnoreFile));
    assert!(report.findings[1..].iter().all(|finding| finding.ignored.is_none()));
    let every = Policy { ignore: all.into_iter().collect(), ..Policy::default() };
    let report = report_with(&every);
    assert_eq!(report.verdict.0, Verdict::Clean, "{:?}", report.verdict_reasons);
    assert_eq!(report.findings.len(), 4, "ignored, not hidden");
}

#[test]
fn its_mails_are_four() {
    let mbox = rendered(|report, writer| mail::write(report, writer), &report());
    assert_eq!(mbox.matches("\nSubject: btrfs: ").count(), 4, "{mbox}");
    assert!(mbox.contains("Reproducer:  sh /load.sh"), "{mbox}");
}

fn example(finding: &Finding) -> String {
    text::render_finding(finding, Look::PLAIN)
}

#[test]
fn the_pages_of_its_kinds_show_it() {
    let report = report();
    for kind in
        [FindingKind::OverRelease, FindingKind::Leak, FindingKind::ErrorPathLeak, FindingKind::WrongOwner]
    {
        let finding = report.findings.iter().find(|finding| finding.kind.0 == kind).unwrap();
        let path = format!("{}/../docs/findings/{}.md", env!("CARGO_MANIFEST_DIR"), kind.name());
        let page = std::fs::read_to_string(&path).unwrap();
        let (before, rest) = page.split_once("```text\n").unwrap();
        let (_, after) = rest.split_once("```\n").unwrap();
        let now = format!("{before}```text\n{}```\n{after}", example(finding).trim_start_matches('\n'));
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&path, &now).unwrap();
        } else {
            assert!(
                page == now,
                "{path}: regenerate the example with `BLESS=1 cargo test -p probe-user demo`"
            );
        }
    }
}
