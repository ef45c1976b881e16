//! The machines that the tool is built for.
use std::env;

use anyhow::{Result, bail};

/// A machine, by its name in a target triple.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Machine {
    /// x86-64
    #[value(name = "x86_64")]
    X86_64,
    /// arm64
    #[value(name = "aarch64", alias = "arm64")]
    Aarch64,
}

impl Machine {
    /// The one that we run on.
    ///
    /// # Errors
    /// The tool is not built for it.
    pub fn here() -> Result<Self> {
        match env::consts::ARCH {
            "x86_64" => Ok(Self::X86_64),
            "aarch64" => Ok(Self::Aarch64),
            other => bail!("btrfs-probe is built on x86_64 and aarch64, not on {other}"),
        }
    }

    /// Whether we run on it.
    pub fn is_here(self) -> bool {
        Self::here().is_ok_and(|here| here == self)
    }

    /// As `uname -m` and target triples have it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
        }
    }

    /// As Debian has it.
    pub const fn debian(self) -> &'static str {
        match self {
            Self::X86_64 => "amd64",
            Self::Aarch64 => "arm64",
        }
    }

    /// The target triple. Another machine's is that of the C library that cross compilers come with.
    pub fn target(self) -> String {
        let libc = if cfg!(target_env = "musl") && self.is_here() { "musl" } else { "gnu" };
        format!("{}-unknown-linux-{libc}", self.name())
    }
}
