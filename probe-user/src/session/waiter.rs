//! Waits for what ends a live session, and runs the command.
use std::{ffi::OsString, process::ExitStatus as ProcessStatus, sync::Arc, time::Duration};

use anyhow::Context as _;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use probe_record::session::CommandStatus;
use tokio::{
    process::{Child, Command},
    signal::unix::{SignalKind, signal},
    sync::Notify,
};

/// Time for a command to end after a signal to us. Then it is left behind, or a second signal kills it before.
const GRACE: Duration = Duration::from_secs(30);

const NO_SIGNALS: &str = "cannot set up signal handling";

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
#[derive(Debug)]
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

/// Waits; other threads do the work.
#[derive(Debug)]
pub struct SessionWaiter {
    runtime: tokio::runtime::Runtime,
    signals: Signals,
    enough: Arc<Notify>,
}

impl SessionWaiter {
    /// From here on signals no longer end the process: call it before anyone is told that the session has begun.
    ///
    /// # Errors
    /// The system has no room for it.
    pub fn new() -> anyhow::Result<Self> {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().context(NO_SIGNALS)?;
        let signals = {
            let _context = runtime.enter();
            Signals::new().context(NO_SIGNALS)?
        };
        Ok(Self { runtime, signals, enough: Arc::default() })
    }

    /// A handle that ends the session, as a signal would.
    #[must_use]
    pub fn enough(&self) -> Arc<Notify> {
        Arc::clone(&self.enough)
    }

    /// Runs a command to its end, or until a signal to us, which is passed on to it.
    ///
    /// # Errors
    /// It cannot be started, or not be waited for.
    pub fn command(self, command: &[OsString], started: impl FnOnce()) -> anyhow::Result<Ended> {
        let Self { runtime, signals, enough } = self;
        runtime.block_on(async {
            let child = start(command)?;
            started();
            wait_for(child, signals, &enough).await
        })
    }

    /// Waits for a time, or for ever, or for a signal to us.
    #[must_use]
    pub fn elapsed(self, time: Option<Duration>) -> Ended {
        self.until(async {
            match time {
                Some(time) => tokio::time::sleep(time).await,
                None => std::future::pending().await,
            }
        })
    }

    /// Waits until `done` is ready, or for a signal to us.
    #[must_use]
    pub fn until(self, done: impl Future<Output = ()>) -> Ended {
        let Self { runtime, mut signals, enough } = self;
        runtime.block_on(async {
            tokio::select! {
                () = done => Ended::default(),
                _ = signals.any() => Ended { command: None, interrupted: true },
                () = enough.notified() => Ended::default(),
            }
        })
    }
}

fn start(command: &[OsString]) -> anyhow::Result<Child> {
    let (program, arguments) = command.split_first().context("there is no command to run")?;
    Command::new(program)
        .args(arguments)
        .spawn()
        .with_context(|| format!("cannot start {}", program.to_string_lossy()))
}

async fn wait_for(mut child: Child, mut signals: Signals, enough: &Notify) -> anyhow::Result<Ended> {
    let patient = tokio::select! {
        status = child.wait() => return Ok(Ended { command: Some(status?), interrupted: false }),
        got = signals.any() => {
            pass_on(&child, got);
            false
        }
        () = enough.notified() => {
            pass_on(&child, Signal::SIGTERM);
            true
        }
    };
    // A shell handles a signal after the command that it waits for has ended. `check` so finishes its test, and what the
    // test does to the filesystems meanwhile should be seen.
    if patient {
        tokio::select! {
            status = child.wait() => return Ok(Ended { command: Some(status?), interrupted: true }),
            got = signals.any() => pass_on(&child, got),
        }
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

/// Ctrl-C reaches the command by itself if we share its terminal; we alone got other signals.
fn pass_on(child: &Child, got: Signal) {
    let Some(pid) = child.id().and_then(|id| i32::try_from(id).ok()) else { return };
    if got != Signal::SIGINT || !std::io::IsTerminal::is_terminal(&std::io::stdin()) {
        // It may have ended meanwhile.
        let _ = kill(Pid::from_raw(pid), got);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;

    #[test]
    fn enough_findings_end_a_session_without_a_command() {
        let waiter = SessionWaiter::new().unwrap();
        waiter.enough().notify_one();
        assert_eq!(waiter.elapsed(None), Ended::default());
    }

    #[test]
    fn enough_findings_end_the_command() {
        let waiter = SessionWaiter::new().unwrap();
        let enough = waiter.enough();
        let command = ["sleep", "600"].map(OsString::from);
        let ended = waiter.command(&command, || enough.notify_one()).unwrap();
        assert_eq!(ended.command.unwrap().signal(), Some(nix::libc::SIGTERM));
    }
}
