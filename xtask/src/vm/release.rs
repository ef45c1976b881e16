//! The kernels: their names, and the Debian packages that contain them.
use anyhow::{Result, ensure};

use crate::machine::Machine;

/// A kernel line that the tool is tested on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Release {
    /// Debian 12
    #[value(name = "6.1")]
    V6_1,
    /// Debian 12, newer kernel (and Debian 13's)
    #[value(name = "6.12")]
    V6_12,
    /// Debian 13 backports, the newest of 7.x
    #[value(name = "7.x", alias = "7.3")]
    V7,
    /// As 6.12, on arm64
    #[value(name = "6.12-arm64")]
    Arm6_12,
    /// On arm64 with pages of 16 KiB
    #[value(name = "6.12-arm64-16k")]
    Arm6_12Pages16K,
    /// Debian's source of 6.12, small, with btrfs built in
    #[value(name = "6.12-built-in")]
    BuiltIn6_12,
    /// The same with btrfs as a module, and with the kernel's own checks of btrfs, locks and memory
    #[value(name = "6.12-checked")]
    Checked6_12,
}

impl Release {
    /// Name on the command line and of the folder in `target/vm`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::V6_1 => "6.1",
            Self::V6_12 => "6.12",
            Self::V7 => "7.x",
            Self::Arm6_12 => "6.12-arm64",
            Self::Arm6_12Pages16K => "6.12-arm64-16k",
            Self::BuiltIn6_12 => "6.12-built-in",
            Self::Checked6_12 => "6.12-checked",
        }
    }

    /// The line that its source is of.
    pub const fn line(self) -> &'static str {
        match self {
            Self::V6_1 => "6.1",
            Self::V6_12 | Self::Arm6_12 | Self::Arm6_12Pages16K | Self::BuiltIn6_12 | Self::Checked6_12 => {
                "6.12"
            }
            Self::V7 => "7.x",
        }
    }

    /// For a kernel that we build: whose source it has, and the files of `tests/kernels` with its options.
    pub const fn built(self) -> Option<(Self, [&'static str; 2])> {
        match self {
            Self::BuiltIn6_12 => Some((Self::V6_12, ["small.config", "built-in.config"])),
            Self::Checked6_12 => Some((Self::V6_12, ["small.config", "checked.config"])),
            Self::V6_1 | Self::V6_12 | Self::V7 | Self::Arm6_12 | Self::Arm6_12Pages16K => None,
        }
    }

    /// The machine that it runs on.
    pub const fn machine(self) -> Machine {
        match self {
            Self::V6_1 | Self::V6_12 | Self::V7 | Self::BuiltIn6_12 | Self::Checked6_12 => Machine::X86_64,
            Self::Arm6_12 | Self::Arm6_12Pages16K => Machine::Aarch64,
        }
    }

    /// # Errors
    /// It runs on another machine than this one, which `task` cannot do.
    pub fn for_this_machine(self, task: &str) -> Result<Self> {
        ensure!(self.machine().is_here(), "`{task}` runs kernels of this machine only, not {}", self.name());
        Ok(self)
    }

    /// How the package of the kernel image begins, up to the version, what follows it, and how it ends. From 7.0 on Debian splits
    /// image and modules.
    pub const fn image(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::V6_1 => ("linux-image-", "6.1.", "-cloud-amd64"),
            Self::V6_12 | Self::BuiltIn6_12 | Self::Checked6_12 => ("linux-image-", "6.12.", "-cloud-amd64"),
            Self::V7 => ("linux-binary-", "7.", "-cloud-amd64"),
            Self::Arm6_12 => ("linux-image-", "6.12.", "-cloud-arm64"),
            Self::Arm6_12Pages16K => ("linux-image-", "6.12.", "-arm64-16k"),
        }
    }

    /// Packages of one kernel version, `uname -r` given.
    pub fn packages(self, uname: &str) -> Vec<String> {
        match self {
            Self::V6_1
            | Self::V6_12
            | Self::Arm6_12
            | Self::Arm6_12Pages16K
            | Self::BuiltIn6_12
            | Self::Checked6_12 => {
                vec![format!("linux-image-{uname}")]
            }
            Self::V7 => vec![format!("linux-binary-{uname}"), format!("linux-modules-{uname}")],
        }
    }
}
