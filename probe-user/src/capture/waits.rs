//! Which reservations wait, as far as the capture needs it: when to walk the tickets, and whose stacks to read.
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    time::{Duration, Instant},
};

use nix::libc;
use probe_common::{
    header::{Header, RecordKind},
    wait::{FOUND_OWNER, STACK_TEXT, ThreadFound, ThreadStack, WAITING_PRIORITY, WaitRound, Waiting},
};
use zerocopy::FromBytes;

/// Between two walks over the tickets. A walk where nothing waits costs a system call and a few reads per filesystem.
const WALK_EVERY: Duration = Duration::from_millis(250);
/// So many filesystems are walked in that time; for more, walks are rarer.
const FILESYSTEMS: usize = 64;
/// A ticket that has waited so long is worth a look at the threads behind it, ns.
const LONG_NS: u64 = 1_000_000_000;
/// Between two looks at the threads of a filesystem, ns. A look goes through all threads of the machine.
const THREADS_NS: u64 = 1_000_000_000;
/// Between two searches for filesystems that hang and have shown no event. The first is at the start.
const STALLED_EVERY: Duration = Duration::from_secs(10);
/// Tasks that wait whose stacks are read in one look.
const MAX_STACKS: usize = 8;
/// Tickets that are remembered; see [`probe_common::wait::MAX_WAITING`].
const MAX_TICKETS: usize = 1024;

/// A ticket that waits.
#[derive(Debug)]
struct Ticket {
    fs: u32,
    tid: u32,
    priority: bool,
    /// ns
    first: u64,
    round: u32,
}

/// What is known of one filesystem.
#[derive(Debug, Default)]
struct PerFs {
    /// When the last walk began, ns.
    walked: u64,
    /// When the threads were last looked at, ns.
    looked: u64,
}

#[derive(Debug, Default)]
pub struct Waits {
    last: Option<Instant>,
    /// When filesystems that hang were last looked for.
    stalled: Option<Instant>,
    round: u32,
    tickets: BTreeMap<u64, Ticket>,
    filesystems: BTreeMap<u32, PerFs>,
    /// Filesystems in which something waited in the last walk.
    waited: BTreeSet<u32>,
    /// Workers of the last look: `FOUND_*` and thread.
    workers: Vec<(u32, u32)>,
}

impl Waits {
    /// True if it is time to walk.
    pub fn is_due(&self, filesystems: usize) -> bool {
        let pause = WALK_EVERY * u32::try_from(1 + filesystems / FILESYSTEMS).unwrap_or(1);
        self.last.is_none_or(|last| last.elapsed() >= pause)
    }

    /// Whether to look for filesystems that hang.
    pub fn looks_for_stalled(&mut self) -> bool {
        let is_due = self.stalled.is_none_or(|last| last.elapsed() >= STALLED_EVERY);
        if is_due {
            self.stalled = Some(Instant::now());
        }
        is_due
    }

    /// A walk begins. Returns its number.
    pub fn begin(&mut self) -> u32 {
        self.last = Some(Instant::now());
        self.round = self.round.wrapping_add(1);
        self.round
    }

    /// Takes one record of the ring; nearly all need one comparison only.
    #[inline]
    pub fn see(&mut self, header: &Header, bytes: &[u8]) {
        if header.kind == RecordKind::Waiting as u8 {
            if let Ok((waiting, _)) = Waiting::read_from_prefix(bytes) {
                self.waiting(&waiting);
            }
        } else if header.kind == RecordKind::ThreadFound as u8 {
            if let Ok((found, _)) = ThreadFound::read_from_prefix(bytes) {
                self.found(&found);
            }
        } else if header.kind == RecordKind::FsEnd as u8 {
            self.filesystems.remove(&header.fs);
            self.waited.remove(&header.fs);
            self.tickets.retain(|_, ticket| ticket.fs != header.fs);
        }
    }

    fn waiting(&mut self, waiting: &Waiting) {
        let Header { fs, time, .. } = waiting.header;
        let full = self.tickets.len() >= MAX_TICKETS;
        let known = self.tickets.get_mut(&waiting.ticket);
        match known {
            Some(known)
                if known.fs == fs && (waiting.tid == 0 || known.tid == 0 || known.tid == waiting.tid) =>
            {
                known.round = waiting.round;
                if waiting.tid != 0 {
                    known.tid = waiting.tid;
                }
            }
            known if !full || known.is_some() => {
                let ticket = Ticket {
                    fs,
                    tid: waiting.tid,
                    priority: waiting.flags & WAITING_PRIORITY != 0,
                    first: time,
                    round: waiting.round,
                };
                self.tickets.insert(waiting.ticket, ticket);
            }
            _ => {}
        }
    }

