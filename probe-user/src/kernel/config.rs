//! How this kernel was built.
use std::io::Read;
use std::path::Path;

use flate2::read::GzDecoder;

use super::files;

/// Most bytes, unpacked; the configuration of a distribution has 300 KB.
const MAX_BYTES: u64 = 16 << 20;

/// What the build configuration says of an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// `=y`
    BuiltIn,
    /// `=m`
    Module,
    /// `is not set`, or not there at all.
    Off,
    /// The configuration is not published.
    Unknown,
}

/// The build configuration of the running kernel, if it is published.
#[derive(Clone, Debug, Default)]
pub struct KernelConfig(Option<String>);

impl KernelConfig {
    /// Reads `/proc/config.gz`, else the files that distributions keep beside the kernel of this release.
    #[must_use]
    pub fn read(root: &Path, release: &str) -> Self {
        let packed = files::bytes(&root.join("proc/config.gz")).ok().and_then(|bytes| {
            let mut text = String::new();
            GzDecoder::new(bytes.as_slice()).take(MAX_BYTES).read_to_string(&mut text).ok()?;
            Some(text)
        });
        let beside = || {
            // A release is one path component; anything else did not come from a kernel.
            let release = Some(release).filter(|release| !release.is_empty() && !release.contains('/'))?;
            [
                format!("boot/config-{release}"),
                format!("lib/modules/{release}/config"),
                format!("usr/lib/modules/{release}/config"),
            ]
            .iter()
            .find_map(|file| files::text(&root.join(file)).ok())
        };
        Self(packed.or_else(beside))
    }

    /// The whole of it.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        self.0.as_deref()
    }

    /// The setting of `option`, such as `CONFIG_KPROBES`.
    #[must_use]
    pub fn setting(&self, option: &str) -> Setting {
        let Some(text) = &self.0 else { return Setting::Unknown };
        let value = text.lines().find_map(|line| line.strip_prefix(option)?.strip_prefix('='));
        match value {
            Some("y") => Setting::BuiltIn,
            Some("m") => Setting::Module,
            _ => Setting::Off,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that fails must fail")]
    use std::fs;
    use std::io::Write;

    use tempfile::TempDir;

    use super::*;

    const TEXT: &str = "# CONFIG_KPROBES is not set\nCONFIG_KPROBES_X=y\nCONFIG_BTRFS_FS=m\nCONFIG_BPF=y\n";

    fn check(config: &KernelConfig) {
        assert_eq!(config.setting("CONFIG_KPROBES"), Setting::Off);
        assert_eq!(config.setting("CONFIG_BTRFS_FS"), Setting::Module);
        assert_eq!(config.setting("CONFIG_BPF"), Setting::BuiltIn);
        assert_eq!(config.setting("CONFIG_NOWHERE"), Setting::Off);
    }

    #[test]
    fn packed_plain_and_absent() {
        let tree = TempDir::new().unwrap();
        let root = tree.path();
        assert_eq!(KernelConfig::read(root, "6.1").setting("CONFIG_BPF"), Setting::Unknown);
        fs::create_dir_all(root.join("boot")).unwrap();
        fs::write(root.join("boot/config-6.1"), TEXT).unwrap();
        check(&KernelConfig::read(root, "6.1"));
        assert_eq!(KernelConfig::read(root, "../boot/config-6.1").setting("CONFIG_BPF"), Setting::Unknown);

        fs::create_dir(root.join("proc")).unwrap();
        fs::write(root.join("proc/config.gz"), b"\x1f\x8b\x08 and then nothing of the kind").unwrap();
        check(&KernelConfig::read(root, "6.1"));
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        packer.write_all(TEXT.as_bytes()).unwrap();
        fs::write(root.join("proc/config.gz"), packer.finish().unwrap()).unwrap();
        check(&KernelConfig::read(root, "none"));
    }
}
