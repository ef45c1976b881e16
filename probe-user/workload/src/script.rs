//! The fixed sequence of `btrfs-probe demo`: many kinds of operations on two small filesystems, in about ten seconds.
//!
//! The UUIDs are known before anything is made, so that a tracer can be attached first and see both filesystems from birth
//! to unmount.
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::cleanup;
use crate::error::{At, Error, Result};
use crate::ioctl::btrfs;
use crate::loopfs::{Fsid, LoopFs, LoopFsOptions};
use crate::mix::{Mix, MixReport, Until};
use crate::ops::{Abilities, Ctx, Layout, Op, OpOutcome, TWINS, shared_name};
use crate::rng::Rng;

/// How long each ordinary step repeats its operations.
const SLICE: Duration = Duration::from_millis(500);
/// Size of the first image, bytes. The image is sparse, so it uses only what is written.
const MAIN_SIZE: u64 = 1 << 30;
/// Size of the image that is filled up, bytes.
const SMALL_SIZE: u64 = 192 << 20;

/// What the demo will do.
#[derive(Debug, Clone)]
pub struct DemoPlan {
    /// Filesystem with quotas.
    pub main: Fsid,
    /// Filesystem that is filled until ENOSPC.
    pub small: Fsid,
    /// Seed of all random choices.
    pub seed: u64,
    /// Folder for the images; [`crate::loopfs::default_dir`] if not given.
    pub dir: Option<PathBuf>,
}

/// Progress of the demo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Number of the step, from 1.
    pub index: usize,
    /// Number of steps.
    pub total: usize,
    /// What the step does, in a few words.
    pub title: &'static str,
    /// State of the step.
    pub state: StepState,
}

/// State of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepState {
    /// The step has just started.
    Started,
    /// The step has ended.
    Done {
        /// Its result, such as `180 done, 2 ENOSPC`.
        detail: String,
        /// How long it took.
        elapsed: Duration,
    },
}

/// Result of the demo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DemoReport {
    /// Counts over all steps.
    pub ops: MixReport,
    /// The demo was stopped before its end.
    pub interrupted: bool,
}

/// What a step works on.
struct Stage<'a> {
    plan: &'a DemoPlan,
    stop: &'a AtomicBool,
    rng: Rng,
    filesystems: Option<[(LoopFs, Layout); 2]>,
    report: MixReport,
}