    fn found(&mut self, found: &ThreadFound) {
        if found.what != FOUND_OWNER {
            self.workers.push((found.what, found.tid));
        } else if let Some(ticket) = self.tickets.get_mut(&found.ticket) {
            ticket.tid = found.tid;
        }
    }

    /// True if a walk that counted so many tickets says anything: that some wait, or that none waits any more.
    pub fn has_news(&self, fs: u32, waiting: u32) -> bool {
        waiting > 0 || self.waited.contains(&fs)
    }

    /// A walk that began at `began` found nothing.
    pub fn idle(&mut self, fs: u32, began: u64) {
        self.filesystems.entry(fs).or_default().walked = began;
    }

    /// The end of a walk that began at `began`, after its records are seen.
    pub fn round(&mut self, header: Header, waiting: u32, complete: bool, began: u64) -> WaitRound {
        let fs = header.fs;
        if waiting > 0 {
            self.waited.insert(fs);
        } else {
            self.waited.remove(&fs);
        }
        let round = self.round;
        if complete {
            self.tickets.retain(|_, ticket| ticket.fs != fs || ticket.round == round);
        }
        let known = self.filesystems.entry(fs).or_default();
        let before = std::mem::replace(&mut known.walked, began);
        WaitRound { header, round, waiting, before, complete: u32::from(complete), reserved: 0 }
    }

    /// Whether to look at the threads of a filesystem now: the ticket whose owner is wanted, 0 for none.
    pub fn wants_threads(&mut self, fs: u32, now: u64) -> Option<u64> {
        let of = self.tickets.iter().filter(|(_, ticket)| ticket.fs == fs);
        let (_, oldest) = of.clone().min_by_key(|(_, ticket)| ticket.first)?;
        let known = self.filesystems.entry(fs).or_default();
        if now.saturating_sub(oldest.first) < LONG_NS || now.saturating_sub(known.looked) < THREADS_NS {
            return None;
        }
        known.looked = now;
        self.workers.clear();
        let unknown = of.filter(|(_, ticket)| ticket.priority && ticket.tid == 0);
        Some(unknown.min_by_key(|(_, ticket)| ticket.first).map_or(0, |(address, _)| *address))
    }

    /// Where the workers are that the last look found, and the tasks that have waited longest.
    pub fn stacks(&self, root: &Path, fs: u32) -> Vec<ThreadStack> {
        let mut oldest: Vec<&Ticket> =
            self.tickets.values().filter(|ticket| ticket.fs == fs && ticket.tid != 0).collect();
        oldest.sort_by_key(|ticket| ticket.first);
        let tasks = oldest.into_iter().take(MAX_STACKS).map(|ticket| (0, ticket.tid));
        self.workers.iter().copied().chain(tasks).map(|(what, tid)| place(root, fs, what, tid)).collect()
    }
}

/// Where a thread is. What cannot be read is empty.
fn place(root: &Path, fs: u32, what: u32, tid: u32) -> ThreadStack {
    let folder = root.join("proc").join(tid.to_string());
    let mut text = [0; STACK_TEXT];
    let stack = fs::read_to_string(folder.join("stack")).unwrap_or_default();
    let mut end = 0;
    for name in stack.lines().filter_map(function) {
        // The last byte stays NUL.
        if end + name.len() + 1 >= STACK_TEXT {
            break;
        }
        for (to, from) in text.iter_mut().skip(end).zip(name.bytes().chain([b'\n'])) {
            *to = from;
        }
        end += name.len() + 1;
    }
    ThreadStack {
        header: Header { fs, tid, time: crate::kernel::clock::monotonic_ns(), ..Header::default() },
        what,
        reserved: 0,
        ino: if what == 0 { inode_of_call(&folder).unwrap_or(0) } else { 0 },
        text,
    }
}

/// The function in a line like `[<0>] handle_reserve_ticket+0x12/0x34 [btrfs]`, without a compiler's suffix.
fn function(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once("] ")?;
    let name = rest.split(['+', ' ']).next()?;
    let name = name.split('.').next()?;
    (!name.is_empty() && !name.starts_with("0x")).then_some(name)
}

