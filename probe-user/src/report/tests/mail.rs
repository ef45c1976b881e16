//! Mails: what mail programs and `git mailsplit` demand of them, and how they read.
use insta::assert_snapshot;
use probe_ledger::Verdict;

use super::data::{clean, facts, inconclusive, leak, over_release, report_of, summary, with_findings};
use crate::{
    format::escape::width,
    report::{build::Policy, mail, model::Report},
};

fn text(report: &Report) -> String {
    let mut bytes = Vec::new();
    mail::write(report, &mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

/// As readers of an mbox split it, with the rest of the `From ` line left out.
fn split(mbox: &str) -> Vec<&str> {
    assert!(mbox.starts_with("From "), "{mbox}");
    let starts: Vec<usize> =
        std::iter::once(0).chain(mbox.match_indices("\nFrom ").map(|(at, _)| at + 1)).collect();
    let ends = starts.iter().skip(1).copied().chain([mbox.len()]);
    starts.iter().zip(ends).map(|(start, end)| &mbox[*start..end]).collect()
}

#[test]
fn mails_of_findings() {
    assert_snapshot!(text(&with_findings()));
}

#[test]
fn each_finding_is_a_mail_with_a_subject_of_one_ascii_line() {
    let mbox = text(&with_findings());
    let mails = split(&mbox);
    assert_eq!(mails.len(), 2);
    for mail in mails {
        let (head, body) = mail.split_once("\n\n").expect("a head and a body");
        let subjects: Vec<&str> = head.lines().filter(|line| line.starts_with("Subject: btrfs: ")).collect();
        assert!(subjects.len() == 1 && subjects[0].is_ascii(), "{head}");
        assert!(head.lines().all(|line| line.contains(": ") || line.starts_with("From ")), "{head}");
        assert!(!head.contains("\nTo:") && !head.contains("\nFrom:"), "nothing is sent by mistake");
        assert!(mail.ends_with("\n\n"), "a blank line before the next mail");
        // As git's `is_from_line()`: a time with two colons, then a year.
        let first = mail.lines().next().unwrap();
        let year = first.rsplit(' ').next().unwrap().parse::<u32>().unwrap();
        assert!(first.matches(':').count() == 2 && year > 90, "{first}");
        for line in body.lines().filter(|line| !line.contains("+0x")) {
            assert!(width(line) <= 72, "{line}");
            assert!(!line.chars().any(char::is_control), "{line:?}");
        }
    }
}

/// A name may hold anything, and a paragraph may be wrapped anywhere.
#[test]
fn no_line_of_a_body_begins_a_mail() {
    for blanks in 0..80 {
        let mut finding = over_release();
        finding.violation.explanation = format!("{}From x Sat Nov 28 10:02:16 2026", "a ".repeat(blanks));
        finding.task.as_mut().unwrap().comm = "Grüße".to_owned();
        let summary = summary(Verdict::Findings, &[]);
        let mbox = text(&report_of(&summary, &[finding], &facts(), &Policy::default()));
        assert_eq!(split(&mbox).len(), 1, "{mbox}");
        assert!(mbox.contains("charset=utf-8"), "{mbox}");
    }
}

#[test]
fn no_address_of_the_kernel_is_passed_on() {
    assert!(!text(&with_findings()).contains("0xffff"), "{}", text(&with_findings()));
}

#[test]
fn a_known_bug_or_an_ignored_finding_is_no_mail() {
    let fingerprints = with_findings().findings.iter().map(|finding| finding.fingerprint.clone()).collect();
    let policy = Policy { ignore: fingerprints, ..Policy::default() };
    let summary = summary(Verdict::Findings, &[]);
    let ignored = text(&report_of(&summary, &[over_release(), leak()], &facts(), &policy));
    assert_eq!(
        ignored,
        "There is nothing to report: no finding counts (2 findings known, ignored or of another kind), the verdict is \
         clean.\n"
    );
}

#[test]
fn without_a_finding_one_sentence_says_so() {
    assert_eq!(text(&clean()), "There is nothing to report: no finding counts, the verdict is clean.\n");
    assert!(text(&inconclusive()).ends_with("the verdict is inconclusive.\n"));
}
