//! Rows of the lists, filtered and sorted.
use super::{app::App, finding_fields::FindingFields};
use crate::{
    report::model::Finding,
    tui::{
        columns::{finding_columns, inode_sort},
        picture::InodeRow,
        table::sort,
    },
};

impl App {
    /// Inodes as they are listed.
    #[must_use]
    pub fn inode_rows(&self) -> Vec<&InodeRow> {
        let Some(picture) = &self.picture else { return Vec::new() };
        let mut rows: Vec<&InodeRow> =
            picture.inodes.rows.iter().filter(|row| self.filter.accepts(*row)).collect();
        let sort = inode_sort(self.inodes.sort, self.inodes.descending);
        rows.sort_by(|left, right| sort.compare(*left, *right));
        rows
    }

    /// Findings as they are listed.
    #[must_use]
    pub fn finding_rows(&self) -> Vec<&Finding> {
        let Some(picture) = &self.picture else { return Vec::new() };
        let accepted = |finding: &&Finding| {
            let mut fields = finding.instances.iter().map(|instance| FindingFields { finding, instance });
            fields.any(|fields| self.filter.accepts(&fields))
        };
        let mut rows: Vec<&Finding> = picture.findings.iter().filter(accepted).collect();
        sort(&mut rows, &finding_columns(), &self.findings);
        rows
    }

    /// Pools of the filesystem that is shown.
    pub(super) fn pool_count(&self) -> usize {
        let fs = self.picture.as_ref().and_then(|picture| picture.filesystems.get(self.filesystem));
        fs.map_or(0, |fs| fs.pools.len())
    }
}
