//! Follows the signs of tests and writes notes on what is known of each test.
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    thread::JoinHandle,
    time::{Duration, Instant, SystemTime},
};

use probe_common::{
    header::Header,
    suite::{NOTE_TEXT, NoteKind, SignKind, TestNote, TestSign},
};

use super::{
    process,
    results::{self, TestResult},
    sign,
};
use crate::kernel::{clock::monotonic_ns as now, rights::Rights};

/// How often we check for what no sign shows: results, and runs that are over.
const CHECK_EVERY: Duration = Duration::from_millis(100);
/// Longest wait for the first search for tests that already run.
const FIRST_LOOK: Duration = Duration::from_secs(5);
/// In ns. A script that starts so long after an announcement belongs to another test of the same name.
const ANNOUNCED_NS: u64 = 120_000_000_000;

/// The thread that follows signs. Ended by [`Observer::close`].
#[derive(Debug)]
pub struct Observer {
    end: Sender<()>,
    thread: JoinHandle<()>,
}

impl Observer {
    /// Follows `signs`. Returns when it knows the tests that already run, so that one that ends right after is not missed.
    /// `note` gets the notes; `follow` gets the processes whose end should give a sign. `root` is
    /// where `/proc` is; the thread keeps `rights`.
    ///
    /// # Errors
    /// No thread can be made.
    pub fn start(
        signs: Receiver<TestSign>,
        note: impl Fn(TestNote) + Send + 'static,
        follow: impl Fn(u32) + Send + 'static,
        root: PathBuf,
        rights: Rights,
    ) -> std::io::Result<Self> {
        let (end, ending) = channel();
        let (ready, begun) = channel();
        let thread = std::thread::Builder::new().name("probe-tests".to_owned()).spawn(move || {
            rights.keep();
            let mut book = Book::new(&note, &root);
            book.begun_before(&follow);
            let _ = ready.send(());
            let mut checked = Instant::now();
            while !matches!(ending.try_recv(), Ok(()) | Err(std::sync::mpsc::TryRecvError::Disconnected)) {
                match signs.recv_timeout(CHECK_EVERY) {
                    Ok(sign) => book.sign(&sign),
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => break,
                }
                if checked.elapsed() >= CHECK_EVERY {
                    checked = Instant::now();
                    book.check_processes();
                }
            }
            while let Ok(sign) = signs.try_recv() {
                book.sign(&sign);
            }
            book.close();
        })?;
        // Not for ever: the stream has no consumer yet, and a full load could fill it meanwhile.
        let _ = begun.recv_timeout(FIRST_LOOK);
        Ok(Self { end, thread })
    }

    /// Writes notes on the tests that are still open, and ends.
    pub fn close(self) {
        let _ = self.end.send(());
        if self.thread.join().is_err() {
            log::error!("the thread that follows tests ended by a defect");
        }
    }
}

/// A test that has begun.
#[derive(Debug)]
struct Open {
    test: u32,
    name: String,
    began_ns: u64,
    began: SystemTime,
    /// Process of its script; 0 until it is executed.
    pid: u32,
    status: Option<u32>,
    results: Option<PathBuf>,
    result: Option<TestResult>,
}

/// The open test of each run of the suite, and who gets the notes.
struct Book<'a, F> {
    note: &'a F,
    root: &'a Path,
    /// By process id of the run.
    open: BTreeMap<u32, Open>,
    /// The last script of each run, as far as it was read: the next script may end before it can be read.
    last: BTreeMap<u32, process::Script>,
    tests: u32,
    /// When the first search for running tests was over. Signs until then may belong to a test that it found, or that was
    /// over.
    checked: u64,
}

impl<'a, F: Fn(TestNote)> Book<'a, F> {
    const fn new(note: &'a F, root: &'a Path) -> Self {
        Self { note, root, open: BTreeMap::new(), last: BTreeMap::new(), tests: 0, checked: 0 }
    }

