//! What can go wrong around a workload, each said in one sentence that tells what to do.
use std::io;
use std::path::{Path, PathBuf};

/// Result of everything in `workload`.
pub type Result<T> = std::result::Result<T, Error>;

/// An error of a workload. ENOSPC, EDQUOT and the like met by an operation are outcomes, not errors.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The effective user is not root.
    #[error("only root can make a loop-backed btrfs: run this again with sudo")]
    NeedsRoot,
    /// No mkfs.btrfs in PATH, /sbin or /usr/sbin.
    #[error("mkfs.btrfs was not found in PATH, /sbin or /usr/sbin: install btrfs-progs")]
    NoMkfs,
    /// The loop driver is not there.
    #[error("/dev/loop-control cannot be opened ({0}): load the loop module with `modprobe loop`")]
    NoLoop(io::Error),
    /// mkfs.btrfs ran and refused.
    #[error("mkfs.btrfs could not make a filesystem on {}: {message}", device.display())]
    Mkfs {
        /// The loop device.
        device: PathBuf,
        /// Last line of what mkfs.btrfs wrote to stderr, or its exit status.
        message: String,
    },
    /// The kernel has no btrfs.
    #[error("this kernel cannot mount btrfs: load the module with `modprobe btrfs`")]
    NoBtrfs,
    /// A system call failed.
    #[error("{what} {} failed: {source}", path.display())]
    Sys {
        /// What was being done, as a verb that the path follows.
        what: &'static str,
        /// What it was done to.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// An operation of the mix failed in a way that a correct kernel has no reason for.
    #[error("operation {op} failed in {}: {source}; see the kernel log", path.display())]
    Op {
        /// Name of the operation.
        op: &'static str,
        /// Root of the filesystem it ran on.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// A worker thread died.
    #[error("a worker thread of the workload on {} panicked: this is a bug, please report it", .0.display())]
    Worker(PathBuf),
    /// A signal or the caller stopped it.
    #[error("the workload was interrupted")]
    Interrupted,
    /// A size or name that makes no sense.
    #[error("{0}")]
    Usage(String),
}

impl Error {
    /// Wraps a failed system call with what was done to which path.
    pub fn sys(what: &'static str, path: impl AsRef<Path>, source: impl Into<io::Error>) -> Self {
        Self::Sys { what, path: path.as_ref().to_path_buf(), source: source.into() }
    }
}

/// `result.at("open", path)`: the short form of wrapping a failure with [`Error::sys`].
pub(crate) trait At<T> {
    /// Turns a failure into [`Error::Sys`].
    fn at(self, what: &'static str, path: impl AsRef<Path>) -> Result<T>;
}

impl<T, E: Into<io::Error>> At<T> for std::result::Result<T, E> {
    fn at(self, what: &'static str, path: impl AsRef<Path>) -> Result<T> {
        self.map_err(|source| Error::sys(what, path, source))
    }
}
