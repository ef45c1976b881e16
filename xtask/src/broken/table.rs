//! The table, as Markdown.
use std::collections::BTreeMap;

use super::{
    bugs::Bug,
    judge::{Judgement, Read},
};

/// How many bugs have which judgement.
pub fn sums(rows: &[(Bug, Read)]) -> String {
    let mut counts: BTreeMap<Judgement, u32> = BTreeMap::new();
    for (bug, read) in rows {
        if bug.name != "none" {
            *counts.entry(read.judgement).or_default() += 1;
        }
    }
    counts.iter().map(|(judgement, count)| format!("{judgement} {count}")).collect::<Vec<_>>().join(", ")
}

/// A row for each bug.
pub fn text(rows: &[(Bug, Read)]) -> String {
    let mut text = format!(
        "# Broken kernels\n\n{}\n\n| bug | what it does | hits | true bytes | judgement | what the tool says |\n\
         |---|---|---|---|---|---|\n",
        sums(rows)
    );
    for (bug, read) in rows {
        let real = bug.real.as_ref().map_or(String::new(), |fix| format!(" (real: {fix})"));
        text += &format!(
            "| {} | {}{real} | {} | {} | {} | {} |\n",
            bug.name,
            bug.does,
            read.truth.hits,
            bytes(read),
            judgement(read),
            said(read)
        );
    }
    text
}

/// The judgement, and whether the amount is the true one: of a finding as good as the best, of all such together, or of all
/// that fit.
fn judgement(read: &Read) -> String {
    let amounts = |worst: Judgement| -> Vec<u64> {
        let fit = read.found.iter().filter(|found| found.judgement <= worst);
        fit.map(|found| found.amount).collect()
    };
    let (best, fit) = (amounts(read.judgement), amounts(Judgement::Level));
    let truth = read.truth.bytes.unsigned_abs();
    let exact = best.contains(&truth) || [best, fit].iter().any(|all| all.iter().sum::<u64>() == truth);
    match read.judgement {
        Judgement::Right | Judgement::End | Judgement::Late | Judgement::Level if exact => {
            format!("{}, exact", read.judgement)
        }
        other => other.to_string(),
    }
}

fn bytes(read: &Read) -> String {
    const SHOWN: usize = 3;
    let owners: Vec<String> = read
        .truth
        .owners
        .iter()
        .filter(|((root, inode), _)| *root != 0 || *inode != 0)
        .take(SHOWN)
        .map(|((root, inode), bytes)| format!("{}/{inode} {bytes}", root.cast_signed()))
        .collect();
    let more = if read.truth.owners.len() > SHOWN { ", ..." } else { "" };
    match owners.is_empty() {
        true => read.truth.bytes.to_string(),
        false => format!("{}: {}{more}", read.truth.bytes, owners.join(", ")),
    }
}

fn said(read: &Read) -> String {
    match read.found.is_empty() {
        true => read.verdict.clone(),
        false => {
            let lines = read.found.iter().map(|found| format!("{} ({})", found.text, found.judgement));
            lines.collect::<Vec<_>>().join("<br>")
        }
    }
}