    /// Finds the tests that were running before the observer started.
    fn begun_before(&mut self, follow: &impl Fn(u32)) {
        // Before the search: a test that starts during it gives a sign.
        let since = now();
        for pid in process::scripts(self.root) {
            let script = process::read_script(self.root, pid);
            if let Some(name) = script.seqnum.clone() {
                follow(pid);
                self.executed(since, pid, &name, script);
            }
        }
        self.checked = now();
    }

    fn sign(&mut self, sign: &TestSign) {
        let (time, pid) = (sign.header.time, sign.pid);
        let text = text_of(&sign.text);
        if sign.what == SignKind::Console as u32 {
            if let Some(name) = sign::announced(&text).filter(|name| !self.is_known(time, pid, name)) {
                self.begin(time, pid, name);
            }
        } else if sign.what == SignKind::Exec as u32 {
            let script = process::read_script(self.root, pid);
            // A path that is too long is cut at its end, and then the environment has the name.
            if let Some(name) = sign::of_script(&text).or_else(|| script.seqnum.clone()) {
                self.executed(time, pid, &name, script);
            }
        } else if sign.what == SignKind::Exit as u32 {
            self.exited(time, pid, Some(sign.status));
        }
    }

    /// A sign that waited during the first search: it belongs to the test that was found, or to one before it.
    fn is_known(&self, time: u64, run: u32, name: &str) -> bool {
        self.open.get(&run).is_some_and(|open| {
            time <= open.began_ns || (time <= self.checked && open.pid != 0 && open.name == name)
        })
    }

    /// A run begins a test, so the test before it in this run has ended.
    fn begin(&mut self, time: u64, run: u32, name: &str) {
        self.end_of(run, time);
        self.tests += 1;
        let open = Open {
            test: self.tests,
            name: name.to_owned(),
            began_ns: time,
            began: SystemTime::now() - Duration::from_nanos(now().saturating_sub(time)),
            pid: 0,
            status: None,
            results: None,
            result: None,
        };
        self.tell(time, run, &open, NoteKind::Begin, name);
        self.open.insert(run, open);
    }

    fn executed(&mut self, time: u64, pid: u32, name: &str, script: process::Script) {
        let announced = |open: &Open| {
            open.pid == 0 && open.name == name && time.saturating_sub(open.began_ns) < ANNOUNCED_NS
        };
        // The run itself made the announcement; a script that has ended shows no parents.
        let own = |run: &u32| script.run == 0 || *run == script.run || script.ancestors.contains(run);
        let run = match self.open.iter().find(|(run, open)| announced(open) && own(run)) {
            Some((run, _)) => *run,
            // Then the run is known only if there is just one.
            _ if script.run == 0 && self.last.len() == 1 => *self.last.keys().next().unwrap_or(&0),
            // A run that was announced keeps its process id, whichever parent the script shows.
            _ => {
                let known = script.ancestors.iter().find(|pid| self.last.contains_key(pid));
                known.copied().unwrap_or(script.run)
            }
        };
        if !self.open.get(&run).is_some_and(announced) {
            let gone = script.run == 0 && time <= self.checked;
            if gone || self.is_known(time, run, name) {
                return;
            }
            self.begin(time, run, name);
        }
        let Some(mut open) = self.open.remove(&run) else { return };
        open.pid = pid;
        self.shown(time, run, &mut open, script);
        self.open.insert(run, open);
    }

    /// Notes what a script showed, completed.
    fn shown(&mut self, time: u64, run: u32, open: &mut Open, script: process::Script) {
        let script = self.completed(run, &open.name, script);
        let facts = [
            (NoteKind::Section, script.section),
            (NoteKind::Devices, Some(script.devices.join(" ")).filter(|list| !list.is_empty())),
            (NoteKind::Results, script.results.as_ref().map(|path| path.to_string_lossy().into_owned())),
            (NoteKind::Scope, script.scope),
        ];
        for (kind, text) in facts {
            if let Some(text) = text {
                self.tell(time, run, open, kind, &text);
            }
        }
        open.results = script.results;
    }

