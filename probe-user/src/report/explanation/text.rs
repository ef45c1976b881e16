//! The explanation and the pages for a person.
use crate::{
    explain::{
        model::{Explanation, Filesystem, SpaceInfo, Usage},
        pages,
    },
    format::{bytes, escape::escape, exact},
    report::text::{Look, Paper, Tone, left, render_table, right},
};

/// The explanation.
#[must_use]
pub fn render(explanation: &Explanation, look: Look, brief: bool) -> String {
    let mut paper = Paper::new(look);
    for (at, filesystem) in explanation.filesystems.iter().enumerate() {
        if at > 0 {
            paper.blank();
        }
        let name = filesystem.device.as_deref().map_or("(the text names no device)".to_owned(), escape);
        let heading = paper.tone(Tone::Strong, &format!("Filesystem {name}"));
        paper.line(&heading);
        one(&mut paper, filesystem, brief);
    }
    if explanation.lines_left_out > 0 {
        paper.blank();
        paper.paragraph(
            "",
            &format!("{} lines of further filesystems are left out.", explanation.lines_left_out),
        );
    }
    paper.into_text()
}

fn one(paper: &mut Paper, filesystem: &Filesystem, brief: bool) {
    paper.paragraph("  ", &escape(&filesystem.sentence));
    if !filesystem.causes.is_empty() {
        paper.blank();
        paper.field("cause", &filesystem.causes.join(", "));
        paper.field("read", &format!("btrfs-probe explain {}", filesystem.causes[0]));
    }
    if filesystem.forced_readonly {
        paper.field("state", "read-only since a transaction was aborted");
    }
    if brief {
        return;
    }
    let mut items = |title: &str, list: &[String]| {
        if !list.is_empty() {
            paper.heading(title);
            for text in list {
                paper.item(&escape(text));
            }
        }
    };
    items("Impossible figures: a bug of the accounting; run btrfs-probe on the load", &filesystem.impossible);
    items("What helps", &filesystem.help);
    spaces(paper, filesystem);
    reserves(paper, filesystem);
    if let Some(usage) = &filesystem.usage {
        of_progs(paper, usage);
    }
    if !filesystem.not_proven.is_empty() {
        paper.heading("What this does not prove");
        for text in &filesystem.not_proven {
            paper.item(&escape(text));
        }
    }
}

fn cell(number: i64) -> [String; 2] {
    [exact(number), bytes(number, "iB")]
}

/// Exact bytes, so that the rows can be added up.
fn spaces(paper: &mut Paper, filesystem: &Filesystem) {
    for space in &filesystem.space_infos {
        let state = match space.full {
            Some(true) => ", the last try for a chunk failed",
            Some(false) => ", the last try for a chunk did not fail",
            None => "",
        };
        let name = match space.subgroup {
            0 => space.kind.clone(),
            id => format!("{} (sub-group {id})", space.kind),
        };
        paper.heading(&format!("space_info {name}{state}"));
        let rows: Vec<Vec<String>> = rows(space)
            .into_iter()
            .map(|(name, number)| {
                let [exact, short] = cell(number);
                vec![name.to_owned(), exact, short]
            })
            .collect();
        render_table(paper, &[left(""), right("bytes"), right("size")], &rows);
    }
}

fn rows(space: &SpaceInfo) -> Vec<(&'static str, i64)> {
    let mut rows = vec![
        ("total", space.total),
        ("- used", space.used),
        ("- pinned", space.pinned),
        ("- reserved", space.reserved),
        ("- may_use", space.may_use),
        ("- readonly", space.readonly),
    ];
    if space.zone_unusable != 0 {
        rows.push(("- zone_unusable", space.zone_unusable));
    }
    rows.push(("= free", space.free));
    rows
}

fn reserves(paper: &mut Paper, filesystem: &Filesystem) {
    if filesystem.block_rsvs.is_empty() {
        return;
    }
    paper.heading("block_rsvs");
    let mut rows: Vec<Vec<String>> = filesystem
        .block_rsvs
        .iter()
        .map(|reserve| {
            let of = reserve.space_info.as_deref().unwrap_or("-").to_owned();
            vec![reserve.name.clone(), exact(reserve.size), exact(reserve.reserved), of]
        })
        .collect();
    for space in &filesystem.space_infos {
        if let Some(other) = space.may_use_other {
            rows.push(vec!["all others".to_owned(), String::new(), exact(other), space.kind.clone()]);
            rows.push(vec!["= may_use".to_owned(), String::new(), exact(space.may_use), space.kind.clone()]);
        }
    }
    render_table(paper, &[left(""), right("size"), right("reserved"), left("part of may_use of")], &rows);
}

