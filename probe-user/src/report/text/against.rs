//! What is new, the same and gone against another report.
use super::{
    super::model::{Against, Report},
    paper::Paper,
};
use crate::format::{self, escape::escape};

pub(super) fn render(paper: &mut Paper, report: &Report) {
    let Some(against) = &report.against else { return };
    let Against { file, kernel, tier, started_at, verdict, new, same, gone, notes } = against;
    paper.heading(&format!("Against {}", escape(file)));
    paper.field("session", &format!("{started_at}, kernel {}, {} tier", escape(kernel), tier.name()));
    paper.field("verdict", verdict.name());
    let ids: Vec<String> = new.iter().map(|id| format!("#{id}")).collect();
    let new = if new.is_empty() {
        "nothing".to_owned()
    } else {
        format!("{}: {}", format::counted(new.len() as u64, "finding"), ids.join(", "))
    };
    paper.field("new", &new);
    for finding in same {
        let ids: Vec<String> = finding.ids.iter().map(|id| format!("#{id}")).collect();
        let text = format!(
            "{} ({} here, {} there)",
            ids.join(", "),
            format::counted(finding.count, "violation"),
            format::count(finding.before.count)
        );
        paper.field("same", &text);
    }
    for finding in gone {
        paper.field("gone", &format!("{} {}", finding.fingerprint, escape(&finding.heading)));
    }
    for note in notes {
        paper.item(note);
    }
}
