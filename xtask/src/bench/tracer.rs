//! A tracer that runs beside the workload: started, waited for, measured, ended.
use std::{
    fs,
    io::{BufRead as _, BufReader, Read},
    os::unix::process::CommandExt as _,
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError, Sender},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use nix::{
    sys::signal::{SigHandler, Signal, kill, killpg, signal},
    unistd::{Pid, SysconfVar, sysconf},
};

use super::interrupt;

/// Loading and verifying programs on a busy or an emulated machine.
const READY_WITHIN: Duration = Duration::from_secs(300);
/// Writing out what was recorded.
const GONE_WITHIN: Duration = Duration::from_secs(120);

/// How a tracer tells that it is attached.
#[derive(Clone, Copy, Debug)]
pub struct Ready {
    /// It prints a line with these words.
    pub words: &'static str,
    /// And needs this much longer, because it says so too early.
    pub settle: Duration,
}

/// What a tracer left.
#[derive(Debug)]
pub struct Stopped {
    /// CPU time from ready to the end of the workload, over its wall time; all its processes.
    pub cpu: f64,
    /// All it printed.
    pub printed: Vec<String>,
    /// How it ended.
    pub status: ExitStatus,
}

/// A running tracer; killed when dropped.
pub struct Running {
    child: Child,
    output: Receiver<String>,
    printed: Vec<String>,
    ready_at: Instant,
    ticks_at_ready: u64,
}

impl Running {
    /// Starts it and waits until it is ready.
    ///
    /// # Errors
    /// If it cannot be run, ends early, or does not get ready in time.
    pub fn start(mut command: Command, ready: &Ready) -> Result<Self> {
        // A process group of its own: its helpers are counted with it, and Ctrl-C is ours to pass on.
        command.process_group(0).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // SAFETY: signal(2) is async-signal-safe. Whoever is started in the background has SIGINT ignored, a shell below it
        // cannot trap it, and no tracer would end by it.
        unsafe { command.pre_exec(|| Ok(signal(Signal::SIGINT, SigHandler::SigDfl).map(drop)?)) };
        let name = command.get_program().to_string_lossy().into_owned();
        let mut child = command.spawn().with_context(|| format!("cannot run {name}"))?;
        let (sender, output) = mpsc::channel();
        read(child.stdout.take(), sender.clone());
        read(child.stderr.take(), sender);
        let mut running =
            Self { child, output, printed: Vec::new(), ready_at: Instant::now(), ticks_at_ready: 0 };
        running.wait_until(ready, &name)?;
        thread::sleep(ready.settle);
        running.ready_at = Instant::now();
        running.ticks_at_ready = running.ticks();
        Ok(running)
    }

    fn wait_until(&mut self, ready: &Ready, name: &str) -> Result<()> {
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            interrupt::check()?;
            match self.output.recv_timeout(Duration::from_millis(100)) {
                Ok(line) => {
                    let found = line.contains(ready.words);
                    self.printed.push(line);
                    if found {
                        return Ok(());
                    }
                }
                Err(RecvTimeoutError::Disconnected) => {
                    let status = self.child.wait().context("cannot wait for the tracer")?;
                    bail!("{name} ended ({status}) before it was attached: {}", self.printed.join(" | "));
                }
                Err(RecvTimeoutError::Timeout) if Instant::now() > deadline => {
                    bail!("{name} did not say `{}` in {} s", ready.words, READY_WITHIN.as_secs());
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    /// Ends it as Ctrl-C would, and waits for what it writes.
    ///
    /// # Errors
    /// If it does not end.
    pub fn stop(mut self) -> Result<Stopped> {
        // Before the signal: what it does while it ends is not what it costs beside a workload.
        let ticks = self.ticks().saturating_sub(self.ticks_at_ready);
        let wall = self.ready_at.elapsed();
        let per_second = sysconf(SysconfVar::CLK_TCK).ok().flatten().unwrap_or(100);
        kill(self.pid(), Signal::SIGINT).context("cannot signal the tracer")?;
        let deadline = Instant::now() + GONE_WITHIN;
        let status = loop {
            if let Some(status) = self.child.try_wait().context("cannot wait for the tracer")? {
                break status;
            }
            if Instant::now() > deadline {
                bail!("the tracer did not end in {} s", GONE_WITHIN.as_secs());
            }
            thread::sleep(Duration::from_millis(10));
        };
        let mut printed = std::mem::take(&mut self.printed);
        printed.extend(self.output.iter());
        Ok(Stopped { cpu: ticks as f64 / per_second as f64 / wall.as_secs_f64(), printed, status })
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id() as i32)
    }

    /// Clock ticks in user and kernel mode of all processes of its group.
    fn ticks(&self) -> u64 {
        let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
        let stats = processes.filter_map(|entry| fs::read_to_string(entry.path().join("stat")).ok());
        stats
            .filter_map(|stat| group_and_ticks(&stat))
            .filter(|(group, _)| *group == self.child.id())
            .map(|(_, t)| t)
            .sum()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            // Nothing to do about a failure: the group is gone then.
            let _ = killpg(self.pid(), Signal::SIGKILL);
            let _ = self.child.wait();
        }
    }
}

/// Process group, and ticks in user and kernel mode, from `/proc/PID/stat`.
fn group_and_ticks(stat: &str) -> Option<(u32, u64)> {
    // The name in parentheses may hold anything, a closing parenthesis too.
    let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
    let ticks = |at: usize| fields.get(at)?.parse::<u64>().ok();
    Some((fields.get(2)?.parse().ok()?, ticks(11)? + ticks(12)?))
}

fn read(stream: Option<impl Read + Send + 'static>, sender: Sender<String>) {
    let Some(stream) = stream else { return };
    thread::spawn(move || {
        for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
            if sender.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                break;
            }
        }
    });
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::*;

    const READY: Ready = Ready { words: "attached", settle: Duration::ZERO };

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_tracer_is_waited_for_and_ended_by_an_interrupt() {
        let script = "trap 'echo lost 3; exit 0' INT; echo attached >&2; while :; do sleep 0.01; done";
        let running = Running::start(shell(script), &READY).unwrap();
        let stopped = running.stop().unwrap();
        assert!(stopped.status.success());
        assert!(stopped.printed.contains(&"lost 3".to_owned()), "{stopped:?}");
    }

    #[test]
    fn a_tracer_that_ends_early_says_why() {
        let Err(error) = Running::start(shell("echo no BTF here >&2; exit 1"), &READY) else {
            unreachable!("it never said that it was attached")
        };
        assert!(format!("{error:#}").contains("no BTF here"), "{error:#}");
    }

    #[test]
    fn ticks_are_read_past_any_name() {
        let stat = "77 (a) b) S 1 70 70 0 -1 4194560 1 0 0 0 12 30 0 0 20 0 1 0 5 6 7";
        assert_eq!(group_and_ticks(stat), Some((70, 42)));
        assert_eq!(group_and_ticks("77 (cut"), None);
    }
}