fn of_progs(paper: &mut Paper, usage: &Usage) {
    paper.heading(if usage.exact { "btrfs filesystem usage" } else { "btrfs filesystem usage, rounded" });
    let rows: Vec<Vec<String>> = usage
        .allocations
        .iter()
        .map(|of| {
            let name = format!("{}, {}", of.kind, of.profile);
            vec![name, bytes(of.size, "iB"), bytes(of.used, "iB"), bytes(of.free, "iB")]
        })
        .collect();
    render_table(paper, &[left(""), right("size"), right("used"), right("left")], &rows);
    if !usage.devices.is_empty() {
        paper.blank();
        let rows: Vec<Vec<String>> = usage
            .devices
            .iter()
            .map(|device| vec![bytes(device.unallocated, "iB"), escape(&device.path)])
            .collect();
        render_table(paper, &[right("unallocated"), left("device")], &rows);
    }
}

/// The kinds and causes that have a page.
#[must_use]
pub fn render_list(look: Look) -> String {
    let mut paper = Paper::new(look);
    let (kinds, causes) = pages::list();
    for (title, entries) in [("Kinds of findings", kinds), ("Causes of ENOSPC and EDQUOT", causes)] {
        let heading = paper.tone(Tone::Strong, title);
        paper.line(&heading);
        for (name, text) in entries {
            paper.paragraph(&format!("  {name:<24}"), &text);
        }
        paper.blank();
    }
    paper.line("Read one with btrfs-probe explain NAME.");
    paper.into_text()
}

/// A page of `docs/` for a terminal: paragraphs are wrapped, headings marked, links shown as their text.
#[must_use]
pub fn render_page(page: &str, look: Look) -> String {
    let mut paper = Paper::new(look);
    let mut paragraph = String::new();
    let mut bullet = "";
    let mut code = false;
    let mut lines = page.lines().peekable();
    while let Some(line) = lines.next() {
        let fence = line.starts_with("```");
        if code && !fence {
            paper.line(line);
            continue;
        }
        let item = line.strip_prefix("- ");
        let title = line.starts_with('#').then(|| line.trim_start_matches('#').trim());
        let table = line.starts_with('|');
        if fence || item.is_some() || title.is_some() || table || line.is_empty() {
            flush(&mut paper, bullet, &mut paragraph);
            bullet = "";
        }
        match (item, title) {
            _ if fence => code = !code,
            // A heading brings its own blank line.
            _ if line.is_empty() && lines.peek().is_some_and(|next| next.starts_with("##")) => {}
            _ if line.is_empty() => paper.blank(),
            _ if table => paper.line(&without_links(line)),
            (Some(text), _) => {
                bullet = "- ";
                text.clone_into(&mut paragraph);
            }
            (_, Some(title)) if line.starts_with("##") => paper.heading(title),
            (_, Some(title)) => {
                let title = paper.tone(Tone::Strong, title);
                paper.line(&title);
            }
            _ => {
                if !paragraph.is_empty() {
                    paragraph.push(' ');
                }
                paragraph.push_str(line.trim());
            }
        }
    }
    flush(&mut paper, bullet, &mut paragraph);
    paper.into_text()
}

fn flush(paper: &mut Paper, bullet: &str, paragraph: &mut String) {
    if !paragraph.is_empty() {
        paper.paragraph(bullet, &without_links(paragraph));
        paragraph.clear();
    }
}

/// `[text](target)` as `text`.
fn without_links(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('[') {
        plain.push_str(before);
        match after.split_once("](").and_then(|(name, target)| Some((name, target.split_once(')')?.1))) {
            Some((name, behind)) if !name.contains('[') => {
                plain.push_str(name);
                rest = behind;
            }
            _ => {
                plain.push('[');
                rest = after;
            }
        }
    }
    plain.push_str(rest);
    plain
}
