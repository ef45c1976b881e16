//! `run`, `watch` and `record`.
use std::{
    io::Write,
    path::Path,
    sync::mpsc::{Receiver, Sender, channel},
    thread::JoinHandle,
};

use anyhow::{Context as _, anyhow};
use probe_common::{suite::TestSign, task::MarkerKind};
use probe_record::{
    file::TMP_SUFFIX,
    session::{HookState, SessionEnd},
    stream::{BatchReceiver, Source as _},
    why,
};
use tokio::sync::Notify;

use super::{
    beats::Beats,
    books::Books,
    bring_up::{self, Attached, bring_up, places},
    commands::Commands,
    consume::{self, Announcer},
    exit::{self, ExitStatus},
    facts,
    flight::FlightRecorder,
    metrics::Metrics,
    names,
    pieces::{self, Pieces, Written},
    plan::{CapturePlan, Goal, ReportPlan, SessionPlan, Until},
    rights, status_line,
    trace::{Tracer, Tracing},
    waiter::{Ended, SessionWaiter},
    watching::Watching,
};
use crate::{
    attribution::Observer,
    capture::{LiveCapture, LiveOptions, Namer},
    format,
    kernel::rights::Rights,
    report::{
        model::Report,
        ndjson::{LineWriter, StreamLine},
        output::{Format, Output, PatientStdout, Target},
        text::Detail,
    },
};

/// Most batches between ring and books: 256 KiB each.
const DEPTH: usize = 32;
/// Most inodes that one audit reads.
const AUDIT_INODES: usize = 20_000;

const ROOT: &str = "/";

/// Attaches, waits, reports.
///
/// # Errors
/// One sentence.
pub fn live(plan: &SessionPlan, capture: CapturePlan, until: &Until) -> anyhow::Result<ExitStatus> {
    check_outputs(plan)?;
    bring_up::check(Path::new(ROOT))?;
    let (ring_bytes, fstests) = (capture.ring_bytes, capture.fstests);
    let symbols = names::Symbols::of(Path::new(ROOT));
    let mut attached = bring_up(Path::new(ROOT), capture, &plan.filter, &symbols, plan.verbosity)?;
    if let Until::Command(command) = until {
        attached.header.command = command.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    }
    let waiter = SessionWaiter::new()?;
    let enough = waiter.enough();
    let announcement = attached_line(plan, &attached);
    let (signs, inbox) = if fstests { Some(channel()).unzip() } else { (None, None) };
    let ring = rights::of_ring(&attached.probe, false);
    let (capture, receiver) = start(attached, symbols.namer(), ring_bytes, signs, ring)?;
    let rights = rights::of_others(plan);
    if rights::starts_commands(plan) {
        rights.keep_in_effect();
    } else {
        rights.keep();
    }
    let observer = inbox.map(|inbox| observe(&capture, inbox, rights)).transpose()?;
    // If a file cannot be made, say so before the command runs.
    let (writer, flight) = match &plan.goal {
        Goal::Record(plan) => (Some(Pieces::new(plan, receiver.header())?), None),
        Goal::Watch { beside, .. } => {
            let keep = beside.keep.as_ref().map(|keep| FlightRecorder::new(keep, receiver.header()));
            (None, keep.transpose()?)
        }
        _ => (None, None),
    };
    let commands = match &plan.goal {
        Goal::Watch { beside, .. } => Commands::start(&beside.on)?,
        _ => None,
    };
    if !matches!(until, Until::Command(_)) {
        // The threads of commands are there.
        rights.keep();
    }
    let metrics = match &plan.goal {
        Goal::Watch { beside, .. } => {
            beside.metrics.as_ref().map(|metrics| Metrics::start(metrics, capture.sampler())).transpose()?
        }
        _ => None,
    };
    say(&announcement);
    let ask_levels = capture.leveller();
    let until = until.clone();
    // If the waiter fails (a command that cannot be started), the stream is ended all the same.
    let waiter = spawn("probe-waiter", move || {
        let ended = conduct(&capture, waiter, &until);
        // Notes on the tests come before the end of the stream.
        if let Some(observer) = observer {
            observer.close();
        }
        finish(&capture, ended.as_ref().ok());
        capture.join();
        ended
    })?;
    rights.keep();
    match writer {
        Some(writer) => record(writer, receiver, waiter, &enough),
        None => consume(plan, receiver, waiter, &enough, Beside { flight, metrics, commands }, ask_levels),
    }
}

