//! Counters of a running capture, for the screen. They are not part of the stream: verdicts depend on records only.
use std::os::fd::OwnedFd;

use aya::sys::{Stats, enable_stats};

use crate::hooks::{Probe, RunTime};

/// Counters of a hook.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HookGauge {
    /// [`probe_common::hook::HookId::name`]
    pub id: &'static str,
    /// Runs.
    pub hits: u64,
    /// Runs that the kernel skipped.
    pub missed: u64,
    /// Run time of its programs, where the kernel measures it.
    pub run: Option<RunTime>,
}

/// Counters of a capture, absolute.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gauges {
    /// Hooks.
    pub hooks: Vec<HookGauge>,
    /// Bytes of the ring.
    pub ring_bytes: u64,
    /// Most bytes that were found in the ring at once since the last request for these counters.
    pub ring_peak: u64,
    /// Inodes that ended clean without a record.
    pub closed: u64,
}

/// Asks the kernel to time programs while it is held.
#[derive(Debug, Default)]
pub(super) struct Timing {
    held: Option<OwnedFd>,
    refused: bool,
}

impl Timing {
    /// `BPF_ENABLE_STATS` (5.8 on); the kernel stops when the descriptor is closed, also when the process dies.
    fn set(&mut self, wanted: bool) {
        if !wanted {
            self.held = None;
        } else if self.held.is_none() && !self.refused {
            match enable_stats(Stats::RunTime) {
                Ok(held) => self.held = Some(held),
                Err(error) => {
                    self.refused = true;
                    log::info!("the run time of programs is not known: {error}");
                }
            }
        }
    }

    /// Reads all counters; `timed` also asks for run times from now on.
    pub(super) fn read(&mut self, probe: &Probe, timed: bool, ring_bytes: u64, ring_peak: u64) -> Gauges {
        self.set(timed);
        // Somebody else may have switched it on for the whole system.
        let on = self.held.is_some() || crate::hooks::run_time_is_measured();
        let counts = probe.counts();
        let misses = probe.recursion_misses();
        let times = if on { probe.run_times() } else { Vec::new() };
        let hook = |(hook, hits): &(probe_common::hook::HookId, u64)| HookGauge {
            id: hook.name(),
            hits: *hits,
            missed: misses.iter().filter(|(of, _)| of == hook).map(|(_, misses)| *misses).sum(),
            run: times.iter().filter(|(of, _)| of == hook).map(|(_, time)| *time).reduce(RunTime::plus),
        };
        Gauges { hooks: counts.hits.iter().map(hook).collect(), ring_bytes, ring_peak, closed: counts.closed }
    }
}
