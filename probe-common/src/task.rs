//! Threads, stacks and marks in time.
use crate::header::Header;

/// Most frames kept of one stack.
pub const MAX_FRAMES: usize = 40;

/// First sight of a thread, or of a thread id that was reused.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct TaskSeen {
    /// Header; `tid` is the thread.
    pub header: Header,
    /// Process id (thread group id) of the thread.
    pub pid: u32,
    /// Zero.
    pub reserved: u32,
    /// `comm`, NUL-padded.
    pub comm: [u8; 16],
}

/// `trace_sys_exit`, `trace_workqueue_execute_end` or `trace_sched_process_exit`: a system call, a work item or a thread has ended,
/// and the thread has called hooked functions since the last such end. What it had in hand it must have given back or handed on.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct Returned {
    /// Header; `fs` is that of the thread's last hooked call.
    pub header: Header,
    /// What the system call returned; 0 for a work item or a thread.
    pub ret: i64,
}

/// The frames of a stack id. Sent once per distinct stack, before or after the first record that refers to it.
///
/// A record in the ring contains only the first `frames` addresses; its length says so.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct Stack {
    /// Header.
    pub header: Header,
    /// Stack id: a 64-bit hash over all frames; never 0.
    pub id: u64,
    /// Number of valid frames.
    pub frames: u64,
    /// Kernel text addresses, innermost first.
    pub addresses: [u64; MAX_FRAMES],
}

/// Length of a [`Stack`] record without its frames.
pub const STACK_FIXED_LEN: usize = crate::header::HEADER_LEN + 16;

/// Why the capture layer marked a point in the stream.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarkerKind {
    /// All hooks are attached: from here on nothing is missed without being counted.
    Attached = 1,
    /// The command was started.
    CommandStart = 2,
    /// The command ended.
    CommandEnd = 3,
    /// Hooks are being detached; events from here on may be missing.
    Detaching = 4,
    /// A test of a test suite begins (text: its name).
    TestStart = 5,
    /// A test of a test suite ended (text: its name).
    TestEnd = 6,
}

/// A named point in time, added by the capture layer.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct Marker {
    /// Header; `fs` is 0.
    pub header: Header,
    /// [`MarkerKind`] as a number.
    pub kind: u32,
    /// Zero.
    pub reserved: u32,
    /// UTF-8 text, NUL-padded.
    pub text: [u8; 64],
}
