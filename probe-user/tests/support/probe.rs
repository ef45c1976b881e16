//! The program under test, run as a person would: its exit status, what it printed, and its JSON report.
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sys::signal::{SigHandler, Signal, kill, signal};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

/// Long enough for any session of these tests on a machine that does other things too.
fn patience() -> Duration {
    super::deadline(90)
}

/// The program: the one that was built with the test, or the one that `BTRFS_PROBE_BIN` names.
pub fn program() -> PathBuf {
    std::env::var_os("BTRFS_PROBE_BIN")
        .map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_btrfs-probe")), PathBuf::from)
}

/// Ring for a test that demands that nothing is lost: unoptimised books cannot follow a full load at its own pace.
pub const RING: &str = if cfg!(debug_assertions) { "256M" } else { "64M" };

/// How a run of the program ended.
#[derive(Debug)]
pub struct Done {
    /// Exit code, or 128 and the signal.
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
    /// The JSON report, if one was written.
    pub report: Option<Value>,
}

impl Done {
    /// The JSON report.
    pub fn report(&self) -> &Value {
        self.report.as_ref().unwrap_or_else(|| panic!("no report was written: {self:?}"))
    }

    /// A failure of the tool: status 1 and one sentence, which is returned.
    pub fn one_sentence(&self) -> &str {
        assert_eq!(self.code, 1, "{self:?}");
        assert!(self.report.is_none(), "{self:?}");
        let text = self.stderr.trim_end();
        assert!(text.starts_with("btrfs-probe: ") && !text.contains('\n'), "{self:?}");
        text
    }
}

/// A run of the program that has not ended.
#[derive(Debug)]
pub struct Session {
    child: Child,
    json: PathBuf,
    _folder: TempDir,
    lines: Receiver<String>,
    seen: Vec<String>,
    stdout: Option<JoinHandle<String>>,
    stderr: Option<JoinHandle<()>>,
}

/// The command for a run with a JSON report; `arguments` begin with the subcommand. `BTRFS_PROBE_TEST_TIER` is the tier
/// of those that name none.
pub fn command<S: AsRef<OsStr>>(arguments: &[S], json: &std::path::Path) -> Command {
    let mut command = Command::new(program());
    let (subcommand, rest) = arguments.split_first().expect("a subcommand");
    command.arg(subcommand);
    if !["record", "doctor"].map(OsStr::new).contains(&subcommand.as_ref()) {
        command.arg("--format").arg(format!("json={}", json.display()));
    }
    if let Some(tier) = std::env::var_os("BTRFS_PROBE_TEST_TIER")
        && ["run", "watch", "record"].map(OsStr::new).contains(&subcommand.as_ref())
        && !rest.iter().any(|argument| argument.as_ref() == "--tier")
    {
        command.arg("--tier").arg(tier);
    }
    command.args(rest).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // SAFETY: signal(2) is async-signal-safe; a test runner started in the background has SIGINT ignored.
    unsafe { command.pre_exec(|| Ok(signal(Signal::SIGINT, SigHandler::SigDfl).map(drop)?)) };
    command
}

/// Starts the program.
pub fn start<S: AsRef<OsStr>>(arguments: &[S]) -> Session {
    start_with(arguments, |_| {})
}

/// Starts the program after a last change to the command.
pub fn start_with<S: AsRef<OsStr>>(arguments: &[S], change: impl FnOnce(&mut Command)) -> Session {
    let folder = tempfile::tempdir().expect("temp folder");
    let json = folder.path().join("report.json");
    let mut command = command(arguments, &json);
    change(&mut command);
    let mut child = command.spawn().expect("the program starts");
    let stdout = child.stdout.take().map(|pipe| std::thread::spawn(move || read_all(pipe)));
    let (sender, lines) = channel();
    let stderr = child.stderr.take().map(|pipe: ChildStderr| {
        std::thread::spawn(move || {
            for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        })
    });
    Session { child, json, _folder: folder, lines, seen: Vec::new(), stdout, stderr }
}

/// Starts the program and waits until its hooks are on.
pub fn attached<S: AsRef<OsStr>>(arguments: &[S]) -> Session {
    let mut session = start(arguments);
    session.wait_for("attached,");
    session
}

/// Runs the program to its end.
pub fn run<S: AsRef<OsStr>>(arguments: &[S]) -> Done {
    start(arguments).finish()
}

