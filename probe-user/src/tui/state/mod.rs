//! What the person at the keyboard chose, and how keys change it.
//!
//! No clock, no terminal: a key, a click or a new picture goes in, and what has to happen elsewhere comes out as
//! [`Effect`]s. The same keys on the same pictures always lead to the same state.
mod hits;
mod inode_sort;
mod lists;
mod press;
mod prompt;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

pub use self::{
    hits::{Hit, Hits},
    inode_sort::InodeSort,
    lists::TableState,
    prompt::Prompt,
};
use super::{
    filter::Filter,
    keys::Place,
    look::Look,
    picture::{InodeId, InodeRow, Picture, Wish},
};
use crate::report::model::Finding;

/// A page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Page {
    /// Who holds what.
    #[default]
    Inodes,
    /// Pools of a filesystem.
    Pools,
    /// Broken rules.
    Findings,
    /// Tests, and the command.
    Tests,
    /// Hooks, losses, cost.
    Health,
}

impl Page {
    /// All pages in the order of their keys.
    pub const ALL: [Self; 5] = [Self::Inodes, Self::Pools, Self::Findings, Self::Tests, Self::Health];

    /// Its name on its tab.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Inodes => "Inodes",
            Self::Pools => "Pools",
            Self::Findings => "Findings",
            Self::Tests => "Tests",
            Self::Health => "Health",
        }
    }
}

/// What a replay is told to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplayOrder {
    /// Stop or go on.
    Pause,
    /// So many records on (or back).
    Step(i64),
    /// Twice as fast (or half).
    Speed(bool),
    /// To the next (or the previous) finding.
    Finding(bool),
    /// So many twentieths of the recording on (or back).
    Jump(i64),
    /// To the begin.
    Restart,
}

/// What has to happen outside the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The wish has changed: tell whoever makes pictures.
    Wish,
    /// The replay has an order.
    Replay(ReplayOrder),
    /// Leave.
    Quit,
    /// Stop the process as Ctrl-Z does.
    Suspend,
    /// Draw everything anew.
    Redraw,
}

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

/// Refresh intervals that the keys go through.
const REFRESH: [Duration; 7] = [
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(5),
    Duration::from_secs(10),
];

/// See the module.
#[derive(Clone, Debug)]
pub struct App {
    /// Colours and characters.
    pub look: Look,
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
    /// Findings.
    pub findings: TableState,
    /// Finding that is open, and the first line of it that is shown.
    pub open_finding: Option<(u32, usize)>,
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
    pub fn new(look: Look, refresh: Duration, replay: bool) -> Self {
        Self {
            look,
            page: Page::default(),
            picture: None,
            frozen: false,
            replay,
            waiting: String::new(),
            inodes: TableState {
                descending: true,
                sort: InodeSort::default().column(),
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
            findings: TableState { descending: false, ..TableState::default() },
            open_finding: None,
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
            sort: InodeSort::of_column(self.inodes.sort, self.inodes.descending),
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
    fn settle(&mut self) {
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
        let windows = self.picture.as_ref().map_or(0, |picture| picture.windows.rows.len());
        self.windows.bound(windows);
    }

    /// Inodes as they are listed.
    #[must_use]
    pub fn inode_rows(&self) -> Vec<&InodeRow> {
        let Some(picture) = &self.picture else { return Vec::new() };
        let mut rows: Vec<&InodeRow> =
            picture.inodes.rows.iter().filter(|row| self.filter.accepts(*row)).collect();
        let sort = InodeSort::of_column(self.inodes.sort, self.inodes.descending);
        rows.sort_by(|left, right| sort.compare(*left, *right));
        rows
    }

    /// Findings as they are listed.
    #[must_use]
    pub fn finding_rows(&self) -> Vec<&Finding> {
        let Some(picture) = &self.picture else { return Vec::new() };
        let accepted = |finding: &&Finding| self.filter.accepts(&lists::FindingFields(finding));
        let mut rows: Vec<&Finding> = picture.findings.iter().filter(accepted).collect();
        super::table::sort(&mut rows, &super::view::finding_columns(), &self.findings);
        rows
    }

    fn pool_count(&self) -> usize {
        let fs = self.picture.as_ref().and_then(|picture| picture.filesystems.get(self.filesystem));
        fs.map_or(0, |fs| fs.pools.len())
    }

    /// The places that hold now, for the keys.
    #[must_use]
    pub fn places(&self) -> Vec<Place> {
        if self.prompt.is_some() {
            return vec![Place::Prompt];
        }
        let mut places = vec![Place::Everywhere, Place::List];
        if self.help.is_none() {
            match self.page {
                Page::Inodes if self.open_inode.is_some() => places.push(Place::Inode),
                Page::Inodes => places.extend([Place::Table, Place::Filtered]),
                Page::Pools => places.push(Place::Pools),
                Page::Findings if self.open_finding.is_none() => {
                    places.extend([Place::Table, Place::Filtered])
                }
                Page::Tests => places.push(Place::Table),
                Page::Findings | Page::Health => {}
            }
        }
        if self.replay {
            places.push(Place::Replay);
        }
        places
    }
}
