//! Decodes the bytes of a ring entry or a recording into a typed record.
use std::mem::offset_of;

use probe_common::{
    call::Call,
    chain::{Bmu, Chain, QgroupLevel},
    claim::Claim,
    draw::Draw,
    extent::Extent,
    failure::{Enospc, Flush, LogLine, Ticket, Warn},
    fs::{AuditMark, FsEnd, FsSeen, Levels, SysfsLevels},
    header::{HEADER_LEN, Header, RecordKind},
    inode::{Block, Delalloc, InodeState, Mod, Name},
    loss::LossSample,
    pinned::PinnedLeft,
    shortage::{FailureDevices, FailureState, QgroupRefusal},
    suite::{TestNote, TestSign},
    task::{MAX_FRAMES, Marker, Returned, STACK_FIXED_LEN, Stack, TaskSeen},
    ticket::TicketStep,
    wait::{FlushState, ThreadFound, ThreadStack, WaitRound, Waiting},
};
use zerocopy::{FromBytes, FromZeros, IntoBytes};

/// A record of the stream. Variants mirror [`RecordKind`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs, reason = "each variant is documented at its kind and its struct")]
#[allow(
    clippy::large_enum_variant,
    reason = "stacks and levels are rare, and a copy beats an allocation per record"
)]
pub enum Record {
    FsSeen(FsSeen),
    FsEnd(FsEnd),
    Levels(Levels),
    TaskSeen(TaskSeen),
    Stack(Stack),
    Delalloc(Delalloc),
    Mod(Mod),
    InodeState(InodeState),
    Block(Block),
    Name(Name),
    Claim(Claim),
    Enospc(Enospc),
    Ticket(Ticket),
    Bmu(Bmu),
    Chain(Chain),
    Warn(Warn),
    Flush(Flush),
    Call(Call),
    TestSign(TestSign),
    LogLine(LogLine),
    Returned(Returned),
    TicketStep(TicketStep),
    Waiting(Waiting),
    ThreadFound(ThreadFound),
    FlushState(FlushState),
    LossSample(LossSample),
    SysfsLevels(SysfsLevels),
    AuditMark(AuditMark),
    Marker(Marker),
    TestNote(TestNote),
    QgroupLevel(QgroupLevel),
    FailureState(FailureState),
    FailureDevices(FailureDevices),
    QgroupRefusal(QgroupRefusal),
    Draw(Draw),
    Extent(Extent),
    PinnedLeft(PinnedLeft),
    ThreadStack(ThreadStack),
    WaitRound(WaitRound),
}

/// Why bytes are not a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Fewer bytes than a header.
    #[error("{0} bytes are too short for a record header")]
    Short(usize),
    /// The kind is of a newer version, or the bytes are damaged.
    #[error("unknown record kind {0}")]
    Kind(u8),
    /// The body is too short for its kind, or the header has another length than the bytes.
    #[error("record of kind {kind} has {len} bytes")]
    Length {
        /// Kind number.
        kind: u8,
        /// Number of bytes.
        len: usize,
    },
}

macro_rules! records {
    ($($kind:ident),*) => {
        impl Record {
            /// Decodes one whole record. Accepts a longer body than this version knows, because layouts are append-only.
            ///
            /// # Errors
            /// See [`DecodeError`]; never panics, whatever the bytes.
            pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
                let (header, _) = Header::read_from_prefix(bytes).map_err(|_| DecodeError::Short(bytes.len()))?;
                let length = DecodeError::Length { kind: header.kind, len: bytes.len() };
                if usize::from(header.len) != bytes.len() {
                    return Err(length);
                }
                match RecordKind::from_u8(header.kind).ok_or(DecodeError::Kind(header.kind))? {
                    RecordKind::Stack => decode_stack(bytes).map(Self::Stack).ok_or(length),
                    RecordKind::LossSample => decode_loss_sample(bytes).map(Self::LossSample).ok_or(length),
                    RecordKind::Ticket => decode_ticket(bytes).map(Self::Ticket).ok_or(length),
                    $(RecordKind::$kind => $kind::read_from_prefix(bytes).map(|(body, _)| Self::$kind(body)).map_err(|_| length),)*
                }
            }

            /// The header.
            #[must_use]
            pub const fn header(&self) -> &Header {
                match self {
                    Self::Stack(body) => &body.header,
                    Self::LossSample(body) => &body.header,
                    Self::Ticket(body) => &body.header,
                    $(Self::$kind(body) => &body.header,)*
                }
            }

            /// The header, mutable.
            pub const fn header_mut(&mut self) -> &mut Header {
                match self {
                    Self::Stack(body) => &mut body.header,
                    Self::LossSample(body) => &mut body.header,
                    Self::Ticket(body) => &mut body.header,
                    $(Self::$kind(body) => &mut body.header,)*
                }
            }

            /// The bytes as in the ring and in a recording.
            #[must_use]
            pub fn bytes(&self) -> &[u8] {
                match self {
                    Self::Stack(body) => {
                        let whole = body.as_bytes();
                        whole.get(..usize::from(body.header.len)).unwrap_or(whole)
                    }
                    Self::LossSample(body) => {
                        let whole = body.as_bytes();
                        whole.get(..usize::from(body.header.len)).unwrap_or(whole)
                    }
                    Self::Ticket(body) => {
                        let whole = body.as_bytes();
                        whole.get(..usize::from(body.header.len)).unwrap_or(whole)
                    }
                    $(Self::$kind(body) => body.as_bytes(),)*
                }
            }
        }

        $(impl From<$kind> for Record {
            /// Sets kind and length in the header.
            fn from(mut body: $kind) -> Self {
                body.header.kind = RecordKind::$kind as u8;
                body.header.len = size_of::<$kind>() as u16;
                Self::$kind(body)
            }
        })*
    };
}

