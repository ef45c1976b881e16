//! Where a finding was found: a row for each inode, subvolume or mount.
use super::{
    super::model::{Finding, Instance},
    paper::{Paper, Tone},
    table::{self, left, right},
};
use crate::format::{self, escape::escape};

pub(super) fn render(paper: &mut Paper, finding: &Finding) {
    let all = finding.all_instances();
    if all < 2 {
        return;
    }
    paper.blank();
    let listed = finding.instances.len() as u64;
    let which = if listed == all {
        "instances, in the order in which they were found".to_owned()
    } else {
        format!("{listed} of {} instances: the first, the last and the largest", format::count(all))
    };
    let which = paper.tone(Tone::Strong, &which);
    paper.line(&format!("   {which}"));
    let columns = [
        right("subvol"),
        right("ino"),
        right("gen"),
        right("amount"),
        right("times"),
        right("first"),
        right("last"),
        left("sure"),
        left("path"),
    ];
    let rows: Vec<Vec<String>> =
        finding.instances.iter().map(|instance| row(instance, &finding.unit)).collect();
    table::render(paper, &columns, &rows);
}

fn row(instance: &Instance, unit: &str) -> Vec<String> {
    let number = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
    vec![
        instance.root.map_or_else(|| "-".to_owned(), |root| root.to_string()),
        number(instance.inode),
        number(instance.generation),
        if unit == "bytes" { format::bytes(instance.amount, "") } else { format::exact(instance.amount) },
        format::count(instance.count),
        format::moment(instance.first_seen_ns),
        format::moment(instance.last_seen_ns),
        instance.confidence.name().to_owned(),
        instance.path.as_deref().map_or_else(|| "-".to_owned(), escape),
    ]
}
