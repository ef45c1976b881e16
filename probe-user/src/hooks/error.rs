//! Why the kernel side could not be brought up, and errors on one line.

pub(super) use probe_record::why::chain;

/// The end of a sentence about a kernel that does not let us attach. `doctor` itself leaves it out.
pub const SEE_DOCTOR: &str = ", and see `btrfs-probe doctor`";

/// Why the kernel side could not be brought up at all.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// The binary was built without the eBPF object.
    #[error("this build has no kernel side; build it with `cargo xtask build`")]
    NoObject,
    /// The kernel refused the object or a map.
    #[error("the kernel refused the eBPF object: {0}; run as root (CAP_BPF, CAP_PERFMON){SEE_DOCTOR}")]
    Load(String),
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
    /// A map cannot be mapped into our memory.
    #[error("eBPF map {name} cannot be read: {source}")]
    Memory {
        /// Map.
        name: &'static str,
        /// What the kernel says.
        source: std::io::Error,
    },
    /// No hook at all could be attached.
    #[error("not one hook could be attached: {0}; run as root (CAP_BPF, CAP_PERFMON){SEE_DOCTOR}")]
    NoHook(String),
}

impl From<aya::EbpfError> for AttachError {
    fn from(error: aya::EbpfError) -> Self {
        // Behind the first line comes what the verifier said, which `-vv` shows.
        Self::Load(first_line(&chain(&error)))
    }
}

/// The first line only: a row of a table has room for one, and `-vv` shows the whole verifier log.
pub(super) fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}
