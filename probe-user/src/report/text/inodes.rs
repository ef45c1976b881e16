//! The inodes that hold most.
use super::{
    super::model::{InodeHolder, Report},
    Detail,
    paper::Paper,
    table::{self, left, right},
};
use crate::format::{self, escape::escape};

/// More than this is for `-vv`, the JSON report and the screen.
const MOST: usize = 10;

pub(super) fn render(paper: &mut Paper, report: &Report, detail: Detail) {
    if report.inodes.is_empty() {
        return;
    }
    let shown = if detail >= Detail::All { report.inodes.len() } else { report.inodes.len().min(MOST) };
    paper.heading(&format!("Who holds what: {shown} of {} inodes", report.inodes.len()));
    let columns = [
        right("subvol"),
        right("ino"),
        right("meta_rsv"),
        right("extents"),
        right("csum"),
        right("delalloc"),
        left("task"),
        left("path"),
    ];
    let rows: Vec<Vec<String>> = report.inodes.iter().take(shown).map(row).collect();
    table::render(paper, &columns, &rows);
    if report.inodes.iter().take(shown).any(|inode| !inode.opening_known) {
        paper.paragraph("  ", "~ first seen while it may have held something already: counted from then on.");
    }
}

fn row(inode: &InodeHolder) -> Vec<String> {
    let size = |bytes: Option<i64>| bytes.map_or_else(|| "-".to_owned(), |bytes| format::bytes(bytes, ""));
    let opening = if inode.opening_known { "" } else { "~" };
    let task = inode.task.as_ref().map_or_else(|| "-".to_owned(), |task| escape(&task.comm));
    vec![
        inode.root.to_string(),
        inode.inode.to_string(),
        format!("{opening}{}", format::bytes(inode.meta_rsv, "")),
        inode.outstanding_extents.map_or_else(|| "-".to_owned(), format::exact),
        size(inode.csum_bytes),
        size(inode.delalloc_bytes),
        task,
        inode.path.as_deref().map_or_else(|| "-".to_owned(), escape),
    ]
}
