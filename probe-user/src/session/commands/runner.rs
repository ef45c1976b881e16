//! Runs one command again and again, one at a time, on a thread of its own.
use std::{
    ffi::OsString,
    io::{self, Write as _},
    os::{fd::AsFd as _, unix::process::CommandExt as _},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};

use crate::{format::counted, session::exit::command_status};

/// Documents that wait while the command runs; more are dropped.
const QUEUE: usize = 16;
/// Time that commands have once the session is over.
const GRACE: Duration = Duration::from_secs(10);
/// Time between SIGTERM and SIGKILL.
const TERM: Duration = Duration::from_secs(2);
/// Pause between two looks at a command that runs.
const LOOK: Duration = Duration::from_millis(20);

/// What became of the runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Runs {
    /// Runs that ended with status 0.
    pub well: u64,
    /// Runs that ended otherwise, and the status of the last one as a shell shows it.
    pub failed: (u64, u8),
    /// Runs that were ended because the session was over.
    pub killed: u64,
    /// Events without a run: too many waited, or the session was over.
    pub dropped: u64,
    /// Events without a run since the command could not be started, and why.
    pub unstarted: (u64, String),
}

impl Runs {
    /// What did not go well; `None` if all did.
    #[must_use]
    pub fn sentence(&self) -> Option<String> {
        let mut pieces = Vec::new();
        let (failed, status) = self.failed;
        if failed > 0 {
            pieces.push(format!("{} failed, the last one with status {status}", counted(failed, "run")));
        }
        if self.killed > 0 {
            pieces.push(format!("{} took too long at the end and was ended", counted(self.killed, "run")));
        }
        if self.dropped > 0 {
            pieces.push(format!(
                "{} had no run, since the one before took too long",
                counted(self.dropped, "event")
            ));
        }
        if self.unstarted.0 > 0 {
            pieces.push(format!("{} had no run: {}", counted(self.unstarted.0, "event"), self.unstarted.1));
        }
        (!pieces.is_empty())
            .then(|| format!("{}; {} went well", pieces.join("; "), counted(self.well, "run")))
    }
}

/// See the module.
#[derive(Debug)]
pub struct Runner {
    documents: SyncSender<Vec<u8>>,
    over: Arc<AtomicBool>,
    thread: JoinHandle<Runs>,
    dropped: u64,
}

impl Runner {
    /// A runner of this shell command.
    ///
    /// # Errors
    /// There is no room for a thread.
    pub fn start(event: &str, command: OsString) -> io::Result<Self> {
        let (documents, inbox) = sync_channel(QUEUE);
        let over = Arc::<AtomicBool>::default();
        let told = Arc::clone(&over);
        let thread = std::thread::Builder::new().name(format!("probe-on-{event}")).spawn(move || {
            Worker { command, over: told, deadline: None, runs: Runs::default() }.work(&inbox)
        })?;
        Ok(Self { documents, over, thread, dropped: 0 })
    }

    /// Runs the command with this document as soon as it is free. Never waits.
    pub fn run(&mut self, document: Vec<u8>) {
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) = self.documents.try_send(document)
        {
            self.dropped = self.dropped.saturating_add(1);
        }
    }

    /// The session is over: from now on the command has [`GRACE`].
    pub fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    /// Waits until the command has ended.
    pub fn close(self) -> Runs {
        let Self { documents, over, thread, dropped } = self;
        over.store(true, Ordering::Relaxed);
        drop(documents);
        let mut runs = thread.join().unwrap_or_default();
        runs.dropped = runs.dropped.saturating_add(dropped);
        runs
    }
}

struct Worker {
    command: OsString,
    over: Arc<AtomicBool>,
    /// When the commands of a session that is over are ended.
    deadline: Option<Instant>,
    runs: Runs,
}

impl Worker {
    fn work(mut self, inbox: &Receiver<Vec<u8>>) -> Runs {
        for document in inbox {
            if self.late() {
                self.runs.dropped += 1;
                continue;
            }
            match spawn(&self.command, document) {
                Ok(child) => self.wait(child),
                Err(error) => {
                    self.runs.unstarted = (self.runs.unstarted.0 + 1, format!("cannot start sh: {error}"));
                }
            }
        }
        self.runs
    }

    /// The session is over, and so is the time of its commands.
    fn late(&mut self) -> bool {
        if !self.over.load(Ordering::Relaxed) {
            return false;
        }
        let deadline = *self.deadline.get_or_insert_with(|| Instant::now() + GRACE);
        Instant::now() >= deadline
    }

    fn wait(&mut self, mut child: Child) {
        let mut term: Option<Instant> = None;
        loop {
            match child.try_wait() {
                Ok(Some(_)) if term.is_some() => self.runs.killed += 1,
                Ok(Some(status)) => self.count(status),
                Ok(None) => {
                    match term {
                        None if self.late() => {
                            signal(&child, Signal::SIGTERM);
                            term = Some(Instant::now());
                        }
                        Some(since) if since.elapsed() >= TERM => signal(&child, Signal::SIGKILL),
                        _ => {}
                    }
                    std::thread::sleep(LOOK);
                    continue;
                }
                Err(error) => log::warn!("a command of --on cannot be waited for: {error}"),
            }
            return;
        }
    }

    fn count(&mut self, status: ExitStatus) {
        if status.success() {
            self.runs.well += 1;
        } else {
            self.runs.failed = (self.runs.failed.0 + 1, command_status(status));
        }
    }
}

/// To the command and all that it started in its process group.
fn signal(child: &Child, signal: Signal) {
    if let Ok(group) = i32::try_from(child.id()) {
        // It may have ended meanwhile; it was not waited for, so the number is not another's.
        let _ = killpg(Pid::from_raw(group), signal);
    }
}

/// Starts the command in a process group of its own, so that Ctrl-C ends the session and not the command. What it prints goes to standard
/// error: standard output has the report.
fn spawn(command: &OsString, document: Vec<u8>) -> io::Result<Child> {
    let out = io::stderr().as_fd().try_clone_to_owned()?;
    let mut child = Command::new("sh")
        .arg("-c")
        .arg(command)
        .stdin(Stdio::piped())
        .stdout(out)
        .process_group(0)
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // A command that does not read it must not hold us up; the pipe breaks when it ends.
        let write = move || drop(stdin.write_all(&document));
        if let Err(error) = std::thread::Builder::new().name("probe-on-stdin".to_owned()).spawn(write) {
            log::warn!("a command of --on gets no document: {error}");
        }
    }
    Ok(child)
}
