//! Waits for what ends a live session, and sees to the command.
use std::{ffi::OsString, process::ExitStatus as ProcessStatus, time::Duration};

use anyhow::Context as _;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::{
    process::{Child, Command},
    signal::unix::{SignalKind, signal},
};

use crate::capture::session::CommandStatus;

/// Time that a command gets to end after a signal to us, before it is killed by a second signal or left behind.
const GRACE: Duration = Duration::from_secs(30);

/// What ended a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    /// How the command ended, if there was one and it has ended.
    pub command: Option<ProcessStatus>,
    /// A signal to us ended it.
    pub interrupted: bool,
}

impl Ended {
    /// The command's status for the session's end.
    #[must_use]
    pub fn command_status(&self) -> Option<CommandStatus> {
        use std::os::unix::process::ExitStatusExt as _;
        self.command.map(|status| CommandStatus { code: status.code(), signal: status.signal() })
    }
}

/// Signals that end a session in an orderly way.
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    hangup: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn any(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => Signal::SIGINT,
            _ = self.terminate.recv() => Signal::SIGTERM,
            _ = self.hangup.recv() => Signal::SIGHUP,
        }
    }
}

/// A runtime for waiting; all the work is done elsewhere.
///
/// # Errors
/// The system has no room for it.
pub fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot set up signal handling")
}

/// Starts a command.
///
/// # Errors
/// It cannot be started.
pub fn start(command: &[OsString]) -> anyhow::Result<Child> {
    let (program, arguments) = command.split_first().context("there is no command to run")?;
    Command::new(program)
        .args(arguments)
        .spawn()
        .with_context(|| format!("cannot start {}", program.to_string_lossy()))
}

/// Waits for the command, or for a signal to us, which is passed on to it.
///
/// # Errors
/// Signals cannot be handled, or the command cannot be waited for.
pub async fn command(mut child: Child) -> anyhow::Result<Ended> {
    let mut signals = Signals::new()?;
    tokio::select! {
        status = child.wait() => return Ok(Ended { command: Some(status?), interrupted: false }),
        got = signals.any() => pass_on(&child, got),
    }
    let command = tokio::select! {
        status = child.wait() => Some(status?),
        _ = signals.any() => {
            child.kill().await?;
            child.try_wait()?
        }
        () = tokio::time::sleep(GRACE) => None,
    };
    Ok(Ended { command, interrupted: true })
}

/// Ctrl-C reaches the command by itself when we share its terminal; other signals came to us alone.
fn pass_on(child: &Child, got: Signal) {
    let Some(pid) = child.id().and_then(|id| i32::try_from(id).ok()) else { return };
    if got != Signal::SIGINT || !std::io::IsTerminal::is_terminal(&std::io::stdin()) {
        // It may have ended meanwhile.
        let _ = kill(Pid::from_raw(pid), got);
    }
}

/// Waits for a time, or for ever, or for a signal to us.
///
/// # Errors
/// Signals cannot be handled.
pub async fn elapsed(time: Option<Duration>) -> anyhow::Result<Ended> {
    let mut signals = Signals::new()?;
    let sleep = async {
        match time {
            Some(time) => tokio::time::sleep(time).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = sleep => Ok(Ended::default()),
        _ = signals.any() => Ok(Ended { command: None, interrupted: true }),
    }
}

/// Waits until `done` is ready, or for a signal to us.
///
/// # Errors
/// Signals cannot be handled.
pub async fn until(done: impl Future<Output = ()>) -> anyhow::Result<Ended> {
    let mut signals = Signals::new()?;
    tokio::select! {
        () = done => Ok(Ended::default()),
        _ = signals.any() => Ok(Ended { command: None, interrupted: true }),
    }
}
