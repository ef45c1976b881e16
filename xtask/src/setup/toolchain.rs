//! A compiler, its cargo, and the source of its own `core`.
use std::{fmt, path::PathBuf};

/// A pair of compiler and source that fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Toolchain {
    /// How to call it in messages.
    pub name: String,
    /// The compiler itself, no proxy.
    pub rustc: PathBuf,
    /// The cargo that came with it; ours if it came without.
    pub cargo: Option<PathBuf>,
    /// `library/core/src/lib.rs` of its source.
    pub core: PathBuf,
    /// Version of the compiler.
    pub release: String,
    /// Version of its LLVM.
    pub llvm: LlvmVersion,
    /// The libLLVM it loads.
    pub llvm_library: PathBuf,
}

/// Version of LLVM as `rustc -vV` prints it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LlvmVersion {
    /// Decides the bitcode format and the C API.
    pub major: u32,
    /// Minor.
    pub minor: u32,
    /// Patch.
    pub patch: u32,
}

impl LlvmVersion {
    /// Reads `22.1.8`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.trim().split('.').map(|part| part.parse().ok());
        Some(Self {
            major: parts.next()??,
            minor: parts.next()??,
            patch: parts.next().flatten().unwrap_or(0),
        })
    }
}

impl fmt::Display for LlvmVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_rustc_prints_them() {
        assert_eq!(LlvmVersion::parse("22.1.8\n"), Some(LlvmVersion { major: 22, minor: 1, patch: 8 }));
        assert_eq!(LlvmVersion::parse("22.1").map(|version| version.patch), Some(0));
        assert_eq!(LlvmVersion::parse("unknown"), None);
    }
}
