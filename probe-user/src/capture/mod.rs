//! The live source: one thread that drains the ring, asks for audits, samples losses and names addresses.
//!
//! Everything that a consumer could want to know goes into the stream, so that a recording of it says the same.
//! The ring is polled on a timer and never wakes anybody: a wake-up per record would cost more than the record.
mod audit;
mod filesystems;
mod gauges;
mod looks;
mod thread;
mod waits;

use std::{
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread::JoinHandle,
    time::Duration,
};

use probe_common::{
    suite::{TestNote, TestSign},
    task::MarkerKind,
};
use probe_record::{
    session::{SessionEnd, SessionHeader, SymbolRow},
    stream::{BatchReceiver, channel},
};

pub use self::gauges::{Gauges, HookGauge};
use crate::{
    hooks::{AttachError, Probe},
    kernel::rights::Rights,
};

/// Names addresses of kernel text. Called for each address once.
pub type Namer = Box<dyn Fn(u64) -> SymbolRow + Send>;

/// What the capture thread is asked to do.
enum Request {
    Marker(MarkerKind, String),
    Note(Box<TestNote>),
    Follow { pid: u32, done: SyncSender<()> },
    Audit,
    Levels { inodes: bool },
    Gauges { timed: bool, answer: SyncSender<Gauges> },
    Stop(Box<SessionEnd>),
}

/// How a live capture is run.
pub struct LiveOptions {
    /// Batches under way between the ring and the consumer.
    pub depth: usize,
    /// Names addresses.
    pub namer: Namer,
    /// Bytes of the ring.
    pub ring_bytes: usize,
    /// Most inodes that one audit reads.
    pub audit_inodes: usize,
    /// Where `/sys` is.
    pub root: std::path::PathBuf,
    /// What the thread keeps of our rights.
    pub rights: Rights,
    /// Receives the signs of tests too, if somebody follows them.
    pub signs: Option<std::sync::mpsc::Sender<TestSign>>,
}

/// A running live capture. Dropping it without [`LiveCapture::stop`] ends the stream without a session end.
#[derive(Debug)]
pub struct LiveCapture {
    requests: SyncSender<Request>,
    thread: JoinHandle<()>,
}

impl LiveCapture {
    /// Begins to drain the ring of an attached probe. The stream starts with what is in the ring already, then comes the
    /// marker `Attached`.
    ///
    /// # Errors
    /// The ring was taken already, or no thread can be made.
    pub fn start(
        mut probe: Probe,
        header: SessionHeader,
        options: LiveOptions,
    ) -> Result<(Self, BatchReceiver), AttachError> {
        let ring = probe.take_ring()?;
        let diagnostics = probe.take_diagnostics()?;
        let (sender, receiver) = channel(header, options.depth);
        // Bounded, so that a caller cannot pile up requests on a stream that nobody consumes.
        let (requests, inbox): (_, Receiver<Request>) = sync_channel(8);
        let thread = std::thread::Builder::new()
            .name("probe-ring".to_owned())
            .spawn(move || {
                options.rights.keep();
                thread::Drain::new(probe, ring, diagnostics, sender, options).run(&inbox);
            })
            .map_err(|_| AttachError::Missing("thread for its ring"))?;
        Ok((Self { requests, thread }, receiver))
    }

    /// Puts a marker into the stream.
    pub fn marker(&self, kind: MarkerKind, text: &str) {
        let _ = self.requests.send(Request::Marker(kind, text.to_owned()));
    }

    /// Returns a function that puts notes on tests into the stream.
    pub fn noter(&self) -> impl Fn(TestNote) + Send + use<> {
        let requests = self.requests.clone();
        move |note| {
            let _ = requests.send(Request::Note(Box::new(note)));
        }
    }

    /// Asks for a sign when a process ends that was executed before the hooks were on. Returns when its end will be signed, or
    /// after two seconds: the capture is not free to answer while nobody consumes the stream.
    pub fn follower(&self) -> impl Fn(u32) + Send + use<> {
        let requests = self.requests.clone();
        move |pid| {
            let (done, answer) = sync_channel(1);
            if requests.send(Request::Follow { pid, done }).is_ok() {
                let _ = answer.recv_timeout(Duration::from_secs(2));
            }
        }
    }

    /// Asks for an audit of all filesystems that are followed.
    pub fn audit(&self) {
        let _ = self.requests.send(Request::Audit);
    }

    /// Asks for the levels of the pools of all filesystems that are followed, and for what is dirty in their inodes, as far as that is
    /// cheap. Skipped while the capture is busy.
    pub fn levels(&self) {
        let _ = self.requests.try_send(Request::Levels { inodes: true });
    }

    /// Returns a function that asks for the levels of the pools alone. It costs next to nothing.
    pub fn leveller(&self) -> impl Fn() + Send + use<> {
        let requests = self.requests.clone();
        move || {
            let _ = requests.try_send(Request::Levels { inodes: false });
        }
    }

    /// Asks for the counters of the capture; `answer` gets them when there is time. `timed`: the kernel measures the run
    /// time of our programs, which costs some tens of ns per run, until a request without `timed`.
    pub fn gauges(&self, timed: bool, answer: SyncSender<Gauges>) {
        let _ = self.requests.try_send(Request::Gauges { timed, answer });
    }

    /// Returns a function that asks for the levels of the pools and for the counters, which it sends to its argument.
    pub fn sampler(&self) -> impl Fn(SyncSender<Gauges>) + Send + use<> {
        let requests = self.requests.clone();
        move |answer| {
            let _ = requests.try_send(Request::Levels { inodes: false });
            let _ = requests.try_send(Request::Gauges { timed: false, answer });
        }
    }

    /// Asks for audits from elsewhere, for example from a workload at its quiet points.
    pub fn auditor(&self) -> impl Fn() + Send + use<> {
        let requests = self.requests.clone();
        move || {
            let _ = requests.send(Request::Audit);
        }
    }

    /// Audits, detaches, drains what is left and ends the stream with `end`, completed by counts and losses.
    ///
    /// The stream must be consumed meanwhile: wait for its end, then [`LiveCapture::join`].
    pub fn stop(&self, end: SessionEnd) {
        let _ = self.requests.send(Request::Stop(Box::new(end)));
    }

    /// Waits until the capture thread is done.
    pub fn join(self) {
        if self.thread.join().is_err() {
            log::error!("the capture thread ended by a defect; what it had captured is kept");
        }
    }
}

/// Longest pause between two reads of an idle ring.
const IDLE: Duration = Duration::from_millis(10);
/// Pause between two reads of a busy ring.
const BUSY: Duration = Duration::from_millis(2);