/// The inode number behind the file descriptor of the system call in which a thread is blocked, if the file is on a btrfs.
/// Nothing is looked up on that filesystem.
fn inode_of_call(folder: &Path) -> Option<u64> {
    let call = fs::read_to_string(folder.join("syscall")).ok()?;
    let descriptor = descriptor(&call)?;
    let info = fs::read_to_string(folder.join("fdinfo").join(descriptor.to_string())).ok()?;
    let field =
        |name: &str| info.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok());
    let (mount, ino) = (field("mnt_id:")?, field("ino:")?);
    let mounts = fs::read_to_string(folder.join("mountinfo")).ok()?;
    let of = mounts.lines().find(|line| line.split(' ').next() == Some(mount.to_string().as_str()))?;
    of.split_once(" - ")?.1.starts_with("btrfs ").then_some(ino)
}

/// System calls of this machine whose first argument is the file descriptor that they write to.
const WRITING: [i64; 10] = [
    libc::SYS_write,
    libc::SYS_pwrite64,
    libc::SYS_writev,
    libc::SYS_sendfile,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    libc::SYS_ftruncate,
    libc::SYS_fallocate,
    libc::SYS_pwritev,
    libc::SYS_pwritev2,
];

/// The file descriptor that a blocked system call writes to.
fn descriptor(call: &str) -> Option<u64> {
    let mut words = call.split_whitespace();
    let number: i64 = words.next()?.parse().ok()?;
    let argument = match number {
        libc::SYS_copy_file_range => 2,
        number if WRITING.contains(&number) => 0,
        _ => return None,
    };
    u64::from_str_radix(words.nth(argument)?.trim_start_matches("0x"), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_a_stack_has_a_function() {
        let lines = [
            ("[<0>] handle_reserve_ticket+0xb3/0x1a0", Some("handle_reserve_ticket")),
            ("[<0>] flush_space.constprop.0+0x1/0x2 [btrfs]", Some("flush_space")),
            ("[<0>] 0xffffffffc0123456", None),
            ("", None),
        ];
        assert_eq!(lines.map(|(line, _)| function(line)), lines.map(|(_, name)| name));
    }

    #[test]
    fn a_blocked_write_has_a_descriptor() {
        let calls = [
            (libc::SYS_write, "0x3 0x7f0000 0x1000 0x0 0x0 0x0 0x7ffe 0x7f00", Some(3)),
            (libc::SYS_copy_file_range, "0x3 0x0 0x4 0x0 0x1000 0x0 0x7ffe 0x7f00", Some(4)),
            (libc::SYS_openat, "0xffffff9c 0x7f 0x241 0x1b6 0x0 0x0 0x7ffe 0x7f", None),
            (-1, "0x7ffe 0x7f", None),
        ];
        for (number, arguments, wanted) in calls {
            assert_eq!(descriptor(&format!("{number} {arguments}")), wanted, "{number}");
        }
        assert_eq!((descriptor("running"), descriptor("")), (None, None));
    }

    fn waiting(ticket: u64, round: u32, tid: u32, time: u64) -> Waiting {
        Waiting {
            header: Header { fs: 7, time, ..Header::default() },
            ticket,
            tid,
            round,
            ..Waiting::default()
        }
    }

    #[test]
    fn a_walk_without_tickets_says_so_once() {
        let mut waits = Waits::default();
        let header = Header { fs: 7, ..Header::default() };
        assert!(!waits.has_news(7, 0));
        let round = waits.begin();
        waits.waiting(&waiting(0x1000, round, 40, 1));
        assert_eq!(waits.round(header, 1, true, 1).before, 0);
        assert!(waits.has_news(7, 0));
        waits.begin();
        assert_eq!(waits.round(header, 0, true, 2).before, 1);
        assert!(!waits.has_news(7, 0) && waits.tickets.is_empty());
    }

    #[test]
    fn threads_are_looked_at_when_something_waits_long_and_not_too_often() {
        let mut waits = Waits::default();
        waits.waiting(&waiting(0x1000, 1, 40, 0));
        waits.waiting(&Waiting { flags: WAITING_PRIORITY, ..waiting(0x2000, 1, 0, LONG_NS / 2) });
        assert_eq!(waits.wants_threads(7, LONG_NS - 1), None);
        assert_eq!(waits.wants_threads(7, LONG_NS), Some(0x2000));
        assert_eq!(waits.wants_threads(7, LONG_NS + 1), None);
        assert_eq!(waits.wants_threads(7, LONG_NS + THREADS_NS), Some(0x2000));
        assert_eq!(waits.wants_threads(8, LONG_NS + THREADS_NS), None);
    }
}
