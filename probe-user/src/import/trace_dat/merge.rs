//! The events of all CPUs of a buffer, by time.
use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    io::{Read, Seek},
    ops::ControlFlow,
};

use super::{
    bytes::Reader,
    contents::{Buffer, Contents},
    cpu::{Cpu, Shape},
    error::DatError,
    page::Missed,
};

/// What happened next.
#[derive(Clone, Copy, Debug)]
pub enum Happened<'a> {
    /// Events of a CPU were lost before its next one.
    Lost(u32, Option<u64>),
    /// An event: CPU, time, record.
    Event(u32, u64, &'a [u8]),
}

/// Shows all events of a buffer until `show` has enough.
///
/// # Errors
/// The file cannot be read, or is not what it says.
pub fn events<R: Read + Seek>(
    file: &mut Reader<R>,
    contents: &Contents,
    buffer: &Buffer,
    mut show: impl FnMut(Happened<'_>) -> ControlFlow<()>,
) -> Result<(), DatError> {
    let length = file.length()?;
    let mut shape = Shape::of(contents, buffer, length)?;
    let mut cpus = Vec::new();
    let mut next = BinaryHeap::new();
    for data in &buffer.cpus {
        let mut cpu = Cpu::open(file, *data, buffer.packed)?;
        cpu.advance(file, &mut shape)?;
        // At the same time the first CPU is first.
        if let Some(head) = &cpu.head {
            next.push(Reverse((head.time, cpus.len())));
        } else if told(&mut cpu, &mut show).is_break() {
            return Ok(());
        }
        cpus.push(cpu);
    }
    while let Some(Reverse((time, at))) = next.pop() {
        let Some(cpu) = cpus.get_mut(at) else { continue };
        if told(cpu, &mut show).is_break() || show(Happened::Event(cpu.number, time, cpu.record())).is_break()
        {
            return Ok(());
        }
        cpu.advance(file, &mut shape)?;
        if let Some(head) = &cpu.head {
            next.push(Reverse((head.time, at)));
        } else if told(cpu, &mut show).is_break() {
            return Ok(());
        }
    }
    Ok(())
}

/// Tells what was lost before the next event of a CPU, once.
fn told(cpu: &mut Cpu, show: &mut impl FnMut(Happened<'_>) -> ControlFlow<()>) -> ControlFlow<()> {
    match std::mem::replace(&mut cpu.missed, Missed::No) {
        Missed::No => ControlFlow::Continue(()),
        Missed::Events(events) => show(Happened::Lost(cpu.number, events)),
    }
}
