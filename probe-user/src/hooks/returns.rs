//! Kretprobes with room for many calls at a time.
//!
//! A kretprobe follows as many calls of its function as it was made room for; the return of one call more is missed.
//! The perf interface makes room for twice the processors that the kernel could have, and ten at least
//! (`kernel/kprobes.c`, `register_kretprobe`, 6.1 to 7.3): too few where tasks wait for space inside a function by
//! the hundred. Only an event of tracefs says its own number, so it is one that carries the program.
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

/// Calls of one function that are followed at a time: above what test suites have tasks waiting. A kernel keeps 8 KiB for
/// them a function and processor that could be.
pub(super) const ROOM: u32 = 1024;

/// Where tracefs is, and where debugfs mounts it by itself when it is looked at.
const PLACES: [&str; 2] = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];
/// Groups of events that are ours begin like this; the process that made one follows, and which of its groups it is.
const GROUP: &str = "btrfs_probe_";
/// How often, and how long between, an event is asked to go that the kernel still closes.
const TRIES: u32 = 50;
const PAUSE: Duration = Duration::from_millis(20);

static GROUPS: AtomicU32 = AtomicU32::new(0);

/// tracefs, and a group in it for events of ours.
#[derive(Clone, Debug)]
pub(super) struct Tracefs {
    root: PathBuf,
    group: String,
}

/// A kretprobe that is on. Goes off, and out of tracefs, when it is dropped.
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
    /// tracefs of this machine with a new group, and without the events of processes of ours that were killed.
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
        // In a container a process may well have the number of the one before, which was killed.
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
    /// One sentence: what of it the kernel refuses. Nothing of it stays.
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

    /// One command of `kprobe_events`, in one write.
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
    /// Until the kernel has closed what used it.
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

/// Events of ours in a listing of `kprobe_events` whose process is gone.
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
