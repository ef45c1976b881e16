//! Kretprobes with room for many calls at the same time.
//!
//! A kretprobe can follow only as many open calls of its function as it has room for; it misses the return of any call more.
//! The perf interface makes room for twice the possible CPUs, and at least ten (`register_kretprobe()` in
//! `kernel/kprobes.c`, 6.1 to 7.3). That is too few where hundreds of tasks wait for space inside a function. Only an event
//! of tracefs can set its own number, so we attach the program to such an event.
use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::fd::{AsRawFd, BorrowedFd},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::Duration,
};

use nix::errno::Errno;
use perf_event::{Builder, Counter, events::Tracepoint};

/// Open calls of one function that are followed: more than test suites have waiting tasks. The kernel needs 8 KiB for them
/// per function and possible CPU.
pub(super) const ROOM: u32 = 1024;

/// Where tracefs is, and where debugfs mounts it automatically at the first access.
const PLACES: [&str; 2] = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];
/// Start of the names of our event groups; the process id and the group's number in the process follow.
const GROUP: &str = "btrfs_probe_";
/// How often we try to remove an event that the kernel is still closing.
const TRIES: u32 = 50;
const PAUSE: Duration = Duration::from_millis(20);

static GROUPS: AtomicU32 = AtomicU32::new(0);

/// tracefs, and our group of events in it.
#[derive(Clone, Debug)]
pub(super) struct Tracefs {
    root: PathBuf,
    group: String,
}

/// An attached kretprobe. Dropping it detaches it and removes its event from tracefs.
#[derive(Debug)]
pub(super) struct Kretprobe {
    counter: Option<Counter>,
    event: Event,
}

/// An event as tracefs knows it.
#[derive(Debug)]
struct Event {
    tracefs: Tracefs,
    name: String,
}

impl Tracefs {
    /// Finds tracefs, makes a new group, and removes the events of our processes that were killed.
    ///
    /// # Errors
    /// One sentence: it is not there, or may not be written.
    pub(super) fn find() -> Result<Self, String> {
        let (own, number) = (std::process::id(), GROUPS.fetch_add(1, Ordering::Relaxed));
        let group = format!("{GROUP}{own}_{number}");
        let tracefs = PLACES
            .into_iter()
            .map(|root| Self { root: root.into(), group: group.clone() })
            .find(|tracefs| tracefs.events().exists())
            .ok_or_else(|| format!("tracefs is not mounted on {}", PLACES[0]))?;
        let listed = fs::read_to_string(tracefs.events())
            .map_err(|error| format!("{} cannot be read: {error}", tracefs.events().display()))?;
        // In a container, a new process can well have the id of the one before, which was killed.
        let lives = |process: u32| {
            (process != own || number > 0) && Path::new("/proc").join(process.to_string()).exists()
        };
        for name in stale(&listed, lives) {
            match tracefs.tell(&format!("-:{name}")) {
                Ok(()) => log::info!("{name}: an event of a process that is gone was removed"),
                Err(error) => log::info!("{name}: of a process that is gone, and stays: {error}"),
            }
        }
        Ok(tracefs)
    }

    /// Puts a kprobe program on the return of a function.
    ///
    /// # Errors
    /// One sentence: what the kernel refuses. Nothing is left attached.
    pub(super) fn attach(&self, function: &str, program: BorrowedFd<'_>) -> Result<Kretprobe, String> {
        let name = format!("{}/{function}", self.group);
        self.tell(&format!("r{ROOM}:{name} {function}"))
            .map_err(|error| format!("an event with room for {ROOM} calls is refused: {error}"))?;
        let mut probe = Kretprobe { counter: None, event: Event { tracefs: self.clone(), name } };
        let id = self.id(&probe.event.name)?;
        let counter = Builder::new(Tracepoint::with_id(id))
            .any_pid()
            .one_cpu(0)
            .include_kernel()
            .build()
            .map_err(|error| format!("its perf event is refused: {error}"))?;
        let counter = probe.counter.insert(counter);
        counter
            .set_bpf(program.as_raw_fd())
            .and_then(|()| counter.enable())
            .map_err(|error| format!("the program is refused: {error}"))?;
        Ok(probe)
    }

    fn id(&self, name: &str) -> Result<u64, String> {
        let path = self.root.join("events").join(name).join("id");
        let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        text.trim().parse().map_err(|_| format!("{} holds no number", path.display()))
    }

    fn events(&self) -> PathBuf {
        self.root.join("kprobe_events")
    }

    /// Writes one command to `kprobe_events`, in one write.
    fn tell(&self, command: &str) -> io::Result<()> {
        OpenOptions::new().append(true).open(self.events())?.write_all(format!("{command}\n").as_bytes())
    }
}

impl Drop for Kretprobe {
    fn drop(&mut self) {
        drop(self.counter.take());
        self.event.remove();
    }
}

impl Event {
    /// Removes the event, as soon as the kernel has closed its user.
    fn remove(&self) {
        for _ in 0..TRIES {
            match self.tracefs.tell(&format!("-:{}", self.name)) {
                Err(error) if error.raw_os_error() == Some(Errno::EBUSY as i32) => thread::sleep(PAUSE),
                Err(error) => {
                    log::warn!("the event {} stays in tracefs, where it does nothing: {error}", self.name);
                    return;
                }
                Ok(()) => return,
            }
        }
        log::warn!("the event {} stays in tracefs, where it does nothing: it is in use", self.name);
    }
}

/// Our events in a listing of `kprobe_events` whose process is gone.
fn stale(listed: &str, lives: impl Fn(u32) -> bool) -> Vec<String> {
    listed
        .lines()
        .filter_map(|line| {
            let (_, name) = line.split_whitespace().next()?.split_once(':')?;
            let (process, _) = name.strip_prefix(GROUP)?.split_once('_')?;
            (!lives(process.parse().ok()?)).then(|| name.to_owned())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `kprobe_events` of 6.12 lists them.
    const LISTED: &str = "\
r1024:btrfs_probe_71_0/btrfs_delalloc_reserve_metadata btrfs_delalloc_reserve_metadata
r1024:btrfs_probe_72_3/btrfs_block_rsv_release btrfs_block_rsv_release
p:kprobes/myprobe do_sys_open dfd=%ax
r10:btrfs_probe_x_0/other do_sys_open
r:btrfs_probe_73 do_sys_open
";

    #[test]
    fn only_events_of_ours_whose_process_is_gone_are_stale() {
        assert_eq!(
            stale(LISTED, |process| process == 72),
            ["btrfs_probe_71_0/btrfs_delalloc_reserve_metadata"]
        );
        assert!(stale(LISTED, |_| true).is_empty());
        assert!(stale("", |_| false).is_empty());
    }
}
