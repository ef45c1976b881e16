//! Why the kernel side could not be brought up, and errors on one line.

/// Why the kernel side could not be brought up at all.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// The binary was built without the eBPF object.
    #[error("this build has no kernel side; build it with `cargo xtask build`")]
    NoObject,
    /// The kernel refused the object or a map.
    #[error(
        "the kernel refused the eBPF object: {0}; run as root (CAP_BPF, CAP_PERFMON), and see `btrfs-probe doctor`"
    )]
    Load(#[from] aya::EbpfError),
    /// A map or program of the object is not there.
    #[error("the eBPF object has no {0}; build tool and object together with `cargo xtask build`")]
    Missing(&'static str),
    /// A map cannot be used as what it should be.
    #[error("eBPF map {name}: {source}")]
    Map {
        /// Map.
        name: &'static str,
        /// What aya says.
        source: aya::maps::MapError,
    },
    /// No hook at all could be attached.
    #[error(
        "not one hook could be attached: {0}; run as root (CAP_BPF, CAP_PERFMON), and see `btrfs-probe doctor`"
    )]
    NoHook(String),
}

/// An error with all its causes on one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// The first line only: a row of a table has room for one, and `-vv` shows the whole verifier log.
pub(super) fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}
