//! Something to watch.
use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader},
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    thread::sleep,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{SigHandler, Signal, kill, signal},
    unistd::Pid,
};
use probe_workload::{
    loopfs::{FOLDER_PREFIX, LoopFs, LoopFsOptions},
    mix::{Mix, MixReport, Until},
    mounts,
    ops::{Abilities, Layout},
};

/// A filesystem of `size_mib` MiB, mounted, data and metadata in single copies.
pub fn filesystem(size_mib: u64) -> LoopFs {
    LoopFs::create_mounted(LoopFsOptions::new(size_mib << 20).single()).expect("a filesystem")
}

/// Writes a file, for a shell.
pub fn write(fs: &LoopFs) -> String {
    let file = fs.path().join("file");
    format!("dd if=/dev/zero of={} bs=64k count=64 conv=fsync status=none", file.display())
}

/// Runs the operations named, `ops` times in all, on `threads` threads.
pub fn operate(root: &Path, abilities: Abilities, threads: usize, ops: u64, names: &[&str]) -> MixReport {
    operate_in(&Layout::prepare(root, abilities).expect("a layout"), threads, ops, names)
}

/// The same in a layout that is there already: none can be made on a filesystem that is full.
pub fn operate_in(layout: &Layout, threads: usize, ops: u64, names: &[&str]) -> MixReport {
    let mix = if names.is_empty() {
        Mix::new(threads, Until::Ops(ops), 5)
    } else {
        Mix::only(threads, Until::Ops(ops), 5, names).expect("names of operations")
    };
    mix.run(layout, &AtomicBool::new(false)).expect("a correct kernel")
}

/// What the threads of a load wait between two operations: on an emulated machine the tool would else hardly get a turn.
fn pause() -> Duration {
    Duration::from_millis(if super::patience() > 1 { 100 } else { 0 })
}

/// Runs a mixed load on `roots` for as long as `body` runs.
pub fn beside<T>(roots: &[&Path], body: impl FnOnce() -> T) -> T {
    struct Stop<'a>(&'a AtomicBool);
    impl Drop for Stop<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // Stopped by a panic of the body too, or the scope would wait for ever.
        let stopper = Stop(&stop);
        for root in roots {
            let stop = &stop;
            scope.spawn(move || {
                let layout = Layout::prepare(root, Abilities::default()).expect("a layout");
                let mut mix = Mix::new(2, Until::Stopped, 9);
                mix.pause = pause();
                mix.run(&layout, stop).expect("a correct kernel")
            });
        }
        // In the middle of it, not at its beginning.
        sleep(Duration::from_millis(300));
        let result = body();
        drop(stopper);
        result
    })
}

/// The example `mixload` in a process of its own, which removes what it made when this is dropped.
#[derive(Debug)]
pub struct MixLoad {
    child: Child,
    /// UUIDs of its filesystems.
    pub uuids: BTreeSet<String>,
    // Whoever holds the other end keeps the load from dying of a broken pipe.
    _stdout: BufReader<ChildStdout>,
}

impl MixLoad {
    /// Starts it with `--make count` and these arguments, and waits until it works on all its filesystems. It works until
    /// this is dropped.
    pub fn start(count: usize, arguments: &[&str]) -> Self {
        let mut command = Command::new(super::example("mixload"));
        // Longer than any test, lest it outlive one that was killed.
        let seconds = super::deadline(180).as_secs().to_string();
        command
            .args(["--make", &count.to_string(), "--seconds", &seconds])
            .args(["--pause", &pause().as_millis().to_string()])
            .args(arguments)
            .stdout(Stdio::piped());
        // SAFETY: signal(2) is async-signal-safe; a test runner started in the background has SIGINT ignored.
        unsafe { command.pre_exec(|| Ok(signal(Signal::SIGTERM, SigHandler::SigDfl).map(drop)?)) };
        let mut child = command.spawn().expect("mixload starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("its seed");
        println!("mixload: {}", line.trim());
        let start = Instant::now();
        let name = format!("{FOLDER_PREFIX}{}.", child.id());
        let ours =
            |path: &Path| path.components().any(|part| part.as_os_str().to_string_lossy().starts_with(&name));
        loop {
            let mounted: Vec<_> = mounts::current()
                .expect("mountinfo")
                .into_iter()
                .filter(|mount| ours(&mount.point))
                .collect();
            // The last thing that the layout makes.
            if mounted.len() == count && mounted.iter().all(|mount| mount.point.join("subvols").is_dir()) {
                let uuids = mounted.iter().map(|mount| uuid_of(&mount.source)).collect();
                sleep(Duration::from_secs(1));
                return Self { child, uuids, _stdout: stdout };
            }
            assert!(start.elapsed() < super::deadline(30), "mixload mounted {mounted:?}");
            assert!(child.try_wait().expect("a child").is_none(), "mixload ended");
            sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for MixLoad {
    fn drop(&mut self) {
        let _ = kill(Pid::from_raw(self.child.id() as i32), Signal::SIGTERM);
        let _ = self.child.wait();
    }
}

/// UUID of the mounted btrfs on a device.
fn uuid_of(device: &Path) -> String {
    let name = device.file_name().expect("a device").to_owned();
    std::fs::read_dir("/sys/fs/btrfs")
        .expect("sysfs")
        .flatten()
        .find(|entry| entry.path().join("devices").join(&name).exists())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .expect("a mounted filesystem")
}
