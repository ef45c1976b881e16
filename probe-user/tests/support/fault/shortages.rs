//! States in which there is no space, each with a cause that a correct kernel removes before anybody sees it.
//!
//! They are made by what any program may do, and all their figures are the kernel's own. Only the cure is held back: the fault module
//! leaves out steps of `flush_space()`, or lets a task stay where it is. All share one attachment of the tool, each has a filesystem
//! of its own.
use std::{
    fs::{self, File, Permissions},
    os::unix::fs::PermissionsExt as _,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    process::{Child, Command, Stdio},
    sync::LazyLock,
    thread::sleep,
    time::{Duration, Instant},
};

use nix::fcntl::{FallocateFlags, fallocate};
use probe_common::shortage::STATE_WINDOW_BITS;
use probe_workload::loopfs::{LoopFs, LoopFsOptions};

use super::{module, zoned};
use crate::support::{
    self,
    probe::{self, Done},
};

/// Steps of `flush_space()` (`enum btrfs_flush_state`, the same from 6.1 to 6.12).
const DELAYED_REFS: [u32; 2] = [3, 4];
const CHUNKS: [u32; 2] = [8, 9];
const COMMIT: u32 = 11;

/// What came of one state.
#[derive(Debug)]
pub struct State {
    /// Its filesystem.
    pub uuid: String,
    /// Levels that the kernel itself showed in sysfs while it was so, bytes; see [`levels`].
    pub levels: Vec<(String, i64)>,
}

impl State {
    /// A level of the kernel's, bytes.
    pub fn level(&self, name: &str) -> i64 {
        self.levels.iter().find(|(of, _)| of == name).unwrap_or_else(|| panic!("no level {name}")).1
    }
}

/// The session over all of them, and what came of each; an error if it could not be made.
pub struct Session {
    pub done: Done,
    states: Vec<(&'static str, Result<State, String>)>,
}

impl Session {
    /// A state by the name of its cause.
    pub fn state(&self, cause: &str) -> &State {
        let (_, state) = self.states.iter().find(|(name, _)| *name == cause).expect("a state");
        state.as_ref().unwrap_or_else(|error| panic!("{cause} was not made: {error}"))
    }
}

type Make = fn() -> State;

const STATES: [(&str, Make); 6] = [
    ("pinned-until-commit", pinned),
    ("delayed-refs-reserve", delayed_refs),
    ("global-reserve-drained", global_drained),
    ("overcommit-refused", overcommit),
    ("waiting-reservations", waiting),
    ("zone-unusable", zoned::unusable),
];

/// What came of all states; the first test that asks makes them.
pub fn session() -> &'static Session {
    static SESSION: LazyLock<Session> = LazyLock::new(run);
    &SESSION
}

fn run() -> Session {
    let _alone = support::live().expect("a guest has root and btrfs");
    module::load();
    module::disarm();
    let session = probe::attached(&["watch"]);
    let states = STATES
        .map(|(name, make)| {
            let begun = Instant::now();
            let made = catch_unwind(AssertUnwindSafe(make)).map_err(|panic| {
                let text = panic.downcast_ref::<String>().cloned();
                text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
                    .unwrap_or_default()
            });
            println!("  {name}: {:.1} s", begun.elapsed().as_secs_f32());
            (name, made)
        })
        .into();
    Session { done: session.interrupt(), states }
}

/// Faults, which are gone when this is. What they held goes on before.
struct Held;

impl Held {
    /// These steps of `flush_space()` do nothing.
    fn steps(steps: &[u32]) -> Self {
        for step in steps {
            module::arm(&format!("func=flush_space action=skip value=3:{step}"));
        }
        Self
    }

    /// Tasks that come to this function stay there.
    fn all_in(&self, function: &str) {
        module::arm(&format!("func={function} action=delay at=entry sleep hold us=600000000"));
    }

    /// What the fault on this function has counted.
    fn count(&self, what: &str, function: &str) -> u64 {
        let counts = module::counts(what);
        counts.iter().find(|(of, _)| of == function).expect("a fault").1
    }

    /// Waits until it is so much.
    fn wait(&self, what: &str, function: &str, number: u64) {
        until(&format!("{what} of {function}"), || self.count(what, function) >= number);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        module::go(true);
        module::disarm();
        module::go(false);
    }
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < support::deadline(10), "{what} never came");
        sleep(Duration::from_millis(20));
    }
}

/// 8 MiB are metadata, and data gets the rest in chunks of a tenth of it all. The smaller a tree block, the smaller is what an operation
/// asks for. Nothing commits by itself.
fn filesystem(mib: u64, nodesize: u32) -> LoopFs {
    let mut options = LoopFsOptions::new(mib << 20).single();
    options.nodesize = Some(nodesize);
    options.mount_options = "commit=300".to_owned();
    LoopFs::create_mounted(options).expect("a filesystem")
}

/// Takes data by fallocate, until there is no more, or data has so many bytes of chunks.
fn take_data(fs: &LoopFs, at_most: i64) {
    let file = File::create(fs.path().join("data")).expect("a file");
    let mut offset = 0;
    // One that asks for several chunks gets them all before it fails.
    for length in [4 << 20, 1 << 20] {
        while level(fs, "data/total_bytes") < at_most
            && fallocate(&file, FallocateFlags::empty(), offset, length).is_ok()
        {
            offset += length;
        }
    }
    fs.sync().expect("a commit");
    // These failures must not count as a burst together with those to come, of which only some are read.
    sleep(Duration::from_nanos(1 << STATE_WINDOW_BITS));
}

