//! The workloads on a real kernel: each operation works, the limits are really reached, and nothing is left behind.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail by panicking")]
#![allow(clippy::print_stdout, reason = "a failing test should show what the workload did")]
mod support;

use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader},
    os::unix::{
        fs::MetadataExt,
        process::{CommandExt, ExitStatusExt},
    },
    path::{Path, PathBuf},
    process::{self, Child, ChildStdout, Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    thread::sleep,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{SigHandler, Signal, kill, signal},
    unistd::Pid,
};
use probe_workload::{
    Error,
    ioctl::btrfs,
    loopfs::{LoopFs, LoopFsOptions, stale},
    mix::{Mix, Until},
    mounts,
    ops::{Abilities, Ctx, Layout, Need, OPS, Op, OpOutcome, QUOTA_LIMIT, TWINS, shared_name},
    rng::Rng,
    script::{DemoPlan, StepState},
};

static NEVER: AtomicBool = AtomicBool::new(false);
const WITH_QUOTA: Abilities = Abilities { quota: true, balance: false, remount: true, fill: true };
const WITH_BALANCE: Abilities = Abilities { quota: false, balance: true, remount: true, fill: true };

fn assert_nothing_left() {
    assert_eq!(support::leftovers(process::id()), Vec::<String>::new());
}

fn small(size_mib: u64) -> LoopFsOptions {
    LoopFsOptions::new(size_mib << 20).single()
}

#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn a_filesystem_is_what_was_asked_for_and_goes_without_a_trace() {
    let Some(_alone) = support::live() else { return };
    let mut options = small(160);
    options.label = Some("a label".into());
    options.nodesize = Some(4096);
    options.mount_options = "compress=zstd,noatime".into();
    let fs = LoopFs::create(options).unwrap();
    assert!(!mounts::current().unwrap().iter().any(|mount| mount.point == fs.path()));
    let mounted = || mounts::current().unwrap().into_iter().find(|mount| mount.point == fs.path());
    fs.mount().unwrap();
    let mount = mounted().unwrap();
    assert_eq!((mount.fstype.as_str(), mount.source.as_path()), ("btrfs", fs.device()));
    assert!(mount.super_options.contains("compress=zstd"), "{}", mount.super_options);
    let sysfs = PathBuf::from(format!("/sys/fs/btrfs/{}", fs.fsid()));
    let read = |name: &str| std::fs::read_to_string(sysfs.join(name)).unwrap().trim().to_owned();
    assert_eq!((read("label"), read("nodesize")), ("a label".to_owned(), "4096".to_owned()));

    std::fs::write(fs.path().join("file"), "x").unwrap();
    fs.remount(true).unwrap();
    let refused = std::fs::write(fs.path().join("file"), "y").unwrap_err();
    assert_eq!(OpOutcome::of_error(&refused), Some(OpOutcome::ReadOnly));
    fs.remount(false).unwrap();
    std::fs::write(fs.path().join("file"), "z").unwrap();
    fs.umount().unwrap();
    assert!(mounted().is_none() && !sysfs.exists());
    fs.mount_with("ro").unwrap();
    assert_eq!(std::fs::read_to_string(fs.path().join("file")).unwrap(), "z");
    fs.close().unwrap();
    assert_nothing_left();
}

#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn a_refusal_of_mkfs_is_one_sentence_and_leaves_nothing() {
    let Some(_alone) = support::live() else { return };
    let error = LoopFs::create(LoopFsOptions::new(1 << 20)).unwrap_err();
    assert!(matches!(error, Error::Mkfs { .. }), "{error}");
    assert!(!error.to_string().contains('\n'));
    let mut options = small(160);
    options.mount_options = "no_such_option".into();
    assert!(matches!(LoopFs::create_mounted(options).unwrap_err(), Error::Sys { what: "mounting", .. }));
    assert_nothing_left();
}

#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn a_file_held_open_delays_the_clean_up_but_does_not_defeat_it() {
    let Some(_alone) = support::live() else { return };
    let fs = LoopFs::create_mounted(small(160)).unwrap();
    let file = std::fs::File::create(fs.path().join("held")).unwrap();
    let holder = std::thread::spawn(move || {
        sleep(Duration::from_millis(500));
        drop(file);
    });
    let start = Instant::now();
    fs.close().unwrap();
    assert!(start.elapsed() >= Duration::from_millis(400));
    holder.join().unwrap();
    assert_nothing_left();
}

