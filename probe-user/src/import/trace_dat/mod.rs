//! Reads trace.dat of trace-cmd, versions 6 and 7, in bounded memory: each event becomes what its line of `trace-cmd report` would be.
//!
//! Nothing in the file is believed: what it says is long is read as far as it is there, and what does not fit is an error, or a
//! loss where only events are missing. The numbers of lines are those of `trace-cmd report`.
//!
//! Each uses only those before it: `error`, `bytes`, `unpack`, `page` (a page of the ring), `token`, `print` and `format` (how an event
//! is printed), `render`, `contents` (all but the events), `cpu`, `merge`.
pub mod bytes;
pub mod contents;
pub mod cpu;
pub mod error;
pub mod format;
pub mod merge;
pub mod page;
pub mod print;
pub mod render;
pub mod token;
pub mod unpack;

use std::{
    io::{Read, Seek},
    ops::ControlFlow,
};

use self::{
    bytes::Reader,
    contents::{Buffer, Contents},
    error::DatError,
    merge::{Happened, events},
    render::render,
};
use super::{line::Line, seen::Seen};

#[cfg(test)]
mod tests;

/// Takes the events of a trace.dat. Returns the names of instances whose events were left out: an instance is a trace of its own, and
/// may have the same events again.
///
/// # Errors
/// It cannot be read.
pub fn read(file: impl Read + Seek, seen: &mut Seen) -> Result<Vec<String>, DatError> {
    let mut file = Reader::new(file);
    let contents = Contents::read(&mut file)?;
    let with_events = match &*contents.buffers {
        [one] => vec![one],
        buffers => {
            let mut with = Vec::new();
            for buffer in buffers {
                if has_events(&mut file, &contents, buffer)? {
                    with.push(buffer);
                }
            }
            with
        }
    };
    // `cpus=2`
    seen.other();
    let Some((buffer, others)) = with_events.split_first() else { return Ok(Vec::new()) };
    let in_ns = contents.in_ns(buffer);
    events(&mut file, &contents, buffer, |happened| {
        match happened {
            Happened::Lost(cpu, Some(events)) => seen.line(&format!("CPU:{cpu} [{events} EVENTS DROPPED]")),
            Happened::Lost(cpu, None) => seen.line(&format!("CPU:{cpu} [EVENTS DROPPED]")),
            Happened::Event(cpu, time, record) => {
                event(&contents, record, seen, cpu, in_ns.then_some(time));
            }
        }
        ControlFlow::Continue(())
    })?;
    Ok(others.iter().map(|buffer| buffer.name.clone()).collect())
}

/// Whether a buffer has an event of btrfs.
fn has_events<R: Read + Seek>(
    file: &mut Reader<R>,
    contents: &Contents,
    buffer: &Buffer,
) -> Result<bool, DatError> {
    let mut has = false;
    events(file, contents, buffer, |happened| match happened {
        Happened::Event(_, _, record) if format_of(contents, record).is_some() => {
            has = true;
            ControlFlow::Break(())
        }
        _ => ControlFlow::Continue(()),
    })?;
    Ok(has)
}

fn format_of<'a>(contents: &'a Contents, record: &[u8]) -> Option<&'a format::Format> {
    // `common_type` is the first field of every record.
    let id = contents.order.at(record, 0, 2)?;
    contents.formats.get(&u16::try_from(id).ok()?)
}

fn event(contents: &Contents, record: &[u8], seen: &mut Seen, cpu: u32, time: Option<u64>) {
    let Some(format) = format_of(contents, record) else { return seen.other() };
    // What cannot be printed has no fields, and is one that is not understood.
    let fields = render(format, record, contents.order).unwrap_or_default();
    let tid = format.number("common_pid", record, contents.order).unwrap_or_default() as u32;
    let comm = match (tid, contents.names.get(&tid)) {
        (0, _) => "<idle>",
        (_, Some(name)) => name,
        (_, None) => "<...>",
    };
    seen.event_of(&Line { comm, tid, cpu, time, event: &format.name, fields: fields.trim() });
}
