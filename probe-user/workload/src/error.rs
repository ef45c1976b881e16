//! Errors of workloads, each in one sentence that says what to do.
use std::io;
use std::path::{Path, PathBuf};

/// Result of everything in `workload`.
pub type Result<T> = std::result::Result<T, Error>;

/// An error of a workload. ENOSPC, EDQUOT and the like in an operation are outcomes, not errors.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The effective user is not root.
    #[error("only root can make a loop-backed btrfs: run this again with sudo")]
    NeedsRoot,
    /// No mkfs.btrfs in PATH, /sbin or /usr/sbin.
    #[error("mkfs.btrfs was not found in PATH, /sbin or /usr/sbin: install btrfs-progs")]
    NoMkfs,
    /// The loop driver is missing.
    #[error("/dev/loop-control cannot be opened ({0}): load the loop module with `modprobe loop`")]
    NoLoop(io::Error),
    /// mkfs.btrfs failed.
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
        /// What was done, as a verb that the path follows.
        what: &'static str,
        /// Path that it was done to.
        path: PathBuf,
        /// The error of the system call.
        source: io::Error,
    },
    /// An operation of the mix failed with an error that a correct kernel must not return.
    #[error("operation {op} failed in {}: {source}; see the kernel log", path.display())]
    Op {
        /// Name of the operation.
        op: &'static str,
        /// Root of the filesystem it ran on.
        path: PathBuf,
        /// The error of the system call.
        source: io::Error,
    },
    /// A worker thread panicked.
    #[error("a worker thread of the workload on {} panicked: this is a bug, please report it", .0.display())]
    Worker(PathBuf),
    /// A signal or the caller stopped the workload.
    #[error("the workload was interrupted")]
    Interrupted,
    /// A size or name that is not valid.
    #[error("{0}")]
    Usage(String),
}

impl Error {
    /// Wraps a failed system call; says what was done to which path.
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