fn level(fs: &LoopFs, name: &str) -> i64 {
    level_of(&fs.fsid().to_string(), name)
}

/// A file below `allocation` in sysfs, bytes.
pub fn level_of(uuid: &str, name: &str) -> i64 {
    let path = Path::new("/sys/fs/btrfs").join(uuid).join("allocation").join(name);
    fs::read_to_string(&path).expect("sysfs").trim().parse().expect("a number")
}

fn state(fs: &LoopFs, levels: &[&str]) -> State {
    let levels = levels.iter().map(|name| ((*name).to_owned(), level(fs, name))).collect();
    State { uuid: fs.fsid().to_string(), levels }
}

fn start(program: &str, arguments: &[&Path]) -> Child {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("a program")
}

/// Makes folders until one fails, by the program `mkdir`.
fn mkdir_fails(fs: &LoopFs) {
    let failed = (0..100).any(|number| {
        let path = fs.path().join(format!("folder{number}"));
        !start("mkdir", &[&path]).wait().expect("mkdir").success()
    });
    assert!(failed, "there is always room for a folder");
}

/// Every leaf of a committed tree is changed, so that the old one is pinned.
fn pinned() -> State {
    let fs = filesystem(128, 4096);
    take_data(&fs, i64::MAX);
    let name = |number: u32| fs.path().join(format!("inline{number}"));
    // One to a leaf.
    for number in 0..750 {
        fs::write(name(number), [7; 1900]).expect("room for a file");
    }
    fs.sync().expect("a commit");
    let _held = Held::steps(&[COMMIT]);
    for number in 0..750 {
        if fs::set_permissions(name(number), Permissions::from_mode(0o600)).is_err() {
            break;
        }
    }
    mkdir_fails(&fs);
    state(&fs, &["metadata/bytes_pinned"])
}

/// Each new folder adds references to tree blocks, and nobody writes them.
fn delayed_refs() -> State {
    let fs = filesystem(128, 4096);
    take_data(&fs, i64::MAX);
    let _held = Held::steps(&[DELAYED_REFS[0], DELAYED_REFS[1], COMMIT]);
    let full = (0..5000).any(|number| fs::create_dir(fs.path().join(format!("x{number}"))).is_err());
    assert!(full, "metadata never becomes full");
    mkdir_fails(&fs);
    state(&fs, &["metadata/bytes_may_use"])
}

/// Unlinks that take long have what the global reserve gave, and there is nothing of it for the next.
fn global_drained() -> State {
    let fs = filesystem(128, 16384);
    let file = |number: u32| fs.path().join(format!("folder{number}/file"));
    // Each in a folder of its own, which it locks.
    for number in 0..6 {
        fs::create_dir(file(number).parent().expect("a folder")).expect("a folder");
        File::create(file(number)).expect("a file");
    }
    take_data(&fs, i64::MAX);
    let mut slow = Vec::new();
    let levels;
    {
        // A commit would wait for those that are slow.
        let held = Held::steps(&[COMMIT]);
        held.all_in("btrfs_record_unlink_dir");
        let failed = (0..6).any(|number| {
            let mut unlink = start("rm", &[&file(number)]);
            let mut ended = None;
            until("an unlink", || {
                ended = unlink.try_wait().expect("rm");
                ended.is_some() || held.count("holding", "btrfs_record_unlink_dir") > slow.len() as u64
            });
            slow.push(unlink);
            ended.is_some_and(|status| !status.success())
        });
        assert!(failed, "there is always room for an unlink");
        levels = state(&fs, &["global_rsv_reserved", "global_rsv_size"]);
        slow.pop();
    }
    for mut unlink in slow {
        assert!(unlink.wait().expect("rm").success(), "an unlink that had its bytes");
    }
    levels
}

/// Two files, of which [`rename`] puts one in the place of the other. That asks for more than a new folder.
fn two_files(fs: &LoopFs) {
    for name in ["one", "other"] {
        File::create(fs.path().join(name)).expect("a file");
    }
}

fn rename(fs: &LoopFs) -> Child {
    start("mv", &[Path::new("-f"), &fs.path().join("one"), &fs.path().join("other")])
}

/// A chunk would find room, and is not tried.
fn overcommit() -> State {
    let fs = filesystem(120, 16384);
    two_files(&fs);
    // The next chunk would take all that is left.
    take_data(&fs, 100 << 20);
    let _held = Held::steps(&CHUNKS);
    assert!(!rename(&fs).wait().expect("mv").success(), "there is room for all that mv asks for");
    state(&fs, &["metadata/total_bytes"])
}

/// One task waits for space while nothing is flushed, and another one asks for less than is free.
fn waiting() -> State {
    let fs = filesystem(128, 16384);
    two_files(&fs);
    let file = fs.path().join("file");
    File::create(&file).expect("a file");
    take_data(&fs, i64::MAX);
    let (mut waits, mut change);
    let levels;
    {
        let held = Held::steps(&[]);
        held.all_in("flush_space");
        waits = rename(&fs);
        held.wait("holding", "flush_space", 1);
        // It asks twice: first as one that may not wait.
        module::arm("func=btrfs_reserve_metadata_bytes action=count comm=chmod");
        change = start("chmod", &[Path::new("600"), &file]);
        held.wait("matched", "btrfs_reserve_metadata_bytes", 2);
        levels = state(&fs, &["metadata/total_bytes"]);
    }
    assert!(change.wait().expect("chmod").success(), "who waits gets what fits");
    assert!(!waits.wait().expect("mv").success(), "there is room for all that mv asks for");
    levels
}
