//! `demo`: a whole session on a filesystem and a workload of our own.
use std::{
    io::{Cursor, Write},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::Context as _;
use probe_common::task::MarkerKind;
use probe_record::{file::RecordingReader, session::ONLY_FILESYSTEMS, stream::Source as _};
use probe_workload::{
    loopfs::stale::cleanup_stale,
    script::{DemoPlan, Step, StepState},
};

use super::{
    bring_up::bring_up,
    consume,
    exit::ExitStatus,
    live, names,
    plan::{CapturePlan, FilterPlan, FsSelector, Goal, SessionPlan, StacksChoice, TierChoice},
    replay, rights,
    selected::Selected,
    trace::{Tracer, Tracing},
    waiter::{Ended, SessionWaiter},
};
use crate::kernel::caps::Capabilities;

const RING_BYTES: u32 = 16 << 20;
const SEED: u64 = 269;

/// A real recording of this very demo, for machines where we have no rights.
static RECORDING: &[u8] = include_bytes!("../../assets/demo.rsv");

/// A real recording of Linux 6.12 in a guest, in which `tests/fault` made four calls go wrong (`testdata/recordings/broken.sh`).
static BROKEN: &[u8] = include_bytes!("../../assets/broken.rsv");

/// Replays the recording of a btrfs that was made wrong.
///
/// # Errors
/// The report cannot be written.
pub fn broken(plan: &SessionPlan) -> anyhow::Result<ExitStatus> {
    live::check_outputs(plan)?;
    say(
        "this is the analysis of a recording, nothing runs here: Debian's Linux 6.12 in a virtual machine, where a module of ours made \
         four calls of btrfs go wrong while dd wrote a few files. Its functions are in two of the stacks ([btrfs_probe_fault])",
    );
    replay::replay_source(plan, Selected::all(recording(BROKEN)?))
}

fn recording(bytes: &'static [u8]) -> anyhow::Result<RecordingReader<Cursor<&'static [u8]>>> {
    Ok(RecordingReader::from_read(Path::new("the recording in this program"), Cursor::new(bytes))?)
}

/// Runs the demo, or replays it where rights are missing.
///
/// # Errors
/// One sentence.
pub fn demo(plan: &SessionPlan) -> anyhow::Result<ExitStatus> {
    live::check_outputs(plan)?;
    let root = Path::new("/");
    let capabilities = Capabilities::read(root).context("cannot read our rights: is /proc mounted?")?;
    if !(capabilities.can_trace() && nix::unistd::geteuid().is_root()) {
        say("no rights to trace here (root is needed): this is the analysis of a real recording of the demo");
        return replay::replay_source(plan, Selected::all(recording(RECORDING)?));
    }
    run(plan, root)
}

fn run(plan: &SessionPlan, root: &Path) -> anyhow::Result<ExitStatus> {
    let (Goal::Report(report) | Goal::Watch { report, .. }) = &plan.goal else {
        anyhow::bail!("the demo reports; record it with `btrfs-probe record`");
    };
    // A demo that was killed with SIGKILL could not clean up.
    if let Err(error) = cleanup_stale() {
        log::warn!("leftovers of an earlier demo: {error}");
    }
    let script = DemoPlan::new(SEED)?;
    let filter = FilterPlan {
        filesystems: script.fsids().iter().map(|fsid| FsSelector::Later(fsid.0)).collect(),
        ..FilterPlan::default()
    };
    let capture = CapturePlan {
        tier: TierChoice::Tracepoints,
        ring_bytes: RING_BYTES,
        stacks: StacksChoice::Auto,
        fstests: false,
        empty: false,
    };
    let symbols = names::Symbols::of(root);
    let mut attached = bring_up(root, capture, &filter, &symbols, plan.verbosity)?;
    attached.header.command = vec!["the demo's own workload".to_owned()];
    // Nobody typed it: a demo that is interrupted early is judged by what ran.
    attached.header.options.remove(ONLY_FILESYSTEMS);
    let waiter = SessionWaiter::new()?;
    let announcement = live::attached_line(plan, &attached);
    let ring = rights::of_ring(&attached.probe, false);
    let (capture, mut receiver) = live::start(attached, symbols.namer(), RING_BYTES, None, ring)?;
    live::say(&announcement);
    let stop = Arc::new(AtomicBool::new(false));
    let waiter = live::spawn("probe-waiter", move || {
        capture.marker(MarkerKind::CommandStart, "demo");
        let result = conduct(waiter, &script, &stop, capture.auditor());
        capture.marker(MarkerKind::CommandEnd, "demo");
        live::finish(&capture, None);
        capture.join();
        result
    })?;
    // The workload mounts filesystems; this thread writes the report.
    rights::of_others(plan).keep();
    let mut tracer = Tracer::wanted(report, receiver.header());
    let onlooker = Tracing { tracer: tracer.as_mut(), other: consume::Nobody };
    let books = consume::into_books(&mut receiver, onlooker);
    let interrupted = waiter.join().map_err(|_| anyhow::anyhow!("the demo ended by a defect"))??;
    if interrupted {
        say("interrupted: everything the demo made is removed again; the report covers what ran");
    }
    live::deliver(report, &receiver, &books, tracer, &Ended::default(), false)
}

/// Runs the script. A signal sets its stop flag, and it then cleans up by itself. True if a signal came.
fn conduct(
    waiter: SessionWaiter,
    script: &DemoPlan,
    stop: &Arc<AtomicBool>,
    audit: impl Fn() + Send + 'static,
) -> anyhow::Result<bool> {
    let script = script.clone();
    let flag = Arc::clone(stop);
    let work = live::spawn("probe-workload", move || script.run(&flag, &mut |step| progress(step, &audit)))?;
    let ended = waiter.until(async {
        // The result is taken below; here we only wait for it.
        while !work.is_finished() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    if ended.interrupted {
        stop.store(true, Ordering::SeqCst);
    }
    let report = work.join().map_err(|_| anyhow::anyhow!("the demo's workload ended by a defect"))??;
    Ok(ended.interrupted || report.interrupted)
}

/// Audits before the last step, so that a difference between two of them can only be the kernel's own work.
const AUDITS: u32 = 3;
const BETWEEN_AUDITS: Duration = Duration::from_millis(150);

fn progress(step: Step, audit: &impl Fn()) {
    match step.state {
        // The last step unmounts: the books are compared with the kernel's figures while these are still there.
        StepState::Started if step.index == step.total => {
            for _ in 0..AUDITS {
                audit();
                std::thread::sleep(BETWEEN_AUDITS);
            }
        }
        StepState::Started => {}
        StepState::Done { detail, elapsed } => {
            let line = format!(
                "  {:>2}/{} {} ({:.1} s): {detail}\n",
                step.index,
                step.total,
                step.title,
                elapsed.as_secs_f64()
            );
            let _ = std::io::stderr().write_all(line.as_bytes());
        }
    }
}

fn say(text: &str) {
    let _ = std::io::stderr().write_all(format!("btrfs-probe: {text}\n").as_bytes());
}

#[cfg(test)]
mod tests;