    /// A script that ended before or while it was read gets the devices and the folder of the script before it.
    fn completed(&mut self, run: u32, name: &str, mut script: process::Script) -> process::Script {
        if let Some(last) = self.last.get(&run) {
            if script.results.is_none() {
                let group = name.split('/').next().unwrap_or_default();
                script.results =
                    last.results.as_ref().and_then(|results| Some(results.parent()?.join(group)));
                script.section.clone_from(&last.section);
            }
            if script.devices.is_empty() {
                script.devices.clone_from(&last.devices);
            }
        }
        if script.results.is_some() {
            self.last.insert(run, script.clone());
        }
        script
    }

    fn exited(&mut self, time: u64, pid: u32, status: Option<u32>) {
        let Some((run, open)) = self.open.iter_mut().find(|(_, open)| open.pid == pid) else { return };
        let run = *run;
        if open.status.is_some() {
            return;
        }
        open.status = status;
        if let Some(status) = status {
            let header = Header { time, ..Header::default() };
            let mut exit = note_of(header, run, open.test, NoteKind::Exit, "");
            exit.status = status;
            (self.note)(exit);
        }
    }

    /// Checks for what no sign shows.
    fn check_processes(&mut self) {
        // A script may outlive the run that started it.
        let lives = |pid: u32| pid != 0 && process::lives(self.root, pid);
        let over: Vec<u32> = self
            .open
            .iter()
            .filter(|(run, open)| !lives(**run) && !lives(open.pid))
            .map(|(run, _)| *run)
            .collect();
        for run in over {
            self.end_of(run, now());
            self.last.remove(&run);
        }
        for open in self.open.values_mut() {
            // A failure mark can be short-lived: the next run of the same test removes it before the test is announced.
            if open.pid != 0 && (open.status.is_some() || !process::lives(self.root, open.pid)) {
                let found = result_of(open, false);
                let worse = found.as_ref().is_some_and(|found| found.word != "pass");
                if open.result.is_none() || worse {
                    open.result = found.or_else(|| open.result.take());
                }
            }
        }
    }

    fn end_of(&mut self, run: u32, time: u64) {
        let Some(mut open) = self.open.remove(&run) else { return };
        // The kernel refuses a script without `#!`, and the shell of `check` reads it: then no sign shows it.
        let unseen = open.pid == 0 && self.last.contains_key(&run);
        if unseen {
            self.shown(time, run, &mut open, process::Script::default());
        }
        if open.result.as_ref().is_none_or(|result| result.word == "pass") && (open.pid != 0 || unseen) {
            open.result = result_of(&open, true).or(open.result);
        }
        self.tell_result(time, run, &open);
        self.tell(time, run, &open, NoteKind::End, &open.name);
    }

    fn tell_result(&self, time: u64, run: u32, open: &Open) {
        if let Some(result) = &open.result {
            let text = match &result.reason {
                Some(reason) => format!("{}\n{reason}", result.word),
                None => result.word.to_owned(),
            };
            self.tell(time, run, open, NoteKind::Result, &text);
        }
    }

    /// Ends without noting an end of tests that still run.
    fn close(&mut self) {
        self.check_processes();
        for (run, open) in std::mem::take(&mut self.open) {
            self.tell_result(now(), run, &open);
        }
    }

    fn tell(&self, time: u64, run: u32, open: &Open, kind: NoteKind, text: &str) {
        let header = Header { time, ..Header::default() };
        (self.note)(note_of(header, run, open.test, kind, text));
    }
}

fn result_of(open: &Open, over: bool) -> Option<TestResult> {
    let number = open.name.rsplit('/').next().unwrap_or_default();
    results::read_result(open.results.as_deref(), number, open.status, open.began, over)
}

fn note_of(header: Header, run: u32, test: u32, kind: NoteKind, text: &str) -> TestNote {
    let mut note = TestNote { header, what: kind as u32, test, run, status: 0, text: [0; NOTE_TEXT] };
    let mut end = text.len().min(NOTE_TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    for (to, from) in note.text.iter_mut().zip(text.bytes().take(end)) {
        *to = from;
    }
    note
}

/// Text up to its first NUL, lossily decoded.
pub(super) fn text_of(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(bytes.get(..end).unwrap_or_default()).trim_end().to_owned()
}

#[cfg(test)]
mod tests;