/// Starts to drain the ring of an attached probe. The namer's symbols are read before the hooks go on, see
/// [`names::Symbols`]. The draining thread keeps `rights`.
pub(super) fn start(
    attached: Attached,
    namer: Namer,
    ring_bytes: u32,
    signs: Option<Sender<TestSign>>,
    rights: Rights,
) -> anyhow::Result<(LiveCapture, BatchReceiver)> {
    let Attached { probe, header } = attached;
    let options = LiveOptions {
        depth: DEPTH,
        namer,
        ring_bytes: usize::try_from(ring_bytes).unwrap_or(usize::MAX),
        audit_inodes: AUDIT_INODES,
        root: ROOT.into(),
        rights,
        signs,
    };
    Ok(LiveCapture::start(probe, header, options)?)
}

/// Follows the tests of a test suite.
pub(super) fn observe(
    capture: &LiveCapture,
    signs: Receiver<TestSign>,
    rights: Rights,
) -> anyhow::Result<Observer> {
    Observer::start(signs, capture.noter(), capture.follower(), ROOT.into(), rights)
        .context("cannot make a thread")
}

/// Ends the stream with what is known of the session's end.
pub(super) fn finish(capture: &LiveCapture, ended: Option<&Ended>) {
    capture.stop(SessionEnd {
        command_status: ended.and_then(Ended::command_status),
        filesystems: places(Path::new(ROOT)),
        ..SessionEnd::default()
    });
}

pub(super) fn spawn<T: Send + 'static>(
    name: &str,
    body: impl FnOnce() -> T + Send + 'static,
) -> anyhow::Result<JoinHandle<T>> {
    std::thread::Builder::new().name(name.to_owned()).spawn(body).context("cannot make a thread")
}

/// Checks before the capture, not after it, that the reports can be written.
pub(super) fn check_outputs(plan: &SessionPlan) -> anyhow::Result<()> {
    if let Goal::Report(report) | Goal::Watch { report, .. } = &plan.goal {
        for output in &report.outputs {
            output.check()?;
        }
    }
    if let Goal::Record(record) = &plan.goal
        && let Some(there) = pieces::taken(record)
    {
        anyhow::bail!(
            "{} is there already: move it away, or choose another name with -o",
            why::shown(&there)
        );
    }
    Ok(())
}

/// The line to print when the hooks are on and signals are caught: the caller may begin now.
pub(super) fn attached_line(plan: &SessionPlan, attached: &Attached) -> String {
    let on = attached.header.hooks.iter().filter(|row| row.state == HookState::Attached).count();
    let all = attached.header.hooks.len();
    let end = match &plan.source {
        crate::session::plan::StreamFrom::Live { until: Until::Signal, .. } => {
            "; Ctrl-C ends the capture and writes the report"
        }
        _ => "",
    };
    let mut text = format!("btrfs-probe: attached, {on} of {all} hooks{end}\n");
    if let Goal::Record(record) = &plan.goal
        && plan.verbosity > 0
    {
        let name = why::shown(&record.file);
        let nth = if record.rotate.is_some() { ".0001" } else { "" };
        text.push_str(&format!(
            "btrfs-probe: until it is whole the recording is {name}{nth}{TMP_SUFFIX}; if this session is killed, read that file\n"
        ));
    }
    if attached.header.filesystems.is_empty() {
        text.push_str("btrfs-probe: no btrfs is mounted yet\n");
    }
    text
}

/// Writes to standard error; a failure is ignored.
pub(super) fn say(text: &str) {
    status_line::say(text);
}

fn conduct(capture: &LiveCapture, waiter: SessionWaiter, until: &Until) -> anyhow::Result<Ended> {
    match until {
        Until::Command(command) => {
            let ended = waiter.command(command, || capture.marker(MarkerKind::CommandStart, ""));
            capture.marker(MarkerKind::CommandEnd, "");
            ended
        }
        Until::Elapsed(time) => Ok(waiter.elapsed(Some(*time))),
        Until::Signal => Ok(waiter.elapsed(None)),
    }
}

/// Writes the stream to its file or files.
fn record(
    pieces: Pieces,
    mut receiver: BatchReceiver,
    waiter: JoinHandle<anyhow::Result<Ended>>,
    enough: &Notify,
) -> anyhow::Result<ExitStatus> {
    let Written { last, files, removed } = pieces.write(&mut receiver, enough)?;
    let ended = joined(waiter)?;
    let status = &last.status;
    let name = last.path.display();
    let mut text = match &status.stopped {
        None => format!("{} records in {name}", status.records),
        Some(why) => {
            let rest = match status.lost {
                0 => "its end".to_owned(),
                lost => format::counted(lost, "record"),
            };
            format!("{name} holds the first {} records; {rest} could not be written: {why}", status.records)
        }
    };
    if let [first, _, ..] = files.as_slice() {
        let removed = if removed > 0 { format!(", older ones removed: {removed}") } else { String::new() };
        text = format!("{text}; {} files from {} on{removed}", files.len(), first.display());
    }
    let _ = std::io::stderr().write_all(format!("btrfs-probe: {text}\n").as_bytes());
    let full = status.stopped.is_some();
    let status = ended.command.map_or(0, exit::command_status);
    Ok(match status {
        _ if full => ExitStatus::Failed,
        0 => ExitStatus::Clean,
        status => ExitStatus::Command(status),
    })
}

