//! Keys and clicks.
use std::time::Duration;

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};

use super::{
    app::{App, OpenInode},
    effect::Effect,
    prompt::Prompt,
};
use crate::tui::{
    columns::{failure_columns, finding_columns, inode_columns, window_columns},
    drawing::Hit,
    filter::Filter,
    keys::{Action, action as action_of},
    page::Page,
    requests::ReplayOrder,
    table::next_sort,
};

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

/// Rows that a turn of the wheel moves.
const WHEEL: isize = 3;

impl App {
    /// A key is pressed.
    pub fn press(&mut self, event: &KeyEvent) -> Vec<Effect> {
        let action = action_of(event, &self.scopes());
        if self.prompt.is_some() {
            return self.typed(event, action);
        }
        action.map_or_else(Vec::new, |action| self.act(action))
    }

    /// A key while a filter is typed.
    fn typed(&mut self, event: &KeyEvent, action: Option<Action>) -> Vec<Effect> {
        let Some(prompt) = &mut self.prompt else { return Vec::new() };
        match (action, event.code) {
            (Some(Action::Accept), _) => {
                let kept = prompt.keep();
                self.prompt = None;
                self.filter_text = kept.0;
                return self.set_filter(kept.1);
            }
            (Some(Action::Cancel), _) => {
                (self.filter_text, self.filter) = std::mem::take(&mut prompt.before);
                self.prompt = None;
                self.settle();
                return vec![Effect::Wish];
            }
            (Some(action), _) => prompt.edit(action),
            (None, KeyCode::Char(c))
                if !event.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT) =>
            {
                prompt.insert(c);
            }
            _ => return Vec::new(),
        }
        let filter = prompt.read();
        self.set_filter(filter)
    }

    /// Another filter is in force.
    fn set_filter(&mut self, filter: Filter) -> Vec<Effect> {
        if filter == self.filter {
            return Vec::new();
        }
        self.filter = filter;
        self.settle();
        vec![Effect::Wish]
    }

    /// The mouse did something.
    pub fn mouse(&mut self, event: MouseEvent) -> Vec<Effect> {
        match event.kind {
            MouseEventKind::ScrollDown => self.go(WHEEL),
            MouseEventKind::ScrollUp => self.go(-WHEEL),
            MouseEventKind::Down(MouseButton::Left) => match self.hits.at(event.column, event.row) {
                Some(Hit::Tab(page)) => return self.act(Action::Go(page)),
                Some(Hit::Key(action)) if self.prompt.is_none() => return self.act(action),
                Some(Hit::Sort(column)) => return self.sort_by(column),
                Some(Hit::Row(row)) => return self.click_row(row),
                Some(Hit::Key(_)) | None => {}
            },
            _ => {}
        }
        Vec::new()
    }

    /// The first click selects, the second opens.
    fn click_row(&mut self, row: usize) -> Vec<Effect> {
        let list = self.list();
        if list.0 == row {
            return self.act(Action::Open);
        }
        self.go(row as isize - list.0 as isize);
        Vec::new()
    }

    /// Selected row and number of rows of the list on screen.
    fn list(&self) -> (usize, usize) {
        match self.page {
            Page::Inodes => (self.inodes.selected, self.inode_rows().len()),
            Page::Pools => (self.pools.selected, self.pool_count()),
            Page::Findings => (self.findings.selected, self.finding_rows().len()),
            Page::Failures => (self.failures.selected, self.failure_rows().len()),
            Page::Tests => {
                (self.windows.selected, self.picture.as_ref().map_or(0, |picture| picture.windows.rows.len()))
            }
            Page::Health => (self.health_scroll, self.hits.lines),
        }
    }

    /// Moves selection or text.
    fn go(&mut self, by: isize) {
        let page = self.hits.page.max(1);
        let last = self.hits.lines.saturating_sub(page);
        let scroll = |from: usize| from.min(last).saturating_add_signed(by).min(last);
        if let Some(help) = &mut self.help {
            *help = scroll(*help);
            return;
        }
        let rows = self.list().1;
        match self.page {
            Page::Inodes => match &mut self.open_inode {
                Some(open) => open.scroll = scroll(open.scroll),
                None => {
                    self.inodes.go(by, rows, page);
                    self.chosen = self.inode_rows().get(self.inodes.selected).map(|row| row.id);
                }
            },
            Page::Pools => match &mut self.pool_draws {
                Some(from) => *from = scroll(*from),
                None => self.pools.go(by, rows, page),
            },
            Page::Findings => match &mut self.open_finding {
                Some((_, from)) => *from = scroll(*from),
                None => self.findings.go(by, rows, page),
            },
            Page::Failures => match &mut self.open_failure {
                Some((_, from)) => *from = scroll(*from),
                None => {
                    self.failures.go(by, rows, page);
                    self.chosen_failure =
                        self.failure_rows().get(self.failures.selected).map(|row| row.number);
                }
            },
            Page::Tests => self.windows.go(by, rows, page),
            Page::Health => self.health_scroll = scroll(self.health_scroll),
        }
    }

    /// Does what a key means.
    pub fn act(&mut self, action: Action) -> Vec<Effect> {
        let page = self.hits.page.max(1) as isize;
        match action {
            Action::Quit => return vec![Effect::Quit],
            Action::Suspend => return vec![Effect::Suspend],
            Action::Redraw => return vec![Effect::Redraw],
            Action::Help => self.help = if self.help.is_some() { None } else { Some(0) },
            Action::Back => return self.back(),
            Action::Go(to) => return self.turn_to(to),
            Action::NextPage => return self.turn_by(1),
            Action::PreviousPage => return self.turn_by(-1),
            Action::Pause if self.replay => return vec![Effect::Replay(ReplayOrder::Pause)],
            Action::Pause => {
                self.frozen = !self.frozen;
                return vec![Effect::Wish];
            }
            Action::RefreshFaster => return self.refresh_by(-1),
            Action::RefreshSlower => return self.refresh_by(1),
            Action::Theme => {
                self.palette = self.palette.next();
                return vec![Effect::Redraw];
            }
            Action::Down => self.go(1),
            Action::Up => self.go(-1),
            Action::PageDown => self.go(page),
            Action::PageUp => self.go(-page),
            Action::HalfDown => self.go((page / 2).max(1)),
            Action::HalfUp => self.go(-(page / 2).max(1)),
            Action::First => {
                self.go(isize::MIN / 2);
                // At the top one looks at what comes to the top, not at one inode.
                self.chosen = None;
                self.chosen_failure = None;
            }
            Action::Last => self.go(isize::MAX / 2),
            Action::SortLeft => return self.sort_step(-1),
            Action::SortRight => return self.sort_step(1),
            Action::Reverse => return self.reverse(),
            Action::Open => return self.open(),
            Action::Filter => self.prompt = Some(Prompt::new(&self.filter_text, &self.filter)),
            Action::NextAccount => {
                if let Some(open) = &mut self.open_inode {
                    open.account = (open.account + 1) % 4;
                }
            }
            Action::Draws => self.draws(),
            Action::NextFilesystem => self.filesystem_by(1),
            Action::PreviousFilesystem => self.filesystem_by(-1),
            Action::Step => return vec![Effect::Replay(ReplayOrder::Step(1))],
            Action::StepBack => return vec![Effect::Replay(ReplayOrder::Step(-1))],
            Action::SpeedUp => return vec![Effect::Replay(ReplayOrder::Speed(true))],
            Action::SpeedDown => return vec![Effect::Replay(ReplayOrder::Speed(false))],
            Action::NextFinding => return vec![Effect::Replay(ReplayOrder::Finding(true))],
            Action::PreviousFinding => return vec![Effect::Replay(ReplayOrder::Finding(false))],
            Action::Forward => return vec![Effect::Replay(ReplayOrder::Jump(1))],
            Action::Backward => return vec![Effect::Replay(ReplayOrder::Jump(-1))],
            Action::Restart => return vec![Effect::Replay(ReplayOrder::Restart)],
            Action::Accept
            | Action::Cancel
            | Action::Clear
            | Action::EraseWord
            | Action::Erase
            | Action::CursorLeft
            | Action::CursorRight
            | Action::CursorFirst
            | Action::CursorLast => {}
        }
        Vec::new()
    }

    fn back(&mut self) -> Vec<Effect> {
        if self.help.take().is_some() {
            return Vec::new();
        }
        match self.page {
            Page::Inodes if self.open_inode.take().is_some() => return vec![Effect::Wish],
            Page::Findings if self.open_finding.take().is_some() => return Vec::new(),
            Page::Failures if self.open_failure.take().is_some() => return Vec::new(),
            Page::Pools if self.pool_draws.take().is_some() => {}
            Page::Pools if self.pool_chart => self.pool_chart = false,
            Page::Inodes | Page::Findings if !self.filter_text.is_empty() => {
                self.filter_text.clear();
                return self.set_filter(Filter::default());
            }
            _ => {}
        }
        Vec::new()
    }

    fn turn_to(&mut self, page: Page) -> Vec<Effect> {
        self.help = None;
        // The key of the page one is on leads back to its list.
        if self.page == page {
            self.open_inode = None;
            self.open_finding = None;
            self.open_failure = None;
            self.pool_draws = None;
        }
        self.page = page;
        vec![Effect::Wish]
    }

    fn turn_by(&mut self, by: isize) -> Vec<Effect> {
        let at = Page::ALL.iter().position(|page| *page == self.page).unwrap_or(0) as isize;
        let to = (at + by).rem_euclid(Page::ALL.len() as isize) as usize;
        self.help = None;
        self.page = Page::ALL.get(to).copied().unwrap_or_default();
        vec![Effect::Wish]
    }

    fn refresh_by(&mut self, by: isize) -> Vec<Effect> {
        let at = REFRESH.iter().position(|step| *step >= self.refresh).unwrap_or(REFRESH.len() - 1);
        let to = at.saturating_add_signed(by).min(REFRESH.len() - 1);
        self.refresh = REFRESH.get(to).copied().unwrap_or(self.refresh);
        vec![Effect::Wish]
    }

    /// The draws of the filesystem in view, or back to its pools.
    fn draws(&mut self) {
        let shown = self.page == Page::Pools && self.pool_draws.is_some();
        self.pool_draws = if shown { None } else { Some(0) };
        if self.page == Page::Failures {
            self.filesystem = self.failing_filesystem();
            self.page = Page::Pools;
            self.settle();
        }
    }

    fn filesystem_by(&mut self, by: isize) {
        let count = self.picture.as_ref().map_or(0, |picture| picture.filesystems.len());
        if count > 0 {
            self.filesystem = (self.filesystem as isize + by).rem_euclid(count as isize) as usize;
            self.pools.bound(self.pool_count());
            self.pool_draws = self.pool_draws.map(|_| 0);
        }
    }

    fn sort_step(&mut self, by: isize) -> Vec<Effect> {
        let column = match self.page {
            Page::Inodes => next_sort(&inode_columns(), self.inodes.sort, by),
            Page::Findings => next_sort(&finding_columns(), self.findings.sort, by),
            Page::Failures => next_sort(&failure_columns(), self.failures.sort, by),
            Page::Tests => next_sort(&window_columns(), self.windows.sort, by),
            Page::Pools | Page::Health => return Vec::new(),
        };
        self.sort_by(column)
    }

    /// Sorts by a column; by the same again, the other way round.
    fn sort_by(&mut self, column: usize) -> Vec<Effect> {
        let state = match self.page {
            Page::Inodes => &mut self.inodes,
            Page::Findings => &mut self.findings,
            Page::Failures => &mut self.failures,
            Page::Tests => &mut self.windows,
            Page::Pools | Page::Health => return Vec::new(),
        };
        if state.sort == column {
            state.descending = !state.descending;
        }
        state.sort = column;
        self.settle();
        vec![Effect::Wish]
    }

    fn reverse(&mut self) -> Vec<Effect> {
        let column = match self.page {
            Page::Inodes => self.inodes.sort,
            Page::Findings => self.findings.sort,
            Page::Failures => self.failures.sort,
            Page::Tests => self.windows.sort,
            Page::Pools | Page::Health => return Vec::new(),
        };
        self.sort_by(column)
    }

    fn open(&mut self) -> Vec<Effect> {
        if self.help.take().is_some() {
            return Vec::new();
        }
        match self.page {
            Page::Inodes if self.open_inode.is_none() => {
                let Some(id) = self.inode_rows().get(self.inodes.selected).map(|row| row.id) else {
                    return Vec::new();
                };
                self.chosen = Some(id);
                self.open_inode = Some(OpenInode { id, ..OpenInode::default() });
                return vec![Effect::Wish];
            }
            Page::Findings if self.open_finding.is_none() => {
                let id = self.finding_rows().get(self.findings.selected).map(|finding| finding.id);
                self.open_finding = id.map(|id| (id, 0));
            }
            Page::Failures if self.open_failure.is_none() => {
                let number = self.failure_rows().get(self.failures.selected).map(|row| row.number);
                self.chosen_failure = number;
                self.open_failure = number.map(|number| (number, 0));
            }
            Page::Pools if self.pool_draws.is_none() => self.pool_chart = !self.pool_chart,
            _ => {}
        }
        Vec::new()
    }
}
