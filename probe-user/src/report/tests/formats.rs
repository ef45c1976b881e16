//! Every format of the same three reports.
use insta::assert_snapshot;
use probe_ledger::Verdict;

use super::data::{clean, facts, inconclusive, leak, over_release, report_of, summary, test, with_findings};
use crate::{
    format::escape,
    report::{
        build::Policy,
        folded, json, junit,
        model::Report,
        ndjson::{self, StreamLine},
        svg,
        text::{self, Detail, Look},
    },
};

const WIDE: Look = Look { width: 120, color: false, unicode: true, cut: true };
const SCREEN: Look = Look { cut: true, ..Look::PLAIN };
const COLOR: Look = Look { color: true, ..Look::PLAIN };

fn json_of(report: &Report) -> String {
    let mut bytes = Vec::new();
    json::write(report, &mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn text_clean() {
    assert_snapshot!(text::render(&clean(), Look::PLAIN, Detail::Normal));
}

#[test]
fn text_findings() {
    assert_snapshot!(text::render(&with_findings(), Look::PLAIN, Detail::Normal));
}

#[test]
fn text_findings_brief() {
    let brief = text::render(&with_findings(), Look::PLAIN, Detail::Brief);
    let normal = text::render(&with_findings(), Look::PLAIN, Detail::Normal);
    let (verdict, findings) = brief.split_once("\n\n").unwrap();
    assert!(
        normal.starts_with(verdict) && normal.contains(findings),
        "-q shows verdict and findings: {brief}"
    );
    assert_eq!(verdict.lines().count(), 1, "{verdict}");
    assert!(!brief.contains("Filesystem") && !brief.contains("kernel  "), "{brief}");
    assert_eq!(text::render(&clean(), Look::PLAIN, Detail::Brief).lines().count(), 1);
}

#[test]
fn text_inconclusive() {
    assert_snapshot!(text::render(&inconclusive(), Look::PLAIN, Detail::Normal));
}

#[test]
fn text_full_wide_unicode() {
    assert_snapshot!(text::render(&clean(), WIDE, Detail::Full));
}

#[test]
fn json_findings() {
    assert_snapshot!(json_of(&with_findings()));
}

fn junit_of(report: &Report) -> String {
    let mut bytes = Vec::new();
    junit::write(report, &mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn junit_findings() {
    assert_snapshot!(junit_of(&with_findings()));
}

#[test]
fn junit_inconclusive() {
    assert_snapshot!(junit_of(&inconclusive()));
}

#[test]
fn junit_without_tests_is_the_session() {
    let text = junit_of(&clean());
    assert!(text.contains("<testcase name=\"session\" classname=\"btrfs-probe\""), "{text}");
    assert!(text.contains("tests=\"1\" failures=\"0\" errors=\"0\""), "{text}");
}

#[test]
fn folded_findings() {
    let mut bytes = Vec::new();
    folded::write(&with_findings(), &mut bytes).unwrap();
    assert_snapshot!(String::from_utf8(bytes).unwrap());
}

/// A frame may call itself anything: XML stays XML, and nothing in it is an element of ours.
#[test]
fn svg_draws_every_stack_and_obeys_no_name() {
    let svg_of = |report: &Report| {
        let mut bytes = Vec::new();
        svg::write(report, &mut bytes).unwrap();
        String::from_utf8(bytes).unwrap()
    };
    let mut report = with_findings();
    report.findings[0].origins.clear();
    report.findings[0].stack[0].symbol = Some("<script>&\"'\u{ffff}\x1b]0;x".to_owned());
    let picture = svg_of(&report);
    assert!(!picture.contains("<script"), "{picture}");
    assert!(picture.contains("&lt;script&gt;&amp;&quot;'\u{fffd}\\x1b]0;x"), "{picture}");
    assert!(!picture.chars().any(|c| (c.is_control() && c != '\n') || c == '\u{ffff}'), "{picture}");
    // Every element that begins ends.
    let ends = picture.matches("</").count();
    let begins = picture.matches('<').count() - ends - picture.matches("<?").count();
    assert_eq!(begins, ends, "{picture}");
    for graph in folded::graphs(&report) {
        assert!(picture.contains(graph.title), "{}", graph.title);
    }
    let mut none = clean();
    none.reserving = Default::default();
    assert!(svg_of(&none).contains("No stack reserved anything"));
}

#[test]
fn colours_add_codes_and_nothing_else() {
    let colored = text::render(&with_findings(), COLOR, Detail::Normal);
    let mut plain = String::new();
    let mut rest = colored.as_str();
    while let Some(at) = rest.find("\x1b[") {
        plain.push_str(&rest[..at]);
        let end = rest[at..].find('m').unwrap();
        rest = &rest[at + end + 1..];
    }
    plain.push_str(rest);
    let trimmed: Vec<&str> = plain.lines().map(str::trim_end).collect();
    let expected = text::render(&with_findings(), Look::PLAIN, Detail::Normal);
    assert_eq!(trimmed, expected.lines().collect::<Vec<_>>());
    assert!(colored.contains("\x1b[1;31mFINDINGS"));
}

#[test]
fn text_shows_sections_and_tests_that_still_run() {
    let mut report = clean();
    let mut hangs = test("generic/475", Verdict::Clean, &[], 0);
    (hangs.section, hangs.ended, hangs.result) = (Some("zstd".to_owned()), false, None);
    report.tests = vec![test("generic/001", Verdict::Clean, &[], 0), hangs];
    let text = text::render(&report, Look::PLAIN, Detail::Normal);
    let row = text.lines().find(|line| line.contains("generic/475")).unwrap();
    assert!(row.contains("zstd") && row.contains(" runs "), "{row}");
    assert!(text.contains("  section  test") && !text.contains("generic/001"), "{text}");
}

#[test]
fn text_fits_its_width_and_obeys_no_escape() {
    for report in [clean(), with_findings(), inconclusive()] {
        for look in [SCREEN, WIDE, Look { width: 100, ..SCREEN }] {
            let text = text::render(&report, look, Detail::Full);
            for line in text.lines() {
                assert!(escape::width(line) <= look.width, "{} columns: {line}", escape::width(line));
                assert!(!line.chars().any(char::is_control), "{line:?}");
                assert!(look.unicode || line.is_ascii(), "{line:?}");
            }
        }
    }
}

#[test]
fn json_reads_back_as_the_same_report() {
    for report in [clean(), with_findings(), inconclusive()] {
        assert_eq!(serde_json::from_str::<Report>(&json_of(&report)).unwrap(), report);
    }
}

/// Readers that keep numbers as doubles must not damage them.
#[test]
fn no_json_number_passes_2_to_the_53() {
    fn walk(value: &serde_json::Value) {
        match value {
            serde_json::Value::Number(number) => {
                let safe = number.as_i64().is_some_and(|number| number.unsigned_abs() <= 1 << 53);
                assert!(safe, "{number}");
            }
            serde_json::Value::Array(values) => values.iter().for_each(walk),
            serde_json::Value::Object(object) => object.values().for_each(walk),
            _ => {}
        }
    }
    walk(&serde_json::to_value(with_findings()).unwrap());
    walk(&serde_json::to_value(inconclusive()).unwrap());
}

#[test]
fn ndjson_is_one_object_a_line_and_ends_with_the_report() {
    let mut report = with_findings();
    report.filesystems.clear();
    let mut bytes = Vec::new();
    ndjson::write(&report, &mut bytes).unwrap();
    let text = String::from_utf8(bytes).unwrap();
    let lines: Vec<StreamLine> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[0], StreamLine::Finding(Box::new(report.findings[0].clone())));
    assert_eq!(lines[2], StreamLine::Report(Box::new(report)));
    assert!(text.starts_with("{\"type\":\"finding\","));
}

#[test]
fn ndjson_puts_findings_between_their_tests_marks() {
    let mut report = inconclusive();
    report.findings = with_findings().findings;
    // A finding comes once, though it is of both.
    report.tests = ["generic/269", "generic/270"].map(|name| test(name, Verdict::Findings, &[1], 0)).to_vec();
    let mut bytes = Vec::new();
    ndjson::write(&report, &mut bytes).unwrap();
    let kind = |line: &str| {
        serde_json::from_str::<serde_json::Value>(line).unwrap()["type"].as_str().unwrap().to_owned()
    };
    let kinds: Vec<String> = std::str::from_utf8(&bytes).unwrap().lines().map(kind).collect();
    assert_eq!(
        kinds,
        [
            "test_start",
            "finding",
            "test_end",
            "test_start",
            "test_end",
            "finding",
            "stall_end",
            "stall",
            "loss",
            "report"
        ]
    );
}

#[test]
fn a_finding_names_the_test_in_whose_window_it_fell() {
    let mut facts = facts();
    facts.tests =
        vec![test("generic/001", Verdict::Clean, &[], 0), test("generic/269", Verdict::Findings, &[1], 0)];
    let summary = summary(Verdict::Findings, &[]);
    let report = report_of(&summary, &[over_release(), leak()], &facts, &Policy::default());
    assert_eq!(report.findings[0].test, None);
    assert_eq!(report.findings[1].test.as_deref(), Some("generic/269"));
}