fn read_all(mut pipe: ChildStdout) -> String {
    let mut bytes = Vec::new();
    let _ = pipe.read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

impl Session {
    /// Process id of the program.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for a line on standard error that contains `text`.
    pub fn wait_for(&mut self, text: &str) {
        let start = Instant::now();
        loop {
            match self.lines.recv_timeout(patience().saturating_sub(start.elapsed())) {
                Ok(line) => {
                    self.seen.push(line);
                    if self.seen.last().is_some_and(|line| line.contains(text)) {
                        return;
                    }
                }
                Err(RecvTimeoutError::Timeout) => panic!("`{text}` never came: {:?}", self.seen),
                Err(RecvTimeoutError::Disconnected) => {
                    panic!("it ended without `{text}`: {:?}", self.seen)
                }
            }
        }
    }

    /// Whether a line on standard error contained `text` up to now.
    pub fn said(&mut self, text: &str) -> bool {
        self.seen.extend(self.lines.try_iter());
        self.seen.iter().any(|line| line.contains(text))
    }

    /// Sends a signal.
    pub fn signal(&self, wanted: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), wanted).expect("it runs");
    }

    /// Ends it as Ctrl-C does, and waits.
    pub fn interrupt(self) -> Done {
        self.signal(Signal::SIGINT);
        self.finish()
    }

    /// Waits for its end.
    pub fn finish(mut self) -> Done {
        let start = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("a child of ours") {
                break status;
            }
            assert!(start.elapsed() < patience(), "it does not end: {:?}", self.seen);
            std::thread::sleep(Duration::from_millis(5));
        };
        let stdout = self.stdout.take().map_or_else(String::new, |thread| thread.join().expect("stdout"));
        if let Some(thread) = self.stderr.take() {
            thread.join().expect("stderr");
        }
        self.seen.extend(self.lines.try_iter());
        let report = std::fs::read(&self.json)
            .ok()
            .map(|bytes| serde_json::from_slice(&bytes).expect("the report is JSON"));
        Done {
            code: status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0)),
            stdout,
            stderr: self.seen.join("\n"),
            report,
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // A test that failed in the middle.
        if let Ok(None) = self.child.try_wait() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// A number in a report; missing is a failure of the test.
pub fn number(value: &Value) -> i64 {
    value.as_i64().unwrap_or_else(|| panic!("not a number: {value}"))
}

/// The entries of a list in a report.
pub fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_else(|| panic!("not a list: {value}"))
}

/// All lives of filesystem `uuid` in the report, in the order met.
pub fn lives<'a>(report: &'a Value, uuid: &str) -> Vec<&'a Value> {
    list(&report["filesystems"]).iter().filter(|fs| fs["uuid"] == uuid).collect()
}

/// What must hold on a correct kernel, whatever the load was: no finding, no broken chain, and where the books could be
/// compared with sysfs, they agree.
pub fn assert_silent(report: &Value) {
    assert_silent_but_for(report, |_| false);
}

/// [`assert_silent`] for loads that break chains of these accounts: the report counts the breaks and is not clean then.
pub fn assert_silent_but_for(report: &Value, broken_by_load: impl Fn(&str) -> bool) {
    let findings = list(&report["findings"]);
    assert!(
        findings.is_empty(),
        "FALSE ALARM: {}\nreasons {}",
        serde_json::to_string_pretty(findings).unwrap_or_default(),
        report["verdict_reasons"]
    );
    for fs in list(&report["filesystems"]) {
        for chain in list(&fs["chains"]) {
            if chain["breaks"] != 0 {
                let account = chain["account"].as_str().unwrap_or_default();
                assert!(broken_by_load(account), "{chain}");
                assert_eq!(report["verdict"], "inconclusive", "{chain}");
            }
        }
        assert_eq!(fs["audit"]["compared"], fs["audit"]["equal"], "{}", fs["audit"]);
    }
}

/// True on 7.0 and later, where programs of tracepoints can be preempted.
pub fn preempts_programs(report: &Value) -> bool {
    let release = report["kernel"]["release"].as_str().unwrap_or_default();
    release.split('.').next().and_then(|major| major.parse::<u32>().ok()).unwrap_or(0) >= 7
}

/// True if the kernel skipped programs that were preempted, and nothing else stands against a clean verdict: an emulated
/// machine that has more to do than it can preempts a lot of them.
pub fn skipped_by_the_kernel(report: &Value) -> bool {
    preempts_programs(report)
        && report["verdict"] == "inconclusive"
        && number(&report["loss"]["by_class"]["recursion"]) > 0
        && other_reasons(report).is_empty()
}

/// Reasons of the verdict but for programs that this kernel skipped because they were preempted.
pub fn other_reasons(report: &Value) -> Vec<&str> {
    let skipped = |text: &str| {
        ["were skipped because", "had changed where records were lost", "dropped because a loss"]
            .iter()
            .any(|consequence| text.contains(consequence))
    };
    let preempts = preempts_programs(report);
    let reasons = list(&report["verdict_reasons"]).iter().filter_map(Value::as_str);
    reasons.filter(|reason| !(preempts && skipped(reason))).collect()
}

/// [`assert_silent`], nothing lost, and so the verdict `clean`.
pub fn assert_clean(done: &Done) {
    let report = done.report();
    assert_silent(report);
    assert_eq!(report["loss"]["records"], 0, "{}", report["loss"]);
    if skipped_by_the_kernel(report) {
        assert_eq!(done.code, 4, "{}", done.stderr);
        println!("NOTE: {}", report["verdict_reasons"]);
        return;
    }
    assert_eq!(report["verdict"], "clean", "{}", report["verdict_reasons"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
}
