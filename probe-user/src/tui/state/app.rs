//! All that the screen remembers.
use std::{sync::Arc, time::Duration};

use super::prompt::Prompt;
use crate::tui::{
    columns::{column_of, inode_sort},
    drawing::Hits,
    filter::Filter,
    page::Page,
    palette::Palette,
    picture::{InodeId, Picture},
    requests::{InodeSort, Wish},
    table::TableState,
};

/// The inode that is open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenInode {
    /// Which.
    pub id: InodeId,
    /// Which of its accounts is charted.
    pub account: usize,
    /// First line shown.
    pub scroll: usize,
}

/// The state of the screen.
#[derive(Clone, Debug)]
pub struct App {
    /// Colours and characters.
    pub palette: Palette,
    /// Page.
    pub page: Page,
    /// The picture that is shown.
    pub picture: Option<Arc<Picture>>,
    /// A live picture stands still.
    pub frozen: bool,
    /// Plays a recording.
    pub replay: bool,
    /// What is under way before there is a picture.
    pub waiting: String,
    /// Inodes.
    pub inodes: TableState,
    /// The selected inode, once a selection was made: it stays selected wherever it moves.
    pub chosen: Option<InodeId>,
    /// Filter that is in force.
    pub filter: Filter,
    /// Filter as it was typed.
    pub filter_text: String,
    /// Filter that is being typed.
    pub prompt: Option<Prompt>,
    /// Inode that is open.
    pub open_inode: Option<OpenInode>,
    /// Pools.
    pub pools: TableState,
    /// Which of the filesystems.
    pub filesystem: usize,
    /// The chart of the selected pool takes the room of the tickets.
    pub pool_chart: bool,
    /// Who draws on what is shown, from this line on.
    pub pool_draws: Option<usize>,
    /// Findings.
    pub findings: TableState,
    /// Finding that is open, and the first line of it that is shown.
    pub open_finding: Option<(u32, usize)>,
    /// Failures.
    pub failures: TableState,
    /// The selected failure, once a selection was made: it stays selected wherever it moves.
    pub chosen_failure: Option<u32>,
    /// Failure that is open, and the first line of it that is shown.
    pub open_failure: Option<(u32, usize)>,
    /// Windows.
    pub windows: TableState,
    /// Health.
    pub health_scroll: usize,
    /// The help is shown, from this line on.
    pub help: Option<usize>,
    /// Time between two pictures.
    pub refresh: Duration,
    /// What the last drawing left to be clicked.
    pub hits: Hits,
}

impl App {
    /// The first screen.
    #[must_use]
    pub fn new(palette: Palette, refresh: Duration, replay: bool) -> Self {
        Self {
            palette,
            page: Page::default(),
            picture: None,
            frozen: false,
            replay,
            waiting: String::new(),
            inodes: TableState {
                descending: true,
                sort: column_of(InodeSort::default()),
                ..TableState::default()
            },
            chosen: None,
            filter: Filter::default(),
            filter_text: String::new(),
            prompt: None,
            open_inode: None,
            pools: TableState::default(),
            filesystem: 0,
            pool_chart: false,
            pool_draws: None,
            findings: TableState { descending: false, ..TableState::default() },
            open_finding: None,
            failures: TableState { descending: true, ..TableState::default() },
            chosen_failure: None,
            open_failure: None,
            windows: TableState { sort: 1, descending: true, ..TableState::default() },
            health_scroll: 0,
            help: None,
            refresh,
            hits: Hits::default(),
        }
    }

    /// What pictures should show.
    #[must_use]
    pub fn wish(&self) -> Wish {
        Wish {
            refresh: self.refresh,
            sort: inode_sort(self.inodes.sort, self.inodes.descending),
            filter: self.filter.clone(),
            focus: self.open_inode.as_ref().map(|open| open.id),
            program_time: self.page == Page::Health,
            ..Wish::default()
        }
    }

    /// A new picture. A frozen screen takes only what was opened after it froze.
    pub fn take(&mut self, picture: Arc<Picture>) {
        match &self.picture {
            Some(old) if self.frozen => {
                if picture.focus != old.focus && self.open_inode.is_some() {
                    let focus = picture.focus.clone();
                    self.picture = Some(Arc::new(Picture { focus, ..Picture::clone(old) }));
                }
            }
            _ => self.picture = Some(picture),
        }
        self.settle();
    }

    /// Brings selections back to what is there.
    pub(super) fn settle(&mut self) {
        let rows: Vec<InodeId> = self.inode_rows().iter().map(|row| row.id).collect();
        if let Some(chosen) = self.chosen {
            match rows.iter().position(|id| *id == chosen) {
                Some(at) => self.inodes.selected = at,
                None => self.chosen = None,
            }
        }
        self.inodes.bound(rows.len());
        let filesystems = self.picture.as_ref().map_or(0, |picture| picture.filesystems.len());
        self.filesystem = self.filesystem.min(filesystems.saturating_sub(1));
        let pools = self.pool_count();
        self.pools.bound(pools);
        let findings = self.finding_rows().len();
        self.findings.bound(findings);
        let failures: Vec<u32> = self.failure_rows().iter().map(|row| row.number).collect();
        if let Some(chosen) = self.chosen_failure {
            match failures.iter().position(|number| *number == chosen) {
                Some(at) => self.failures.selected = at,
                None => self.chosen_failure = None,
            }
        }
        self.failures.bound(failures.len());
        let windows = self.picture.as_ref().map_or(0, |picture| picture.windows.rows.len());
        self.windows.bound(windows);
    }
}