/// What `watch` does beside the books.
struct Beside {
    flight: Option<FlightRecorder>,
    metrics: Option<Metrics>,
    commands: Option<Commands>,
}

/// Consumes the stream to its end and delivers what was asked for.
fn consume(
    plan: &SessionPlan,
    mut receiver: BatchReceiver,
    waiter: JoinHandle<anyhow::Result<Ended>>,
    enough: &Notify,
    beside: Beside,
    ask_levels: impl Fn() + 'static,
) -> anyhow::Result<ExitStatus> {
    match &plan.goal {
        // It has a writer, and goes to `record`.
        Goal::Record(_) => anyhow::bail!("there is no recording to write to"),
        Goal::Report(report) => {
            // Prints nothing, but keeps the files beside the results of tests.
            let watching = Watching::new(Announcer::new(false, false), report, enough, None, None);
            let mut tracer = Tracer::wanted(report, receiver.header());
            let watching = Tracing { tracer: tracer.as_mut(), other: watching };
            let books = consume::into_books(&mut receiver, watching);
            let ended = joined(waiter)?;
            deliver(report, &receiver, &books, tracer, &ended, false)
        }
        Goal::Watch { report, beside: plan } => {
            let Beside { flight, metrics, mut commands } = beside;
            let lines = has(report, Format::Ndjson, &Target::Stdout);
            let words = !lines && report.style.detail != Detail::Brief;
            let status = report.style.detail != Detail::Brief && status_line::is_possible();
            let beats = Beats::new(plan.heartbeat.filter(|_| lines), status, ask_levels);
            let watching = Watching::new(Announcer::new(lines, words), report, enough, flight, beats)
                .with_metrics(metrics)
                .with_commands(commands.as_mut());
            let mut tracer = Tracer::wanted(report, receiver.header());
            let watching = Tracing { tracer: tracer.as_mut(), other: watching };
            let books = consume::into_books(&mut receiver, watching);
            let ended = joined(waiter)?;
            let delivered = deliver(report, &receiver, &books, tracer, &ended, lines);
            // Behind the report, which does not wait for them.
            if let Some(commands) = commands {
                commands.close();
            }
            delivered
        }
    }
}

fn joined(waiter: JoinHandle<anyhow::Result<Ended>>) -> anyhow::Result<Ended> {
    waiter.join().map_err(|_| anyhow!("the session's waiter ended by a defect"))?
}

fn has(plan: &ReportPlan, format: Format, target: &Target) -> bool {
    plan.outputs.iter().any(|output| output.format == format && output.target == *target)
}

/// Writes the reports of a live session. `streamed`: the lines before the last are on standard output already.
pub(super) fn deliver(
    plan: &ReportPlan,
    receiver: &BatchReceiver,
    books: &Books,
    tracer: Option<Tracer>,
    ended: &Ended,
    streamed: bool,
) -> anyhow::Result<ExitStatus> {
    let report =
        facts::report(receiver.header(), receiver.end(), books.all_doubts(receiver), books, &plan.policy);
    write(plan, &report, tracer, streamed)?;
    let verdict = report.verdict.0;
    Ok(match ended.command {
        Some(status) => ExitStatus::after_command(verdict, exit::command_status(status)),
        None => ExitStatus::of(verdict),
    })
}

/// Writes a report to all outputs; one that fails does not keep the others from being written.
pub(super) fn write(
    plan: &ReportPlan,
    report: &Report,
    tracer: Option<Tracer>,
    streamed: bool,
) -> anyhow::Result<()> {
    let timeline = tracer.map(Tracer::into_timeline).unwrap_or_default();
    let mut failed = None;
    for output in &plan.outputs {
        let Output { format, target } = output;
        let result = if streamed && *format == Format::Ndjson && *target == Target::Stdout {
            let last = StreamLine::Report(Box::new(report.clone()));
            match LineWriter::new(PatientStdout::default()).line(&last) {
                Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
                    Err(anyhow!("cannot write to standard output: {}", why::unwritten(&error)))
                }
                _ => Ok(()),
            }
        } else {
            output.write_with(report, plan.style, &timeline).map_err(Into::into)
        };
        match (result, &failed) {
            (Ok(()), _) => {}
            (Err(error), None) => failed = Some(error),
            // The first one ends the program; nobody would hear of the others.
            (Err(error), Some(_)) => log::warn!("{}", why::chain(error.as_ref())),
        }
    }
    failed.map_or(Ok(()), Err)
}
