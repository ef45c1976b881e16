//! `btrfs-probe bench-floor` (hidden): loads the two smallest possible programs and drains their ring, as the lower bound of
//! the benchmark.
use std::{io::Write, path::PathBuf, time::Duration};

use anyhow::Context as _;
use aya::{Ebpf, maps::RingBuf, programs::RawTracePoint};

use crate::session::exit::ExitStatus;

const PROGRAMS: [(&str, &str); 2] = [
    ("floor_space_reservation", "btrfs_space_reservation"),
    ("floor_mod_outstanding", "btrfs_inode_mod_outstanding_extents"),
];
/// As often as a session.
const DRAIN_EVERY: Duration = Duration::from_millis(2);

/// Two bare raw tracepoints that write a record each, for `cargo xtask bench`
#[derive(Debug, clap::Args)]
#[command(hide = true)]
pub(super) struct Args {
    /// Records go into a BPF ring buffer (the only floor there is)
    #[arg(long)]
    ring: bool,
    /// The object that `cargo xtask build` left in target/ebpf
    #[arg(long, env = "BTRFS_PROBE_FLOOR", value_name = "FILE")]
    object: PathBuf,
}

impl Args {
    pub(super) fn run(&self) -> anyhow::Result<ExitStatus> {
        log::debug!("ring: {}", self.ring);
        let object =
            std::fs::read(&self.object).with_context(|| format!("cannot read {}", self.object.display()))?;
        let mut ebpf = Ebpf::load(&object)?;
        for (program, tracepoint) in PROGRAMS {
            let program: &mut RawTracePoint = ebpf
                .program_mut(program)
                .with_context(|| format!("the object has no program {program}"))?
                .try_into()?;
            program.load()?;
            program.attach(tracepoint)?;
        }
        let mut ring = RingBuf::try_from(ebpf.take_map("RING").context("the object has no map RING")?)?;
        let waiter = crate::session::waiter::SessionWaiter::new()?;
        // The bench waits for this line.
        let _ = std::io::stderr().write_all(b"btrfs-probe: attached, the floor\n");
        let mut drained = 0u64;
        let _ = waiter.until(async {
            loop {
                while let Some(record) = ring.next() {
                    drained += record.len() as u64 / 64;
                }
                tokio::time::sleep(DRAIN_EVERY).await;
            }
        });
        log::info!("{drained} records");
        Ok(ExitStatus::Clean)
    }
}
