//! The page: nothing in it is obeyed, nothing is fetched, and its figures are those of the report.
use std::collections::BTreeMap;

use serde_json::Value;

use super::data::{clean, inconclusive, test, with_findings};
use crate::report::{
    html,
    model::{
        CounterTimeline, Failure, FailureInstance, FailureKind, FsTimeline, PoolTimeline, Report, Task,
        TimePoint, Timeline,
    },
};
use probe_ledger::Verdict;

const STYLE: &str = include_str!("../html/style.css");
const HOSTILE: &str =
    "</script><script>alert(1)</script><!--<img src=x onerror=alert(1)>\u{2028}\x1b[2J\u{7f}\u{202e}\"'&";

fn page(report: &Report) -> String {
    let mut bytes = Vec::new();
    html::write(report, &mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

/// `points` a counter, with one spike each.
fn timeline(uuid: &str, points: u64, duration: u64) -> FsTimeline {
    let counter = |(number, name): (i64, &'static str)| CounterTimeline {
        name,
        exact_to_ns: 1 << 20,
        points: (0..points)
            .map(|at| {
                let last = (at as i64 * 7919 * (number + 1)) % (1 << 30);
                let high = if at == points / 2 { 1 << 40 } else { last + at as i64 % 3 };
                TimePoint { time_ns: at * duration / points, low: last, high, last }
            })
            .collect(),
    };
    let space = |name: &str| PoolTimeline {
        name: name.to_owned(),
        is_space: true,
        counters: (0..)
            .zip(["bytes_used", "bytes_reserved", "bytes_pinned", "bytes_may_use", "total_bytes"])
            .map(counter)
            .collect(),
    };
    let reserve = |name: &str| PoolTimeline {
        name: name.to_owned(),
        is_space: false,
        counters: vec![counter((3, "reserved"))],
    };
    let rsvs = ["fs.global_rsv", "trans.rsv", "fs.chunk_rsv", "fs.delayed_rsv", "fs.delayed_refs_rsv"];
    FsTimeline {
        uuid: uuid.to_owned(),
        from_ns: 0,
        to_ns: duration,
        pools: ["data", "metadata", "system"].map(space).into_iter().chain(rsvs.map(reserve)).collect(),
        failed: vec![(duration / 2, 3)],
        refused: Vec::new(),
    }
}

fn with_timeline(mut report: Report, points: u64) -> Report {
    let uuid = report.filesystems[0].uuid.clone();
    report.timeline = Timeline {
        filesystems: vec![timeline(&uuid, points, report.duration_ns)],
        forgotten: 0,
        lost: vec![(report.duration_ns / 3, 7)],
    };
    report
}

fn failure(name: &str) -> Failure {
    let instance = FailureInstance {
        time_ns: 7,
        task: Some(Task { pid: Some(1), tid: 1, comm: name.to_owned() }),
        call: None,
        bytes: Some(4096),
        flush: None,
        root: None,
        inode: Some(1),
        path: Some(name.to_owned()),
        path_truncated: false,
        path_bytes: None,
        aborted_at: Some(name.to_owned()),
        who: name.to_owned(),
        why: None,
        drained_by: Vec::new(),
        holders: None,
        limit: None,
        stack: Vec::new(),
    };
    Failure {
        filesystem: None,
        kind: FailureKind::Ticket,
        error: -28,
        errno: "ENOSPC".to_owned(),
        space_info: Some("metadata".to_owned()),
        qgroup: None,
        count: 1,
        with_state: 0,
        largest_bytes: 4096,
        first_seen_ns: 7,
        last_seen_ns: 7,
        tasks: Vec::new(),
        other_tasks: 0,
        instances: vec![instance],
    }
}

/// Replaces every string that a name can come from.
fn hostile() -> Report {
    let mut value = serde_json::to_value(with_findings()).unwrap();
    fn walk(value: &mut Value, key: &str) {
        const NAMES: [&str; 14] = [
            "comm",
            "path",
            "devices",
            "mounts",
            "command",
            "text",
            "device",
            "symbol",
            "module",
            "release",
            "reason",
            "explanation",
            "verdict_reasons",
            "tier_reason",
        ];
        match value {
            Value::String(text) if NAMES.contains(&key) => *text = HOSTILE.to_owned(),
            Value::Array(list) => list.iter_mut().for_each(|value| walk(value, key)),
            Value::Object(object) => object.iter_mut().for_each(|(key, value)| walk(value, key)),
            _ => {}
        }
    }
    walk(&mut value, "");
    let mut report = with_timeline(serde_json::from_value(value).unwrap(), 9);
    report.tests = vec![test(HOSTILE, Verdict::Findings, &[1], 3)];
    report.failures = vec![failure(HOSTILE)];
    report
}

#[test]
fn nothing_in_a_name_is_obeyed() {
    let page = page(&hostile());
    assert!(page.matches("alert(1)").count() > 20, "the names are on the page");
    // Three scripts of ours and the data.
    assert_eq!(page.matches("<script").count(), 4);
    assert_eq!(page.matches("</script").count(), 4);
    for never in ["<img", "<!--", "\u{2028}", "\u{202e}", "\x1b", "\u{7f}"] {
        assert!(!page.contains(never), "{never:?}");
    }
    assert!(!page.chars().any(|c| c.is_control() && c != '\n'), "a control character");
}

/// Our policy forbids both, so they would be without effect.
#[test]
fn no_attribute_has_style_or_script() {
    for report in [hostile(), with_timeline(clean(), 50), inconclusive()] {
        let page = page(&report);
        let body = &page[page.find("<body").unwrap()..];
        for tag in body.split('<').skip(1) {
            let tag = &tag[..tag.find('>').unwrap_or(tag.len())];
            // Without the values: what is between quotes.
            let names: String = tag.split('"').step_by(2).collect();
            assert!(!names.contains(" style=") && !names.contains(" on"), "{tag}");
        }
    }
}

/// One file, without a network: no address, and nothing that loads.
#[test]
fn nothing_is_fetched() {
    for report in [with_timeline(with_findings(), 50), clean(), inconclusive()] {
        let page = page(&report);
        for never in
            ["http:", "https:", "://", "url(", "@import", " src=", "<link", "<iframe", "fetch(", "import("]
        {
            assert!(!page.contains(never), "{never}");
        }
        let policy = "content=\"default-src 'none'; base-uri 'none'; form-action 'none'; style-src 'sha256-";
        assert!(page.contains(policy));
        // A link leads to a place on the page, and there is one.
        for link in page.split("href=\"").skip(1) {
            let target = &link[..link.find('"').unwrap()];
            let id = target.strip_prefix('#').unwrap();
            assert!(page.contains(&format!(" id=\"{id}\"")), "{target}");
        }
    }
}

fn outline(page: &str) -> String {
    let mut lines = Vec::new();
    for part in page.split('<') {
        let Some((tag, text)) = part.split_once('>') else { continue };
        let name = tag.split(' ').next().unwrap_or_default();
        match name {
            "section" => lines.push(tag.split('"').nth(1).unwrap_or_default().to_owned()),
            "h1" | "h2" | "h3" | "caption" => lines.push(format!("  {name} {text}")),
            "summary" => lines.push(format!("  {tag} {text}")),
            "th" if !text.is_empty() => lines.push(format!("      {text}")),
            _ => {}
        }
    }
    lines.join("\n")
}

/// What stands where; not how it looks.
#[test]
fn structure() {
    insta::assert_snapshot!(outline(&page(&with_timeline(with_findings(), 9))));
}

/// The data that the page draws: last and highest value by filesystem, lane and counter.
fn drawn(page: &str) -> BTreeMap<(usize, usize, String), (i64, i64)> {
    let begin = "type=\"application/json\">";
    let from = page.find(begin).unwrap() + begin.len();
    let data: Value = serde_json::from_str(&page[from..from + page[from..].find('<').unwrap()]).unwrap();
    let mut drawn = BTreeMap::new();
    for (fs, of) in data["filesystems"].as_array().unwrap().iter().enumerate() {
        for (lane, of) in of["lanes"].as_array().unwrap().iter().enumerate() {
            for counter in of["counters"].as_array().unwrap() {
                let numbers = |name: &str| -> Vec<i64> {
                    counter[name]
                        .as_array()
                        .into_iter()
                        .flatten()
                        .map(|number| number.as_i64().unwrap())
                        .collect()
                };
                let (times, values, highs) = (numbers("t"), numbers("v"), numbers("hi"));
                assert_eq!(times.len(), values.len());
                assert!(times.iter().all(|step| *step >= 0));
                let mut sum = 0;
                let mut high = i64::MIN;
                for (at, difference) in values.iter().enumerate() {
                    sum += difference;
                    high = high.max(sum + highs.get(at).unwrap_or(&0));
                }
                drawn.insert((fs, lane, counter["name"].as_str().unwrap().to_owned()), (sum, high));
            }
        }
    }
    drawn
}

/// However few points the page has, the last value and the spike are those of the report.
#[test]
fn what_is_drawn_is_what_was_held() {
    let report = with_timeline(clean(), 50_000);
    let drawn = drawn(&page(&report));
    let of = |pool: usize, name: &str| {
        let counter = report.timeline.filesystems[0].pools[pool].counter(name).unwrap();
        (counter.points.last().unwrap().last, counter.high())
    };
    // The first lane is the stack of data, the next its counters; metadata follows.
    for (lane, pool, name) in [
        (0, 0, "total_bytes"),
        (0, 0, "bytes_used"),
        (1, 0, "bytes_may_use"),
        (4, 1, "total_bytes"),
        (5, 1, "bytes_may_use"),
    ] {
        let drawn = drawn.get(&(0, lane, name.to_owned())).copied();
        assert_eq!(drawn, Some(of(pool, name)), "{lane} {name}");
        assert_eq!(of(pool, name).1, 1 << 40);
    }
}

/// A day of a busy filesystem, and a kernel that is wrong everywhere, stay pages that a browser opens.
#[test]
fn a_page_has_a_bound() {
    let day = 86_400_000_000_000;
    let mut report = with_findings();
    report.duration_ns = day;
    let first = report.findings[0].clone();
    report.findings = (0..1000)
        .map(|id| {
            let mut finding = first.clone();
            finding.id = id;
            finding.fingerprint = format!("{:016x}", id / 2);
            finding
        })
        .collect();
    let uuids: Vec<String> =
        (0..40).map(|number| format!("00000000-0000-4000-8000-0000000000{number:02}")).collect();
    report.timeline.filesystems = uuids.iter().map(|uuid| timeline(uuid, 2000, day)).collect();
    report.timeline.lost = (0..500).map(|at| (at * day / 500, 1)).collect();
    let page = page(&report);
    assert!(page.len() < 4 << 20, "{} bytes", page.len());
    let full = page.matches("<details class=\"finding").count();
    assert!((10..=60).contains(&full), "{full}");
    assert!(page.contains("id=\"finding-999\""), "each has a place that marks lead to");
    assert!(page.matches("class=\"mark ").count() < 16 * 5 * 160);
}

fn colours(block: &str) -> BTreeMap<&str, &str> {
    block
        .lines()
        .filter_map(|line| line.trim().strip_prefix("--")?.strip_suffix(';')?.split_once(": "))
        .collect()
}

fn luminance(colour: &str) -> f64 {
    let channel = |at: usize| {
        let value = f64::from(u8::from_str_radix(&colour[at..at + 2], 16).unwrap()) / 255.0;
        if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    };
    0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
}

fn contrast(one: &str, other: &str) -> f64 {
    let (one, other) = (luminance(one), luminance(other));
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

/// WCAG 2.2: 4.5 for text, 3 for what a picture is made of. Both dark blocks are the same.
#[test]
fn colours_can_be_read_in_light_and_dark() {
    let blocks: Vec<&str> = STYLE.split('}').filter(|block| block.contains("--page: #")).take(3).collect();
    let [light, system, chosen] = blocks[..] else { panic!("{} blocks", blocks.len()) };
    assert_eq!(colours(system), colours(chosen));
    for theme in [colours(light), colours(chosen)] {
        assert!(theme.len() > 25);
        let text = [
            ("text", "page"),
            ("text", "card"),
            ("faint", "page"),
            ("faint", "card"),
            ("link", "page"),
            ("link", "card"),
            ("good", "good-card"),
            ("bad", "bad-card"),
            ("doubt", "doubt-card"),
            ("text", "good-card"),
            ("text", "bad-card"),
            ("text", "doubt-card"),
            ("bad", "page"),
            ("bad", "card"),
            ("on-used", "used"),
            ("on-reserved", "reserved"),
            ("on-pinned", "pinned"),
            ("on-may-use", "may-use"),
            ("on-readonly", "readonly"),
            ("on-free", "free"),
            ("text", "frame-btrfs"),
            ("text", "frame-other"),
            ("text", "frame-of"),
        ];
        for (one, other) in text {
            assert!(
                contrast(theme[one], theme[other]) >= 4.5,
                "{one} on {other}: {}",
                contrast(theme[one], theme[other])
            );
        }
        // Neighbours of a stack have an edge in the colour of the page.
        for of in ["used", "pinned", "rsv", "bad", "doubt", "good"] {
            assert!(
                contrast(theme[of], theme["card"]) >= 3.0,
                "{of}: {}",
                contrast(theme[of], theme["card"])
            );
        }
    }
}
