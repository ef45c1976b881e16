//! Rows of the lists, filtered and sorted.
use super::{app::App, finding_fields::FindingFields};
use crate::{
    report::model::Finding,
    tui::{
        columns::{failure_columns, finding_columns, inode_sort},
        picture::{FailureRow, InodeRow},
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

    /// Failures as they are listed.
    #[must_use]
    pub fn failure_rows(&self) -> Vec<&FailureRow> {
        let Some(picture) = &self.picture else { return Vec::new() };
        let mut rows: Vec<&FailureRow> = picture.failures.rows.iter().collect();
        sort(&mut rows, &failure_columns(), &self.failures);
        rows
    }

    /// The filesystem of the selected failure; without one, that of the page Pools.
    #[must_use]
    pub fn failing_filesystem(&self) -> usize {
        let of = self.failure_rows().get(self.failures.selected).map(|row| row.fs);
        let mut filesystems = self.picture.iter().flat_map(|picture| picture.filesystems.iter());
        filesystems.position(|fs| Some(fs.fs) == of).unwrap_or(self.filesystem)
    }

    /// Pools of the filesystem that is shown.
    pub(super) fn pool_count(&self) -> usize {
        let fs = self.picture.as_ref().and_then(|picture| picture.filesystems.get(self.filesystem));
        fs.map_or(0, |fs| fs.pools.len())
    }
}
