//! Windows between markers: commands and tests.
use super::super::picture::WindowView;

/// Windows that are kept; the oldest go first.
const MOST: usize = 2000;

/// What is counted in a window, absolute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Records.
    pub records: u64,
    /// Lost, classes that touch the books.
    pub lost: u64,
    /// Findings.
    pub findings: u64,
}

#[derive(Clone, Debug)]
struct Window {
    test: bool,
    name: String,
    begun: u64,
    at_begin: Counts,
    end: Option<(u64, Counts)>,
}

/// All windows, oldest first.
#[derive(Debug, Default)]
pub struct Windows {
    list: Vec<Window>,
}

impl Windows {
    /// A window begins.
    pub fn open(&mut self, test: bool, name: String, begun: u64, at_begin: Counts) {
        if self.list.len() >= MOST {
            self.list.remove(0);
        }
        self.list.push(Window { test, name, begun, at_begin, end: None });
    }

    /// The newest open window of this kind (and of this name, if the end has one) ends.
    pub fn close(&mut self, test: bool, name: &str, ended: u64, at_end: Counts) {
        let open = |window: &&mut Window| {
            window.test == test && window.end.is_none() && (name.is_empty() || window.name == name)
        };
        if let Some(window) = self.list.iter_mut().rev().find(open) {
            window.end = Some((ended, at_end));
        }
    }

    /// Newest first. `command`: what a command without a name is called.
    #[must_use]
    pub fn views(
        &self,
        now: u64,
        counts: Counts,
        command: &str,
        since_start: &dyn Fn(u64) -> u64,
    ) -> Vec<WindowView> {
        let view = |window: &Window| {
            let (end, at_end) = window.end.unwrap_or((now, counts));
            WindowView {
                name: if window.name.is_empty() { command.to_owned() } else { window.name.clone() },
                test: window.test,
                begun_ns: since_start(window.begun),
                length_ns: end.saturating_sub(window.begun),
                ended: window.end.is_some(),
                records: at_end.records.saturating_sub(window.at_begin.records),
                lost: at_end.lost.saturating_sub(window.at_begin.lost),
                findings: at_end.findings.saturating_sub(window.at_begin.findings),
            }
        };
        self.list.iter().rev().map(view).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_falls_into_a_window_is_counted_there() {
        let mut windows = Windows::default();
        let counts = |records, findings| Counts { records, lost: 0, findings };
        windows.open(true, "generic/001".to_owned(), 10, counts(100, 0));
        windows.close(true, "generic/001", 30, counts(150, 1));
        windows.open(true, "generic/002".to_owned(), 40, counts(160, 1));
        let views = windows.views(45, counts(170, 1), "", &|time| time);
        let seen: Vec<_> = views
            .iter()
            .map(|view| (view.name.as_str(), view.ended, view.length_ns, view.records, view.findings))
            .collect();
        assert_eq!(seen, [("generic/002", false, 5, 10, 0), ("generic/001", true, 20, 50, 1)]);
    }

    #[test]
    fn an_end_without_its_begin_closes_nothing() {
        let mut windows = Windows::default();
        windows.open(false, String::new(), 1, Counts::default());
        windows.close(true, "generic/001", 2, Counts::default());
        assert!(!windows.views(3, Counts::default(), "sleep 1", &|time| time)[0].ended);
    }
}
