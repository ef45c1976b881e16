//! The kernels: their names, and the Debian packages that contain them.

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
}

impl Release {
    /// Name on the command line and of the folder in `target/vm`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::V6_1 => "6.1",
            Self::V6_12 => "6.12",
            Self::V7 => "7.x",
        }
    }

    /// How the package of the kernel image begins, up to the version, and what follows it. From 7.0 on Debian splits image
    /// and modules.
    pub const fn image(self) -> (&'static str, &'static str) {
        match self {
            Self::V6_1 => ("linux-image-", "6.1."),
            Self::V6_12 => ("linux-image-", "6.12."),
            Self::V7 => ("linux-binary-", "7."),
        }
    }

    /// Packages of one kernel version, `uname -r` given.
    pub fn packages(self, uname: &str) -> Vec<String> {
        match self {
            Self::V6_1 | Self::V6_12 => vec![format!("linux-image-{uname}")],
            Self::V7 => vec![format!("linux-binary-{uname}"), format!("linux-modules-{uname}")],
        }
    }
}
