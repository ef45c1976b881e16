//! Why a trace.dat cannot be read.
use std::io;

/// A trace.dat cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum DatError {
    /// The system says why.
    #[error("{0}")]
    Io(io::Error),
    /// It is shorter than it says.
    #[error("it ends early: it was cut, or trace-cmd did not come to its end")]
    Cut,
    /// It is not what trace-cmd writes.
    #[error("it is damaged: {0}")]
    Damaged(&'static str),
    /// More than memory is set aside for.
    #[error("{0} in it are larger than this btrfs-probe reads")]
    Large(&'static str),
    /// A kind of trace.dat that is not known here.
    #[error("{0}, which this btrfs-probe does not read")]
    Other(String),
}

impl From<io::Error> for DatError {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::UnexpectedEof { Self::Cut } else { Self::Io(error) }
    }
}