type Body = fn(&mut Stage<'_>) -> Result<String>;

const STEPS: &[(&str, Body)] = &[
    ("make and mount two filesystems, one with quotas", |stage| stage.make()),
    ("write the same inode number in two subvolumes", |stage| stage.twins()),
    ("parallel buffered writers on shared inodes", |stage| stage.mix(&["buffered"], SLICE)),
    ("small, inline and orphaned files, renames and links", |stage| {
        stage.repeat(&["small", "inline", "orphan", "names"])
    }),
    ("snapshot, write to both sides, delete", |stage| stage.repeat(&["snapshot", "buffered", "subvol"])),
    ("truncate, preallocate and punch holes", |stage| stage.repeat(&["truncate", "fallocate", "sparse"])),
    ("O_DIRECT writes", |stage| stage.repeat(&["direct"])),
    ("writes through shared mappings", |stage| stage.repeat(&["mapped"])),
    ("reflinks, overwritten", |stage| stage.repeat(&["reflink"])),
    ("compression and nodatacow", |stage| stage.repeat(&["compress", "nodatacow"])),
    ("four threads, everything at once", |stage| stage.mix(EVERYTHING, 3 * SLICE)),
    ("defragment, balance, remount read-only and back", |stage| {
        stage.once(&["buffered", "small", "defrag", "balance", "remount"])
    }),
    ("fill a small filesystem with data until ENOSPC", |stage| stage.fill("fill_data")),
    ("fill its metadata until ENOSPC", |stage| stage.fill("fill_metadata")),
    ("write into a quota limit until EDQUOT", |stage| stage.quota()),
    ("sync and unmount", |stage| stage.unmount()),
];

/// Operations of the mixed step. Those that have a step of their own or block the others are left out.
const EVERYTHING: &[&str] = &[
    "buffered",
    "small",
    "direct",
    "fallocate",
    "truncate",
    "reflink",
    "compress",
    "inline",
    "nodatacow",
    "twins",
    "snapshot",
    "subvol",
    "defrag",
    "names",
    "sync",
    "orphan",
    "sparse",
];

impl DemoPlan {
    /// A plan with random UUIDs.
    ///
    /// # Errors
    /// `/dev/urandom` cannot be read.
    pub fn new(seed: u64) -> Result<Self> {
        let random = || Fsid::random().at("reading", "/dev/urandom");
        Ok(Self { main: random()?, small: random()?, seed, dir: None })
    }

    /// The UUIDs of both filesystems, in the order in which they are made.
    pub fn fsids(&self) -> [Fsid; 2] {
        [self.main, self.small]
    }

    /// Runs the demo. `progress` is called at the start and the end of each step. When `stop` is set, the current step ends
    /// soon, the last step (sync and unmount) still runs, and the report says that the demo was interrupted. Everything made
    /// is removed when it returns, also with an error.
    ///
    /// # Errors
    /// As [`LoopFs::create`] and [`Mix::run`].
    pub fn run(&self, stop: &AtomicBool, progress: &mut dyn FnMut(Step)) -> Result<DemoReport> {
        let start = Instant::now();
        let report = MixReport::new(self.seed);
        let mut stage = Stage { plan: self, stop, rng: Rng::new(self.seed), filesystems: None, report };
        let total = STEPS.len();
        let stopped = || stop.load(Ordering::Relaxed) || cleanup::closing();
        let mut interrupted = false;
        for (index, (title, body)) in STEPS.iter().enumerate() {
            let last = index + 1 == total;
            if stopped() && !last {
                interrupted = true;
                continue;
            }
            let step = |state| Step { index: index + 1, total, title, state };
            progress(step(StepState::Started));
            let began = Instant::now();
            let detail = body(&mut stage)?;
            progress(step(StepState::Done { detail, elapsed: began.elapsed() }));
        }
        let mut ops = stage.report;
        ops.elapsed = start.elapsed();
        Ok(DemoReport { ops, interrupted })
    }
}

/// Runs the demo with a new plan: see [`DemoPlan::run`].
///
/// # Errors
/// As [`DemoPlan::run`].
pub fn demo_script(seed: u64, stop: &AtomicBool, progress: &mut dyn FnMut(Step)) -> Result<DemoReport> {
    DemoPlan::new(seed)?.run(stop, progress)
}

impl Stage<'_> {
    fn make(&mut self) -> Result<String> {
        let options = |fsid, size, label: &str| {
            let mut options = LoopFsOptions::new(size).single();
            options.fsid = Some(fsid);
            options.label = Some(label.into());
            options.dir.clone_from(&self.plan.dir);
            options
        };
        let mut main = options(self.plan.main, MAIN_SIZE, "btrfs-probe-main");
        main.quota = true;
        let main = LoopFs::create_mounted(main)?;
        // If a metadata chunk were as large as the device, a full filesystem would stay full until the cleaner runs.
        let mut small = options(self.plan.small, SMALL_SIZE, "btrfs-probe-small");
        small.mixed = true;
        let small = LoopFs::create_mounted(small)?;
        let on_main = Abilities { quota: true, ..Abilities::default() };
        let on_small = Abilities { quota: false, balance: true, remount: true, fill: true };
        let detail = format!("{} and {}", main.device().display(), small.device().display());
        let layouts = (Layout::prepare(main.path(), on_main)?, Layout::prepare(small.path(), on_small)?);
        self.filesystems = Some([(main, layouts.0), (small, layouts.1)]);
        Ok(detail)
    }

    fn twins(&mut self) -> Result<String> {
        let [(main, _), _] = self.filesystems()?;
        let mut seen = Vec::new();
        for name in TWINS {
            let path = main.path().join(name).join(shared_name(0));
            let inode = path.metadata().at("looking at", &path)?.ino();
            let dir = btrfs::open_dir(&path).at("opening", &path)?;
            let subvol = btrfs::subvol_id(&dir).at("looking up the subvolume id of", &path)?;
            seen.push(format!("inode {inode} in subvolume {subvol}"));
        }
        let counts = self.repeat(&["twins"])?;
        Ok(format!("{}; {counts}", seen.join(", ")))
    }

    /// One thread repeats the operations in turn for a time slice, on the filesystem with quotas.
    fn repeat(&mut self, names: &[&str]) -> Result<String> {
        let deadline = Instant::now() + SLICE;
        self.in_turn(0, names, Some(deadline), |_| Instant::now() < deadline)
    }

    /// One thread runs each operation once, on the small filesystem.
    fn once(&mut self, names: &[&str]) -> Result<String> {
        let times = names.len() as u64;
        self.in_turn(1, names, None, |done| done < times)
    }

    fn in_turn(
        &mut self,
        filesystem: usize,
        names: &[&str],
        deadline: Option<Instant>,
        go_on: impl Fn(u64) -> bool,
    ) -> Result<String> {
        let stop = self.stop;
        let mut report = MixReport::new(self.plan.seed);
        let mut rng = self.rng.clone();
        let (_, layout) = &self.filesystems()?[filesystem];
        let ctx = Ctx { layout, worker: 0, stop, deadline };
        let ops: Vec<_> = names.iter().filter_map(|name| Op::named(name)).collect();
        for op in ops.iter().cycle() {
            if !go_on(report.total()) || stop.load(Ordering::Relaxed) || cleanup::closing() {
                break;
            }
            report.count(op, op.run(&ctx, &mut rng)?);
        }
        self.rng = rng;
        Ok(self.book(&report))
    }

    fn mix(&mut self, names: &[&str], time: Duration) -> Result<String> {
        let mix = Mix::only(4, Until::Elapsed(time), self.rng.next_u64(), names)?;
        let [(_, layout), _] = self.filesystems()?;
        let report = mix.run(layout, self.stop)?;
        Ok(self.book(&report))
    }

    fn fill(&mut self, name: &str) -> Result<String> {
        let mix = Mix::only(1, Until::Ops(1), self.rng.next_u64(), &[name])?;
        let [_, (_, layout)] = self.filesystems()?;
        let report = mix.run(layout, self.stop)?;
        Ok(self.book(&report))
    }

    fn quota(&mut self) -> Result<String> {
        let mix = Mix::only(1, Until::Ops(2), self.rng.next_u64(), &["quota"])?;
        let [(_, layout), _] = self.filesystems()?;
        let report = mix.run(layout, self.stop)?;
        Ok(self.book(&report))
    }

    fn unmount(&mut self) -> Result<String> {
        let Some([(main, _), (small, _)]) = self.filesystems.take() else {
            return Ok("nothing was mounted".into());
        };
        main.sync()?;
        small.sync()?;
        main.close()?;
        small.close()?;
        Ok("loop devices and images removed".into())
    }

    fn filesystems(&self) -> Result<&[(LoopFs, Layout); 2]> {
        self.filesystems.as_ref().ok_or(Error::Interrupted)
    }

    fn book(&mut self, report: &MixReport) -> String {
        self.report.add(report);
        let ended = OpOutcome::ALL.into_iter().map(|outcome| (report.outcome(outcome), outcome.name()));
        let ended: Vec<_> =
            ended.filter(|(count, _)| *count > 0).map(|(count, name)| format!("{count} {name}")).collect();
        if ended.is_empty() { "stopped".into() } else { ended.join(", ") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mixed_step_runs_known_operations_only() {
        assert!(EVERYTHING.iter().all(|name| Op::named(name).is_some()));
    }
}
