//! The stream of records, from a live session or from a recording.
//!
//! The layers after `capture` see only a [`Source`]. It has no errors: what a source could not deliver is in the stream as a
//! [`probe_common::loss::LossSample`], at the place where it is missing, and in [`Source::notes`] for a person.
//!
//! [`channel`] carries batches from the thread that drains the ring to the consumer. It is bounded and blocks when full.
//! Then the ring fills up, and the kernel side counts the loss by class and at its place. The channel drops nothing. Buffers
//! go back and forth, so that none is allocated anew.
use std::{
    sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, TrySendError, sync_channel},
    time::Duration,
};

use crate::{
    batch::RecordBatch,
    session::{SessionEnd, SessionHeader, SymbolRow},
};

/// Result of [`Source::next`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceState {
    /// The batch holds the next records.
    Batch,
    /// No record came in time; the batch is empty.
    Idle,
    /// The stream has ended; the batch is empty and stays empty.
    End,
}

/// A stream of records, with its session header and session end.
pub trait Source {
    /// What was known at the start of the session.
    fn header(&self) -> &SessionHeader;

    /// Replaces the batch by the next records. A live source waits up to `wait` for them; a recording never waits.
    fn next(&mut self, batch: &mut RecordBatch, wait: Duration) -> SourceState;

    /// Names of stack addresses that arrived since the last call.
    fn take_symbols(&mut self) -> Vec<SymbolRow>;

    /// What was known at the end of the session; `None` before the end, or if the capture was killed.
    fn end(&self) -> Option<&SessionEnd>;

    /// Notes for a person about this source, one sentence each. Complete once `next` has returned `End`.
    fn notes(&self) -> Vec<String> {
        Vec::new()
    }
}

/// The other end of the channel is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the consumer of the stream has stopped")]
pub struct Closed;

enum Message {
    Records(RecordBatch),
    Symbols(Vec<SymbolRow>),
    End(Box<SessionEnd>),
}

/// A channel with room for `depth` batches.
#[must_use]
pub fn channel(header: SessionHeader, depth: usize) -> (BatchSender, BatchReceiver) {
    let (messages, inbox) = sync_channel(depth.max(1));
    // Room for every batch that can exist: in the channel, at the sender, at the receiver. So giving back never waits.
    let (give_back, empties) = sync_channel(depth.max(1) + 2);
    let receiver = BatchReceiver {
        header,
        inbox,
        give_back,
        symbols: Vec::new(),
        end: None,
        over: false,
        abandoned: false,
    };
    (BatchSender { messages, empties }, receiver)
}

/// The producing end. There is only one, because the order of its calls is the order of the stream: markers and loss samples
/// of the capture layer go through the same batches as the records of the ring.
#[derive(Debug)]
pub struct BatchSender {
    messages: SyncSender<Message>,
    empties: Receiver<RecordBatch>,
}

impl BatchSender {
    /// Sends the records and leaves an empty batch behind. Waits while the channel is full. Does not send an empty batch.
    ///
    /// # Errors
    /// The receiver is gone; the batch is left as it was.
    pub fn send(&mut self, batch: &mut RecordBatch) -> Result<(), Closed> {
        if batch.is_empty() {
            return Ok(());
        }
        let full = self.exchange(batch);
        self.messages.send(Message::Records(full)).map_err(|refused| restore(refused.0, batch))
    }

    /// Like [`Self::send`], but returns `false` and keeps the batch if `send` would wait.
    ///
    /// # Errors
    /// The receiver is gone; the batch is left as it was.
    pub fn try_send(&mut self, batch: &mut RecordBatch) -> Result<bool, Closed> {
        if batch.is_empty() {
            return Ok(true);
        }
        let full = self.exchange(batch);
        match self.messages.try_send(Message::Records(full)) {
            Ok(()) => Ok(true),
            Err(TrySendError::Full(message)) => {
                let _ = restore(message, batch);
                Ok(false)
            }
            Err(TrySendError::Disconnected(message)) => Err(restore(message, batch)),
        }
    }

    /// Sends names of stack addresses. Waits while the channel is full.
    ///
    /// # Errors
    /// The receiver is gone.
    pub fn send_symbols(&mut self, rows: Vec<SymbolRow>) -> Result<(), Closed> {
        if rows.is_empty() {
            return Ok(());
        }
        self.messages.send(Message::Symbols(rows)).map_err(|_| Closed)
    }

    /// Ends the stream. If a sender is dropped instead, the stream has no session end, like a recording whose recorder was
    /// killed.
    ///
    /// # Errors
    /// The receiver is gone.
    pub fn finish(self, end: SessionEnd) -> Result<(), Closed> {
        self.messages.send(Message::End(Box::new(end))).map_err(|_| Closed)
    }

    fn exchange(&self, batch: &mut RecordBatch) -> RecordBatch {
        std::mem::replace(batch, self.empties.try_recv().unwrap_or_default())
    }
}

fn restore(message: Message, batch: &mut RecordBatch) -> Closed {
    if let Message::Records(records) = message {
        *batch = records;
    }
    Closed
}

/// The consuming end: a live [`Source`].
#[derive(Debug)]
pub struct BatchReceiver {
    header: SessionHeader,
    inbox: Receiver<Message>,
    give_back: SyncSender<RecordBatch>,
    symbols: Vec<SymbolRow>,
    end: Option<Box<SessionEnd>>,
    over: bool,
    abandoned: bool,
}

impl std::fmt::Debug for Message {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Records(batch) => write!(to, "Records({})", batch.records()),
            Self::Symbols(rows) => write!(to, "Symbols({})", rows.len()),
            Self::End(_) => write!(to, "End"),
        }
    }
}

impl BatchReceiver {
    fn receive(&mut self, wait: Duration) -> Result<Message, RecvTimeoutError> {
        if wait.is_zero() {
            return self.inbox.try_recv().map_err(|error| match error {
                TryRecvError::Empty => RecvTimeoutError::Timeout,
                TryRecvError::Disconnected => RecvTimeoutError::Disconnected,
            });
        }
        self.inbox.recv_timeout(wait)
    }
}

impl Source for BatchReceiver {
    fn header(&self) -> &SessionHeader {
        &self.header
    }

    fn next(&mut self, batch: &mut RecordBatch, wait: Duration) -> SourceState {
        batch.clear();
        while !self.over {
            match self.receive(wait) {
                Ok(Message::Records(records)) => {
                    // If the way back is full or closed, the sender only has to allocate a new buffer.
                    let _ = self.give_back.try_send(std::mem::replace(batch, records));
                    return SourceState::Batch;
                }
                Ok(Message::Symbols(mut rows)) => self.symbols.append(&mut rows),
                Ok(Message::End(end)) => {
                    self.end = Some(end);
                    self.over = true;
                }
                Err(RecvTimeoutError::Timeout) => return SourceState::Idle,
                Err(RecvTimeoutError::Disconnected) => {
                    self.over = true;
                    self.abandoned = true;
                }
            }
        }
        SourceState::End
    }

    fn take_symbols(&mut self) -> Vec<SymbolRow> {
        std::mem::take(&mut self.symbols)
    }

    fn end(&self) -> Option<&SessionEnd> {
        self.end.as_deref()
    }

    fn notes(&self) -> Vec<String> {
        if self.abandoned {
            vec![
                "The capture stopped without saying why; what came after its last record was not seen."
                    .to_owned(),
            ]
        } else {
            Vec::new()
        }
    }
}

#[cfg(test)]
mod tests;
