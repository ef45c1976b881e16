//! Tests of a test suite (xfstests): signs from the kernel side, and notes from the observer.
use crate::header::Header;

/// Bytes of text in a [`TestSign`].
pub const SIGN_TEXT: usize = 112;

/// Bytes of text in a [`TestNote`].
pub const NOTE_TEXT: usize = 424;

/// What a [`TestSign`] is.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignKind {
    /// A line of the kernel's log that names a test; the text is the line.
    Console = 1,
    /// A program whose name is a number was executed; the text is its path.
    Exec = 2,
    /// Such a program ended; `status` is its `exit_code`.
    Exit = 3,
}

/// A sign of a test, in the same stream and on the same clock as all other records.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct TestSign {
    /// Header; `fs` is 0.
    pub header: Header,
    /// [`SignKind`] as a number.
    pub what: u32,
    /// Process id.
    pub pid: u32,
    /// `task_struct.exit_code`, as wait(2) shows it.
    pub status: u32,
    /// Zero.
    pub reserved: u32,
    /// Text, NUL-padded. The end of a longer text is cut off; of a longer path, the start.
    pub text: [u8; SIGN_TEXT],
}

/// What a [`TestNote`] says of its test.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NoteKind {
    /// It began (text: its name, as `generic/269`).
    Begin = 1,
    /// Section of the suite's configuration (text).
    Section = 2,
    /// Devices of its filesystems (text: names below `/dev`, with blanks between).
    Devices = 3,
    /// Where the suite keeps its results (text: a folder).
    Results = 4,
    /// Control group it runs in (text).
    Scope = 5,
    /// Its script ended (`status` as wait(2) shows it).
    Exit = 6,
    /// The suite's own result (text: `pass`, `fail`, `notrun`, and a reason behind a line feed).
    Result = 7,
    /// Its window ended: the next test of the same run began, or the run ended.
    End = 8,
}

impl NoteKind {
    /// All kinds.
    pub const ALL: [Self; 8] = [
        Self::Begin,
        Self::Section,
        Self::Devices,
        Self::Results,
        Self::Scope,
        Self::Exit,
        Self::Result,
        Self::End,
    ];
}

/// A fact about a test, added by the observer as soon as it is known; its time is the time of the fact.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct TestNote {
    /// Header; `fs` is 0.
    pub header: Header,
    /// [`NoteKind`] as a number.
    pub what: u32,
    /// Number of the test in this session, from 1.
    pub test: u32,
    /// Process id of the test suite's run; 0 if not known.
    pub run: u32,
    /// Status of its script, with [`NoteKind::Exit`].
    pub status: u32,
    /// UTF-8 text, NUL-padded.
    pub text: [u8; NOTE_TEXT],
}
