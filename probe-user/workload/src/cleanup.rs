//! Removes what was made, also when the process is interrupted.
//!
//! Every guard is registered here for as long as it has something to remove. A caller without signal handling calls
//! [`install`]. A caller with its own signal handling (which wants to write its report first) sets the stop flag that it
//! gave to the workload and lets the guards drop, or calls [`run_all`].
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::libc;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, kill, sigaction};
use nix::unistd::{Pid, pipe2};

/// Something that can be undone once, from any thread.
pub(crate) trait Undo: Send + Sync {
    /// Undoes it; the second call does nothing. Logs errors.
    fn undo(&self);
}

/// Longer than any clean-up takes.
const LEAVE_PATIENCE: Duration = Duration::from_secs(60);

static REGISTRY: Mutex<Vec<Arc<dyn Undo>>> = Mutex::new(Vec::new());
static CLOSING: AtomicBool = AtomicBool::new(false);
static PIPE: AtomicI32 = AtomicI32::new(-1);

/// Registers `guard` until [`unregister`].
pub(crate) fn register(guard: Arc<dyn Undo>) {
    REGISTRY.lock().unwrap_or_else(PoisonError::into_inner).push(guard);
}

/// Removes `guard`, which has been undone, from the registry.
pub(crate) fn unregister(guard: &Arc<dyn Undo>) {
    REGISTRY
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .retain(|known| !std::ptr::addr_eq(Arc::as_ptr(known), Arc::as_ptr(guard)));
}

/// True once the process is about to exit: workers stop, and no new filesystem is made.
pub fn closing() -> bool {
    CLOSING.load(Ordering::Relaxed)
}

/// Undoes everything that is registered, newest first. For callers with their own signal handling, just before they exit:
/// afterwards [`closing`] is true and no new filesystem can be made.
pub fn run_all() {
    CLOSING.store(true, Ordering::SeqCst);
    loop {
        // The registry must not stay locked while a guard works, because the guard's owner may drop it at the same time.
        let guard = REGISTRY.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let Some(guard) = guard else { break };
        guard.undo();
    }
}

/// Call it at the end of `main` if [`install`] was called. If a signal has started the clean-up, waits until the clean-up is
/// over and the process dies of that signal; otherwise `main` could exit first.
pub fn leave_if_closing() {
    let start = Instant::now();
    while closing() && start.elapsed() < LEAVE_PATIENCE {
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Installs handlers for SIGINT, SIGTERM and SIGHUP: everything registered is undone, then the process dies of that signal
/// as it would have without us. A signal that was ignored (nohup) stays ignored. A second call does nothing.
///
/// # Errors
/// The pipe or the thread cannot be made.
pub fn install() -> io::Result<()> {
    static DONE: OnceLock<()> = OnceLock::new();
    if DONE.set(()).is_err() {
        return Ok(());
    }
    let (read, write) = pipe2(OFlag::O_CLOEXEC)?;
    std::thread::Builder::new().name("cleanup".into()).spawn(move || wait_and_leave(read, &write))?;
    Ok(())
}

fn wait_and_leave(read: OwnedFd, write: &OwnedFd) {
    // The handlers are installed only once this thread can serve them.
    PIPE.store(write.as_raw_fd(), Ordering::SeqCst);
    let action = SigAction::new(SigHandler::Handler(on_signal), SaFlags::SA_RESTART, SigSet::empty());
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        // SAFETY: the handler only calls write(2), which is async-signal-safe, and touches atomics.
        match unsafe { sigaction(signal, &action) } {
            Ok(old) if matches!(old.handler(), SigHandler::SigIgn) => {
                // SAFETY: puts back what was there.
                let _ = unsafe { sigaction(signal, &old) };
            }
            Ok(_) => {}
            Err(errno) => log::warn!("cannot catch {signal}: {errno}; an interrupt may leave a mount behind"),
        }
    }
    let mut byte = [0u8];
    if File::from(read).read_exact(&mut byte).is_err() {
        return;
    }
    run_all();
    let Ok(signal) = Signal::try_from(i32::from(byte[0])) else { return };
    let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    // SAFETY: the default action runs no code of ours.
    let _ = unsafe { sigaction(signal, &default) };
    let _ = kill(Pid::this(), signal);
}

extern "C" fn on_signal(signal: libc::c_int) {
    let errno = Errno::last_raw();
    let byte = signal as u8;
    // SAFETY: writes one byte of this stack frame to the pipe, which lives as long as the process; write(2) is
    // async-signal-safe.
    unsafe { libc::write(PIPE.load(Ordering::Relaxed), (&raw const byte).cast(), 1) };
    Errno::set_raw(errno);
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Counted(Mutex<u32>);
    impl Undo for Counted {
        fn undo(&self) {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        }
    }

    #[test]
    fn a_guard_is_known_until_it_is_unregistered() {
        let guard = Arc::new(Counted(Mutex::new(0)));
        let known: Arc<dyn Undo> = guard.clone();
        register(known.clone());
        assert_eq!(Arc::strong_count(&guard), 3);
        unregister(&known);
        assert_eq!(Arc::strong_count(&guard), 2, "the registry let go of it");
    }
}
