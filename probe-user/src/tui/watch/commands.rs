//! Commands that ran under observation, between their markers. Tests are not kept here: see [`crate::attribution`].
use std::ops::Range;

use crate::tui::picture::WindowView;

/// Commands that are kept; the oldest go first. A session has one at most, but a stream may say anything.
const MOST: usize = 200;

/// What is counted in a window, absolute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Records.
    pub records: u64,
    /// Lost, classes that touch the books.
    pub lost: u64,
    /// Findings of the ledger: the instances of findings.
    pub instances: u32,
}

#[derive(Clone, Debug)]
struct Window {
    name: String,
    begun: u64,
    at_begin: Counts,
    end: Option<(u64, Counts)>,
}

/// All commands, oldest first.
#[derive(Debug, Default)]
pub struct Commands {
    list: Vec<Window>,
}

impl Commands {
    /// A command begins.
    pub fn begin(&mut self, name: String, begun: u64, at_begin: Counts) {
        if self.list.len() >= MOST {
            self.list.remove(0);
        }
        self.list.push(Window { name, begun, at_begin, end: None });
    }

    /// The newest that runs (and has this name, if the end has one) ends.
    pub fn end(&mut self, name: &str, ended: u64, at_end: Counts) {
        let open = |window: &&mut Window| window.end.is_none() && (name.is_empty() || window.name == name);
        if let Some(window) = self.list.iter_mut().rev().find(open) {
            window.end = Some((ended, at_end));
        }
    }

    /// Newest first. `command`: what a command without a name is called. `found` returns the number of findings of these
    /// instances.
    #[must_use]
    pub fn views(
        &self,
        now: u64,
        counts: Counts,
        command: &str,
        since_start: &dyn Fn(u64) -> u64,
        found: &dyn Fn(Range<u32>) -> u64,
    ) -> Vec<WindowView> {
        let view = |window: &Window| {
            let (end, at_end) = window.end.unwrap_or((now, counts));
            WindowView {
                name: if window.name.is_empty() { command.to_owned() } else { window.name.clone() },
                test: None,
                begun_ns: since_start(window.begun),
                length_ns: end.saturating_sub(window.begun),
                ended: window.end.is_some(),
                records: at_end.records.saturating_sub(window.at_begin.records),
                lost: at_end.lost.saturating_sub(window.at_begin.lost),
                findings: found(window.at_begin.instances..at_end.instances),
            }
        };
        self.list.iter().rev().map(view).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_falls_into_a_command_is_counted_there() {
        let mut commands = Commands::default();
        let counts = |records, instances| Counts { records, lost: 0, instances };
        commands.begin("one".to_owned(), 10, counts(100, 0));
        commands.end("one", 30, counts(150, 1));
        commands.begin("two".to_owned(), 40, counts(160, 1));
        let views = commands.views(45, counts(170, 1), "", &|time| time, &|of| of.len() as u64);
        let seen: Vec<_> = views
            .iter()
            .map(|view| (view.name.as_str(), view.ended, view.length_ns, view.records, view.findings))
            .collect();
        assert_eq!(seen, [("two", false, 5, 10, 0), ("one", true, 20, 50, 1)]);
    }

    #[test]
    fn an_end_without_its_begin_closes_nothing() {
        let mut commands = Commands::default();
        commands.begin("one".to_owned(), 1, Counts::default());
        commands.end("two", 2, Counts::default());
        assert!(!commands.views(3, Counts::default(), "", &|time| time, &|of| of.len() as u64)[0].ended);
    }
}
