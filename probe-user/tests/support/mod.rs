//! What the live tests share: asking for root, running one at a time, and looking for what was left behind.
#![allow(dead_code, reason = "each test binary uses a part of it")]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::panic,
    clippy::expect_used,
    reason = "tests say why they skip, and may fail by panicking"
)]
pub mod failures;
pub mod fault;
pub mod kept;
pub mod load;
pub mod pages;
pub mod probe;
pub mod suite;
pub mod tmux;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use nix::fcntl::{Flock, FlockArg};
use probe_workload::{ioctl::loopdev, loopfs::FOLDER_PREFIX, mounts};

/// The right to disturb the kernel, held by one test of all binaries at a time: each watches all of it.
#[derive(Debug)]
pub struct Alone {
    _threads: MutexGuard<'static, ()>,
    _processes: Flock<fs::File>,
}

/// Root, btrfs, and the only live test that runs now; `None` (after saying so) where that cannot be had.
pub fn live() -> Option<Alone> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    if !nix::unistd::geteuid().is_root() {
        eprintln!("SKIPPED: needs root");
        return None;
    }
    let known = fs::read_to_string("/proc/filesystems").unwrap_or_default();
    if !known.lines().any(|line| line.split_whitespace().next_back() == Some("btrfs")) {
        eprintln!("SKIPPED: this kernel has no btrfs");
        return None;
    }
    let threads = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let path = std::env::temp_dir().join("btrfs-probe-live-tests.lock");
    let file = fs::File::options().write(true).create(true).truncate(false).open(path).expect("lock file");
    let processes = Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, errno)| errno).expect("lock");
    Some(Alone { _threads: threads, _processes: processes })
}

/// How many times slower than usual this machine may be: `BTRFS_PROBE_TEST_PATIENCE`, 1 without it. An emulated one is.
pub fn patience() -> u32 {
    let set = std::env::var("BTRFS_PROBE_TEST_PATIENCE").ok().and_then(|text| text.parse().ok());
    set.unwrap_or(1).max(1)
}

/// A deadline that only something that hangs reaches.
pub fn deadline(seconds: u64) -> Duration {
    Duration::from_secs(seconds) * patience()
}

/// The least work that a load of fixed time must have done to be worth watching.
pub fn at_least(count: i64) -> i64 {
    count / i64::from(patience())
}

/// Everything that process `pid` made and that is still there: mounts, attached loop devices, temp folders. Other
/// processes may make and remove theirs meanwhile, so only names with this pid count.
pub fn leftovers(pid: u32) -> Vec<String> {
    let ours = format!("{FOLDER_PREFIX}{pid}.");
    let named =
        |path: &Path| path.components().any(|part| part.as_os_str().to_string_lossy().starts_with(&ours));
    let mut found = Vec::new();
    for mount in mounts::current().expect("mountinfo") {
        if named(&mount.point)
            || loop_number(&mount.source).and_then(loopdev::backing_file).is_some_and(|f| named(&f))
        {
            found.push(format!("mount {}", mount.point.display()));
        }
    }
    for (number, file) in attached() {
        if named(&file) {
            found.push(format!("loop{number} on {}", file.display()));
        }
    }
    for parent in ["/dev/shm".into(), "/tmp".into(), "/var/tmp".into(), std::env::temp_dir()] as [PathBuf; 4]
    {
        let Ok(entries) = fs::read_dir(parent) else { continue };
        found.extend(
            entries.flatten().map(|entry| entry.path()).filter(|p| named(p)).map(|p| p.display().to_string()),
        );
    }
    found
}

/// Loop devices in use and their files.
pub fn attached() -> Vec<(u32, PathBuf)> {
    fs::read_dir("/sys/block")
        .expect("sysfs")
        .flatten()
        .filter_map(|entry| loop_number(Path::new(&entry.file_name())))
        .filter_map(|number| Some((number, loopdev::backing_file(number)?)))
        .collect()
}

fn loop_number(path: &Path) -> Option<u32> {
    path.file_name()?.to_str()?.strip_prefix("loop")?.parse().ok()
}

/// An example of this package, which `cargo test` builds beside the tests.
pub fn example(name: &str) -> PathBuf {
    let exe = std::env::current_exe().expect("path of the test");
    let profile = exe.parent().and_then(Path::parent).expect("target folder");
    let path = profile.join("examples").join(name);
    assert!(path.is_file(), "{} is missing: run `cargo build --example {name}`", path.display());
    path
}
