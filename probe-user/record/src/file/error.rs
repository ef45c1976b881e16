//! Why a recording cannot be opened, created or finished, in sentences that say what to do.
use std::{io, path::PathBuf};

use super::layout::FORMAT_MAJOR;
use crate::why::{shown, unread, unwritten, without_number};

/// Why a recording cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// Not there, or not readable.
    #[error("cannot read the recording {}: {}", shown(path), unread(error))]
    Open {
        /// Path as given.
        path: PathBuf,
        /// Error of the system call.
        error: io::Error,
    },
    /// The file is not a recording.
    #[error(
        "{} is not a btrfs-probe recording; make one with `btrfs-probe record -o FILE` (the text of a kernel trace is for `btrfs-probe import`)",
        shown(path)
    )]
    NotARecording {
        /// Path as given.
        path: PathBuf,
    },
    /// The file has a newer format.
    #[error(
        "{} has recording format {major}.{minor}, this btrfs-probe reads up to {FORMAT_MAJOR}.x: use the version that recorded it, or a newer one",
        shown(path)
    )]
    Newer {
        /// Path as given.
        path: PathBuf,
        /// Major version of the file.
        major: u16,
        /// Minor version of the file.
        minor: u16,
    },
    /// `FILE.tmp` exists: another recording is in progress, or a killed recorder left its data there.
    #[error(
        "{0} exists: another recording is running, or one was killed; read it with `btrfs-probe report {0}`, then remove it or choose another file",
        shown(tmp)
    )]
    InProgress {
        /// Path of `FILE.tmp`.
        tmp: PathBuf,
    },
    /// The target is a device, a directory or another special file, which the final rename would replace.
    #[error("{} is not a regular file; give the recording a file name of its own", shown(path))]
    NotRegular {
        /// Path as given.
        path: PathBuf,
    },
    /// The recording cannot be created.
    #[error("cannot write the recording {}: {}", shown(path), unwritten(error))]
    Create {
        /// Path that failed.
        path: PathBuf,
        /// Error of the system call.
        error: io::Error,
    },
    /// Everything is written, but the final rename failed.
    #[error("the recording is whole but could not be renamed to {}: {}; it is at {}", shown(path), without_number(&error.to_string()), shown(tmp))]
    Rename {
        /// Where it is.
        tmp: PathBuf,
        /// Path that it should have.
        path: PathBuf,
        /// Error of the system call.
        error: io::Error,
    },
    /// The session header is too long.
    #[error("the session description is too long for a recording ({0} bytes); shorten the command line")]
    SessionTooLong(usize),
    /// The writing thread has died.
    #[error(
        "the thread that writes {0} stopped early; read what it wrote with `btrfs-probe report {0}`",
        shown(path)
    )]
    Thread {
        /// The unfinished file.
        path: PathBuf,
    },
}