records!(
    FsSeen,
    FsEnd,
    Levels,
    TaskSeen,
    Delalloc,
    Mod,
    InodeState,
    Block,
    Name,
    Claim,
    Enospc,
    Bmu,
    Chain,
    Warn,
    Flush,
    Call,
    TestSign,
    LogLine,
    Returned,
    TicketStep,
    Waiting,
    ThreadFound,
    FlushState,
    SysfsLevels,
    AuditMark,
    Marker,
    TestNote,
    QgroupLevel,
    FailureState,
    FailureDevices,
    QgroupRefusal,
    Draw,
    Extent,
    PinnedLeft,
    ThreadStack,
    WaitRound
);

impl From<LossSample> for Record {
    /// Sets kind and length in the header.
    fn from(mut body: LossSample) -> Self {
        body.header.kind = RecordKind::LossSample as u8;
        body.header.len = size_of::<LossSample>() as u16;
        Self::LossSample(body)
    }
}

/// A loss sample of any version. Before ABI version 4 it had counts for 16 classes. Missing counts are zero.
pub(super) fn decode_loss_sample(bytes: &[u8]) -> Option<LossSample> {
    /// Length of the shortest sample of any version, bytes.
    const SHORTEST: usize = HEADER_LEN + 16 * 8;
    if bytes.len() < SHORTEST || !bytes.len().is_multiple_of(8) {
        return None;
    }
    let mut sample = LossSample::new_zeroed();
    let take = bytes.len().min(size_of::<LossSample>());
    sample.as_mut_bytes()[..take].copy_from_slice(&bytes[..take]);
    Some(sample)
}

impl From<Ticket> for Record {
    /// Sets kind and length in the header.
    fn from(mut body: Ticket) -> Self {
        body.header.kind = RecordKind::Ticket as u8;
        body.header.len = size_of::<Ticket>() as u16;
        Self::Ticket(body)
    }
}

/// A ticket of any version. Before ABI version 5 it did not say when it ended.
fn decode_ticket(bytes: &[u8]) -> Option<Ticket> {
    /// Length of the shortest ticket of any version, bytes.
    const SHORTEST: usize = offset_of!(Ticket, ended);
    if bytes.len() < SHORTEST {
        return None;
    }
    let mut ticket = Ticket::new_zeroed();
    let take = bytes.len().min(size_of::<Ticket>());
    ticket.as_mut_bytes()[..take].copy_from_slice(&bytes[..take]);
    Some(ticket)
}

/// In the ring a stack has only its own frames; the rest is filled with zeros.
fn decode_stack(bytes: &[u8]) -> Option<Stack> {
    if bytes.len() < STACK_FIXED_LEN {
        return None;
    }
    let mut stack = Stack::new_zeroed();
    let take = bytes.len().min(size_of::<Stack>());
    stack.as_mut_bytes()[..take].copy_from_slice(&bytes[..take]);
    let present = (take - STACK_FIXED_LEN) / 8;
    (stack.frames as usize <= present.min(MAX_FRAMES)).then_some(stack)
}

const _: () = assert!(HEADER_LEN == size_of::<Header>());

#[cfg(test)]
mod tests;