#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn the_twins_have_the_same_inode_numbers_in_different_subvolumes() {
    let Some(_alone) = support::live() else { return };
    let fs = LoopFs::create_mounted(small(160)).unwrap();
    Layout::prepare(fs.path(), Abilities::default()).unwrap();
    for index in 0..4 {
        let [a, b] = TWINS.map(|twin| fs.path().join(twin).join(shared_name(index)));
        assert_eq!(a.metadata().unwrap().ino(), b.metadata().unwrap().ino());
        let id = |path: &Path| btrfs::subvol_id(btrfs::open_dir(path).unwrap()).unwrap();
        assert_ne!(id(&a), id(&b));
    }
    drop(fs);
    assert_nothing_left();
}

/// Alone on an empty filesystem each operation does what it says, each time, apart from the two that end at a limit.
#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn each_operation_works_alone() {
    let Some(_alone) = support::live() else { return };
    let mut run = BTreeSet::new();
    for abilities in [WITH_QUOTA, WITH_BALANCE] {
        let mut options = small(256);
        options.quota = abilities.quota;
        let fs = LoopFs::create_mounted(options).unwrap();
        let layout = Layout::prepare(fs.path(), abilities).unwrap();
        let ctx = Ctx { layout: &layout, worker: 0, stop: &NEVER, deadline: None };
        let mut rng = Rng::new(42);
        for op in OPS.iter().filter(|op| op.allowed(abilities) && op.need != Need::Fill) {
            let (times, expected) = match op.name {
                "quota" => (3, OpOutcome::OverQuota),
                "balance" | "remount" => (2, OpOutcome::Done),
                _ => (12, OpOutcome::Done),
            };
            let start = Instant::now();
            for _ in 0..times {
                assert_eq!(op.run(&ctx, &mut rng).unwrap(), expected, "{}", op.name);
                fs.sync().unwrap();
            }
            println!("{times:2} {:14} {:?}", op.name, start.elapsed());
            run.insert(op.name);
        }
    }
    // Filled from fresh, in mixed block groups: a separate chunk of metadata would be smaller than what one file may
    // reserve, and the filesystem would stay full until the cleaner has removed the empty data chunks.
    let mut options = small(192);
    options.mixed = true;
    let fs = LoopFs::create_mounted(options).unwrap();
    let layout = Layout::prepare(fs.path(), WITH_BALANCE).unwrap();
    let ctx = Ctx { layout: &layout, worker: 0, stop: &NEVER, deadline: None };
    for name in ["fill_data", "fill_metadata"] {
        let start = Instant::now();
        assert_eq!(
            Op::named(name).unwrap().run(&ctx, &mut Rng::new(1)).unwrap(),
            OpOutcome::NoSpace,
            "{name}"
        );
        println!("   {name:14} {:?}", start.elapsed());
        // A full filesystem can be made ready again.
        Layout::prepare(fs.path(), WITH_BALANCE).unwrap();
        fs.sync().unwrap();
        run.insert(name);
    }
    for name in ["defrag", "buffered", "small"] {
        assert_eq!(Op::named(name).unwrap().run(&ctx, &mut Rng::new(1)).unwrap(), OpOutcome::Done, "{name}");
    }
    std::fs::write(fs.path().join("room again"), vec![1; 32 << 20]).unwrap();
    drop(fs);
    assert_eq!(run.len(), OPS.len());
    assert_nothing_left();
}

#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn the_quota_limit_holds_and_its_space_comes_back() {
    let Some(_alone) = support::live() else { return };
    let mut options = small(256);
    options.quota = true;
    let fs = LoopFs::create_mounted(options).unwrap();
    let layout = Layout::prepare(fs.path(), WITH_QUOTA).unwrap();
    let path = fs.path().join("limited/file");
    let full = std::fs::write(&path, vec![1; QUOTA_LIMIT as usize + (1 << 20)]).unwrap_err();
    assert_eq!(OpOutcome::of_error(&full), Some(OpOutcome::OverQuota));
    let written = path.metadata().unwrap().len();
    assert!(written > QUOTA_LIMIT / 2 && written <= QUOTA_LIMIT, "{written}");
    std::fs::remove_file(&path).unwrap();
    fs.sync().unwrap();
    std::fs::write(&path, vec![1; QUOTA_LIMIT as usize / 2]).unwrap();
    // The subvolume beside it has no limit.
    std::fs::write(fs.path().join("a/free"), vec![1; 2 * QUOTA_LIMIT as usize]).unwrap();
    drop((layout, fs));
    assert_nothing_left();
}

