//! All metrics.

/// Type of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Goes up, and begins at 0 with the session; its samples end in `_total`.
    Counter,
    /// A level.
    Gauge,
    /// Lengths by bucket.
    Histogram,
}

impl Kind {
    /// Name in the text.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// A metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// Name, without the `_total` of a counter.
    pub name: &'static str,
    /// Type.
    pub kind: Kind,
    /// `seconds` or `bytes`, the end of the name; empty for a plain number.
    pub unit: &'static str,
    /// Labels of each sample, in their order, without `le`.
    pub labels: &'static [&'static str],
    /// What it is.
    pub help: &'static str,
}

/// The metric behind `btrfs_probe_`.
///
/// Every name that the session layer uses is in the table: a test runs through all of them.
#[must_use]
pub fn metric(name: &str) -> Option<&'static Metric> {
    ALL.iter().find(|metric| metric.name.strip_prefix("btrfs_probe_") == Some(name))
}

macro_rules! metrics {
    ($($name:literal $kind:ident $unit:literal [$($label:literal),*] $help:literal;)*) => {
        /// All metrics, in the order of the text.
        pub const ALL: &[Metric] = &[$(Metric {
            name: concat!("btrfs_probe_", $name),
            kind: Kind::$kind,
            unit: $unit,
            labels: &[$($label),*],
            help: $help,
        }),*];
    };
}

metrics! {
    "build_info" Gauge "" ["version", "kernel", "tier"] "Always 1: version of the tool, release of the kernel, tier of the session.";
    "watching" Gauge "" [] "1 while the session runs, 0 in the last file of it.";
    "start_time_seconds" Gauge "seconds" [] "Start of the session, since 1970.";
    "verdict" Gauge "" ["btrfs_probe_verdict"] "1 for the verdict so far, 0 for the others: clean, findings, inconclusive, or none before there was anything to judge.";
    "findings" Counter "" ["kind"] "Findings that count for the verdict, by kind.";
    "findings_ignored" Counter "" ["by"] "Findings that do not count, by what says so: ignore-file, known, fail-on or against.";
    "violations" Counter "" ["kind"] "Times that a rule was broken, also of findings that do not count.";
    "lost" Counter "" ["class"] "Events that were lost, by class; docs/glossary.md has the classes.";
    "records" Counter "" ["hook"] "Records in the stream, by the hook that sent them. tool for its own marks. Links of chains that fit are counted in the kernel and are no records.";
    "hook_runs" Counter "" ["hook"] "Runs of the programs of a hook: how often the event happened.";
    "hook_skipped" Counter "" ["hook"] "Runs that the kernel skipped.";
    "hook_run_seconds" Counter "seconds" ["hook"] "Run time of the programs of a hook. Only where kernel.bpf_stats_enabled is 1.";
    "reservations" Counter "" ["account", "direction"] "Events of btrfs_space_reservation of this account, by direction: reserve or release.";
    "reservation_bytes" Counter "bytes" ["account", "direction"] "Bytes of these events.";
    "failures" Counter "" ["filesystem", "kind", "errno", "cause"] "Failures: reservations for lack of space (ticket, no-wait), limits of qgroups (qgroup), aborted transactions (abort). The cause has a page in docs/enospc; unknown without figures.";
    "enospc_events" Counter "" ["filesystem"] "Events space_info:enospc. A part of them are routine tries that fall back to the global reserve.";
    "tickets" Counter "" ["filesystem", "outcome"] "Tickets that ended, by outcome: granted or failed.";
    "ticket_wait_seconds" Histogram "seconds" ["filesystem"] "Lengths of waits for space.";
    "tickets_waiting" Gauge "" ["filesystem"] "Tickets that wait now.";
    "longest_wait_seconds" Gauge "seconds" ["filesystem"] "How long the one that waits longest now has waited at least.";
    "stalls" Counter "" [] "Waits that were as long as --stall says.";
    "flush_calls" Counter "" ["filesystem", "space_info", "state"] "Calls of flush_space(), by state.";
    "commits" Counter "" ["filesystem"] "Transactions that were committed.";
    "filesystem_info" Gauge "" ["filesystem", "device"] "Always 1: the filesystems that are followed. Its label filesystem is the UUID.";
    "filesystem_aborted" Gauge "" ["filesystem"] "1 if the filesystem was aborted.";
    "filesystems_left_out" Gauge "" [] "Mounted filesystems beyond the first 32, of which there are no samples.";
    "inodes" Gauge "" ["filesystem"] "Inodes with a book.";
    "space_info_total_bytes" Gauge "bytes" ["filesystem", "space_info"] "total_bytes of the space_info.";
    "space_info_used_bytes" Gauge "bytes" ["filesystem", "space_info"] "bytes_used.";
    "space_info_may_use_bytes" Gauge "bytes" ["filesystem", "space_info"] "bytes_may_use.";
    "space_info_reserved_bytes" Gauge "bytes" ["filesystem", "space_info"] "bytes_reserved.";
    "space_info_pinned_bytes" Gauge "bytes" ["filesystem", "space_info"] "bytes_pinned.";
    "block_rsv_size_bytes" Gauge "bytes" ["filesystem", "block_rsv"] "size of the block_rsv.";
    "block_rsv_reserved_bytes" Gauge "bytes" ["filesystem", "block_rsv"] "reserved of the block_rsv.";
    "ring_bytes" Gauge "bytes" [] "Size of the ring between kernel and tool.";
    "ring_peak_bytes" Gauge "bytes" [] "Most bytes that were in the ring at once since the last sample.";
    "process_cpu_seconds" Counter "seconds" [] "CPU time of this process, without the programs in the kernel.";
    "process_resident_memory_bytes" Gauge "bytes" [] "Resident memory of this process.";
}
