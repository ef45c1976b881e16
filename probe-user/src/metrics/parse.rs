//! A strict reader of `OpenMetrics` 1.0 text, for tests: it takes less than Prometheus does.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first surprise")]
use std::collections::{BTreeMap, BTreeSet};

/// Samples by name with labels, as `name{label="value"}`; the labels in their order.
pub(crate) type Samples = BTreeMap<String, f64>;

/// Name, labels and value.
type Sample = (String, Vec<(String, String)>, f64);

#[derive(Default)]
struct Family {
    name: String,
    kind: Option<String>,
    unit: Option<String>,
    help: Option<String>,
    samples: Vec<Sample>,
}

fn is_name(name: &str) -> bool {
    let mut letters = name.chars();
    letters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_' || first == ':')
        && letters.all(|letter| letter.is_ascii_alphanumeric() || letter == '_' || letter == ':')
}

/// `name{a="b",c="d"} value`
fn sample(line: &str) -> Sample {
    let end = line.find(['{', ' ']).unwrap_or_else(|| panic!("{line}"));
    let name = line[..end].to_owned();
    assert!(is_name(&name), "{line}");
    let mut labels = Vec::new();
    let mut rest = &line[end..];
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        loop {
            let (label, after) = rest.split_once("=\"").unwrap_or_else(|| panic!("{line}"));
            assert!(is_name(label) && !label.contains(':'), "{line}");
            let mut value = String::new();
            let mut letters = after.char_indices();
            let at = loop {
                let (at, letter) = letters.next().unwrap();
                match letter {
                    '"' => break at,
                    '\\' => value.push(match letters.next().unwrap().1 {
                        '\\' => '\\',
                        '"' => '"',
                        'n' => '\n',
                        other => panic!("\\{other} in {line}"),
                    }),
                    other => {
                        assert!(!other.is_control(), "{line}");
                        value.push(other);
                    }
                }
            };
            assert!(labels.iter().all(|(known, _)| known != label), "{line}");
            labels.push((label.to_owned(), value));
            rest = &after[at + 1..];
            match rest.split_at(1) {
                (",", more) => rest = more,
                ("}", more) => {
                    rest = more;
                    break;
                }
                _ => panic!("{line}"),
            }
        }
    }
    let value = rest.strip_prefix(' ').unwrap_or_else(|| panic!("{line}"));
    assert!(value.chars().all(|letter| letter.is_ascii_digit() || "+-.".contains(letter)), "{line}");
    (name, labels, value.parse().unwrap())
}

/// Reads a text, and panics at the first thing that is not as the specification has it.
pub(crate) fn samples(text: &str) -> Samples {
    let body = text.strip_suffix("# EOF\n").unwrap_or_else(|| panic!("no end: {text}"));
    let mut families: Vec<Family> = Vec::new();
    for line in body.lines() {
        if let Some(meta) = line.strip_prefix("# ") {
            let mut words = meta.splitn(3, ' ');
            let (what, name, rest) =
                (words.next().unwrap(), words.next().unwrap(), words.next().unwrap().to_owned());
            assert!(is_name(name), "{line}");
            if families.last().is_none_or(|family| family.name != name) {
                assert!(families.iter().all(|family| family.name != name), "{name} is in two places");
                families.push(Family { name: name.to_owned(), ..Family::default() });
            }
            let family = families.last_mut().unwrap();
            assert!(family.samples.is_empty(), "{line} behind its samples");
            let field = match what {
                "TYPE" => &mut family.kind,
                "UNIT" => &mut family.unit,
                "HELP" => &mut family.help,
                _ => panic!("{line}"),
            };
            assert_eq!(field.replace(rest), None, "{line} twice");
            continue;
        }
        let sample = sample(line);
        let family = families.last_mut().unwrap_or_else(|| panic!("{line} has no type"));
        let suffix = sample.0.strip_prefix(&family.name).unwrap_or_else(|| panic!("{line} has no type"));
        let suffixes: &[&str] = match family.kind.as_deref() {
            Some("counter") => &["_total"],
            Some("gauge") => &[""],
            Some("histogram") => &["_bucket", "_sum", "_count"],
            other => panic!("{other:?} of {line}"),
        };
        assert!(suffixes.contains(&suffix), "{line}");
        family.samples.push(sample);
    }
    let mut all = Samples::new();
    for family in &families {
        check(family);
        for (name, labels, value) in &family.samples {
            let labels: Vec<String> =
                labels.iter().map(|(label, value)| format!("{label}={value:?}")).collect();
            let key =
                if labels.is_empty() { name.clone() } else { format!("{name}{{{}}}", labels.join(",")) };
            assert_eq!(all.insert(key.clone(), *value), None, "{key} is there twice");
        }
    }
    all
}

fn check(family: &Family) {
    let name = &family.name;
    assert!(family.help.is_some() && !family.samples.is_empty(), "{name}");
    if let Some(unit) = &family.unit {
        assert!(name.ends_with(&format!("_{unit}")), "{name} has unit {unit}");
    }
    let counter = family.kind.as_deref() == Some("counter");
    assert!(!counter || !name.ends_with("_total"), "{name}");
    let sets: BTreeSet<Vec<&str>> = family
        .samples
        .iter()
        .map(|(_, labels, _)| {
            labels.iter().map(|(label, _)| label.as_str()).filter(|label| *label != "le").collect()
        })
        .collect();
    assert_eq!(sets.len(), 1, "{name} has several sets of labels");
    assert!(!counter || family.samples.iter().all(|(.., value)| *value >= 0.0), "{name} is below zero");
    if family.kind.as_deref() != Some("histogram") {
        return;
    }
    // Bounds rise, counts rise with them, and the last bucket is the count.
    let mut last: Option<(f64, f64)> = None;
    for (name, labels, value) in &family.samples {
        let bound = labels.iter().find(|(label, _)| label == "le").map(|(_, bound)| bound.as_str());
        match (bound, name.ends_with("_count")) {
            (Some(bound), _) => {
                let bound = if bound == "+Inf" { f64::INFINITY } else { bound.parse().unwrap() };
                if let Some((before, count)) = last {
                    assert!(bound > before && *value >= count, "{name} {labels:?}");
                }
                last = Some((bound, *value));
            }
            (None, true) => {
                assert_eq!(last.take(), Some((f64::INFINITY, *value)), "{name}");
            }
            (None, false) => {}
        }
    }
}