#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn quotas_and_balances_are_kept_apart() {
    let Some(_alone) = support::live() else { return };
    let fs = LoopFs::create_mounted(small(160)).unwrap();
    let both = Abilities { balance: true, ..WITH_QUOTA };
    assert!(matches!(Layout::prepare(fs.path(), both).unwrap_err(), Error::Usage(_)));
    drop(fs);
    assert_nothing_left();
}

#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn a_folder_on_another_filesystem_is_refused() {
    let folder = tempfile::tempdir_in("/proc/self/cwd/..").or_else(|_| tempfile::tempdir()).unwrap();
    let on_btrfs = nix::sys::statfs::statfs(folder.path()).unwrap().filesystem_type()
        == nix::sys::statfs::BTRFS_SUPER_MAGIC;
    if !on_btrfs {
        let error = Layout::prepare(folder.path(), Abilities::default()).unwrap_err().to_string();
        assert!(error.contains("is not on btrfs"), "{error}");
    }
}

/// Four threads, all operations: hundreds of them in a few seconds, no unexpected answer from the kernel.
#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn the_mix_runs_everything_at_once() {
    let Some(_alone) = support::live() else { return };
    for abilities in [WITH_QUOTA, WITH_BALANCE] {
        let mut options = small(320);
        options.quota = abilities.quota;
        let fs = LoopFs::create_mounted(options).unwrap();
        let layout = Layout::prepare(fs.path(), abilities).unwrap();
        let limit = if abilities.quota { OpOutcome::OverQuota } else { OpOutcome::NoSpace };
        // How soon a limit is met depends on how the threads are scheduled: a few rounds meet it for sure.
        let mut met = 0;
        for seed in 7..12 {
            let mut mix = Mix::new(4, Until::Ops(1000), seed);
            for (name, weight) in [("quota", 20), ("balance", 20), ("remount", 10), ("fill_data", 5)] {
                mix.set_weight(name, weight).unwrap();
            }
            let report = mix.run(&layout, &NEVER).unwrap();
            println!("{report}");
            assert_eq!(report.total(), 1000);
            for op in OPS.iter().filter(|op| op.weight >= 4 && op.allowed(abilities)) {
                assert!(report.lines().iter().any(|(name, _)| *name == op.name), "{} never ran", op.name);
            }
            met += report.outcome(limit);
            if met > 0 {
                break;
            }
        }
        assert!(met > 0, "{limit:?}");
        // The kernel has not gone read-only by itself.
        let mount = mounts::current().unwrap().into_iter().find(|mount| mount.point == fs.path()).unwrap();
        assert!(mount.super_options.starts_with("rw"), "{}", mount.super_options);
        fs.sync().unwrap();
        fs.close().unwrap();
    }
    assert_nothing_left();
}

#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn the_mix_stops_when_told() {
    let Some(_alone) = support::live() else { return };
    let fs = LoopFs::create_mounted(small(320)).unwrap();
    let layout = Layout::prepare(fs.path(), WITH_BALANCE).unwrap();
    let stop = AtomicBool::new(false);
    let start = Instant::now();
    std::thread::scope(|scope| {
        let running = scope.spawn(|| Mix::new(4, Until::Stopped, 8).run(&layout, &stop).unwrap());
        sleep(Duration::from_millis(700));
        stop.store(true, Ordering::Relaxed);
        assert!(running.join().unwrap().total() > 0);
    });
    assert!(start.elapsed() < support::deadline(15), "{:?}", start.elapsed());
    fs.close().unwrap();
    assert_nothing_left();
}

/// With one thread the same seed makes the same choices.
#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn a_seed_repeats_a_run() {
    let Some(_alone) = support::live() else { return };
    let run = || {
        let fs = LoopFs::create_mounted(small(512)).unwrap();
        let layout = Layout::prepare(fs.path(), Abilities::default()).unwrap();
        let report = Mix::new(1, Until::Ops(300), 99).run(&layout, &NEVER).unwrap();
        report.lines()
    };
    assert_eq!(run(), run());
    assert_nothing_left();
}

