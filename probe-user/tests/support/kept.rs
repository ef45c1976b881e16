//! What the kernel holds for a process of the tool: programs, maps and links, and that they go with it.
use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;

use super::probe;

/// Ids of what the file descriptors of a process hold.
#[derive(Debug)]
pub struct Held {
    programs: BTreeSet<u32>,
    maps: BTreeSet<u32>,
    links: BTreeSet<u32>,
}

impl Held {
    /// What it holds now; nothing if it is gone.
    pub fn of(pid: u32) -> Self {
        let mut held = Self { programs: BTreeSet::new(), maps: BTreeSet::new(), links: BTreeSet::new() };
        let Ok(entries) = std::fs::read_dir(format!("/proc/{pid}/fdinfo")) else { return held };
        for text in entries.flatten().filter_map(|entry| std::fs::read_to_string(entry.path()).ok()) {
            let of = |field: &str| {
                text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':')?.trim().parse().ok())
            };
            // A link names its program too.
            match of("link_id") {
                Some(link) => held.links.extend(Some::<u32>(link)),
                None => {
                    held.programs.extend(of("prog_id"));
                    held.maps.extend(of("map_id"));
                }
            }
        }
        held
    }

    /// Asserts that it is much, and known to the kernel.
    pub fn assert_there(&self) {
        let Self { programs, maps, links } = self;
        assert!(programs.len() > 10 && maps.len() > 3 && links.len() > 10, "{self:?}");
        let there = Self::loaded();
        assert!(
            programs.is_subset(&there.programs)
                && maps.is_subset(&there.maps)
                && links.is_subset(&there.links)
        );
    }

    /// All that the kernel has. What goes between being listed and being opened is not there.
    fn loaded() -> Self {
        Self {
            programs: aya::programs::loaded_programs().filter_map(Result::ok).map(|of| of.id()).collect(),
            maps: aya::maps::loaded_maps().filter_map(Result::ok).map(|of| of.id()).collect(),
            links: aya::programs::loaded_links().filter_map(Result::ok).map(|of| of.id()).collect(),
        }
    }

    /// Waits until none of it is there: the kernel frees programs and maps after a grace period.
    pub fn wait_until_gone(&self) {
        let begun = Instant::now();
        loop {
            let there = Self::loaded();
            let left =
                [&self.programs & &there.programs, &self.maps & &there.maps, &self.links & &there.links];
            if left.iter().all(BTreeSet::is_empty) {
                return;
            }
            assert!(begun.elapsed() < super::deadline(20), "still there: {left:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// Kills a session as soon as it has at least so many programs and links, and asserts that nothing is left.
pub fn killed_with(arguments: &[&str], programs: usize, links: usize) {
    let session = probe::start(arguments);
    let begun = Instant::now();
    let held = loop {
        let held = Held::of(session.pid());
        if held.programs.len() >= programs && held.links.len() >= links {
            break held;
        }
        assert!(begun.elapsed() < super::deadline(60), "{held:?}");
        std::thread::sleep(Duration::from_millis(2));
    };
    session.signal(Signal::SIGKILL);
    let done = session.finish();
    assert_eq!(done.code, 128 + Signal::SIGKILL as i32, "{done:?}");
    held.wait_until_gone();
}