#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn the_demo_reaches_both_limits_and_takes_everything_away() {
    let Some(_alone) = support::live() else { return };
    let plan = DemoPlan::new(1).unwrap();
    let mut steps = Vec::new();
    let start = Instant::now();
    let mut seen_mounted = false;
    let report = plan
        .run(&NEVER, &mut |step| {
            if let StepState::Done { detail, elapsed } = &step.state {
                println!("{:2}/{} {} ({elapsed:.2?}): {detail}", step.index, step.total, step.title);
                steps.push(step.index);
            }
            seen_mounted |=
                plan.fsids().iter().all(|fsid| Path::new(&format!("/sys/fs/btrfs/{fsid}")).is_dir());
        })
        .unwrap();
    println!("{report:?} in {:?}", start.elapsed());
    assert!(seen_mounted, "the filesystems carry the UUIDs of the plan");
    assert!(!report.interrupted);
    assert_eq!(steps, (1..=steps.len()).collect::<Vec<_>>());
    assert_eq!(report.ops.of("fill_data", OpOutcome::NoSpace), 1);
    assert_eq!(report.ops.of("fill_metadata", OpOutcome::NoSpace), 1);
    assert!(report.ops.of("quota", OpOutcome::OverQuota) >= 1);
    for name in ["twins", "snapshot", "truncate", "direct", "mapped", "reflink", "remount"] {
        assert!(report.ops.of(name, OpOutcome::Done) > 0, "{name}");
    }
    assert_nothing_left();
}

#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn a_stopped_demo_says_so_and_still_cleans_up() {
    let Some(_alone) = support::live() else { return };
    let stop = AtomicBool::new(false);
    let mut last = 0;
    let report = DemoPlan::new(3)
        .unwrap()
        .run(&stop, &mut |step| {
            last = step.index;
            if step.index == 3 {
                stop.store(true, Ordering::Relaxed);
            }
        })
        .unwrap();
    assert!(report.interrupted);
    assert_eq!(report.ops.of("reflink", OpOutcome::Done), 0);
    assert!(last > 3, "the unmount is still reported");
    assert_nothing_left();
}

/// Starts the mixed load and waits until its filesystem is mounted.
fn start_load() -> (Child, BufReader<ChildStdout>) {
    let mut command = Command::new(support::example("mixload"));
    command.args(["--make", "1", "--size", "256", "--seconds", "60"]).stdout(Stdio::piped());
    // SAFETY: signal(2) is async-signal-safe; a test runner started in the background has SIGINT ignored.
    unsafe { command.pre_exec(|| Ok(signal(Signal::SIGINT, SigHandler::SigDfl).map(drop)?)) };
    let mut child = command.spawn().unwrap();
    let mut line = String::new();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut line).unwrap();
    let start = Instant::now();
    while !support::leftovers(child.id()).iter().any(|left| left.starts_with("mount")) {
        assert!(start.elapsed() < support::deadline(20), "nothing was mounted after `{line}`");
        sleep(Duration::from_millis(10));
    }
    sleep(Duration::from_millis(700));
    // Whoever holds the other end keeps the load from dying of a broken pipe instead.
    (child, stdout)
}

#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn an_interrupt_cleans_up_and_then_kills() {
    let Some(_alone) = support::live() else { return };
    for wanted in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        let (mut child, _stdout) = start_load();
        kill(Pid::from_raw(child.id() as i32), wanted).unwrap();
        let status = child.wait().unwrap();
        assert_eq!(status.signal(), Some(wanted as i32));
        assert_eq!(support::leftovers(child.id()), Vec::<String>::new(), "{wanted}");
    }
}

#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn what_a_kill_leaves_is_removed_by_the_next_run_and_the_living_are_left_alone() {
    let Some(_alone) = support::live() else { return };
    let living = LoopFs::create_mounted(small(160)).unwrap();
    let (mut child, _stdout) = start_load();
    child.kill().unwrap();
    child.wait().unwrap();
    let left = support::leftovers(child.id());
    assert!(left.iter().any(|what| what.starts_with("mount")), "{left:?}");
    let removed = stale::cleanup_stale().unwrap();
    assert!(!removed.iter().any(|folder| living.path().starts_with(folder)));
    assert_eq!(support::leftovers(child.id()), Vec::<String>::new());
    std::fs::write(living.path().join("still here"), "x").unwrap();
    drop(living);
    assert_nothing_left();
}
