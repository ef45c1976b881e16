//! What kind of filesystem to make.
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use nix::sys::statvfs::statvfs;

use crate::error::{Error, Result};

/// A filesystem UUID, chosen before mkfs so that a tracer can follow the filesystem before it exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fsid(pub [u8; 16]);

impl Fsid {
    /// A random version 4 UUID.
    ///
    /// # Errors
    /// `/dev/urandom` cannot be read.
    pub fn random() -> io::Result<Self> {
        let mut bytes = [0; 16];
        File::open("/dev/urandom")?.read_exact(&mut bytes)?;
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        Ok(Self(bytes))
    }
}

impl fmt::Display for Fsid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

/// Block group profile on one device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// One copy.
    Single,
    /// Two copies on the one device.
    Dup,
}

impl Profile {
    /// The name that mkfs.btrfs uses.
    pub fn name(self) -> &'static str {
        match self {
            Self::Single => "single",
            Self::Dup => "dup",
        }
    }
}

/// Options of [`super::LoopFs::create`]: take [`LoopFsOptions::new`] and change what should differ.
#[derive(Debug, Clone)]
pub struct LoopFsOptions {
    /// Size of the sparse image, bytes. Below 109 MiB mkfs.btrfs refuses unless `mixed`.
    pub size: u64,
    /// Filesystem label.
    pub label: Option<String>,
    /// Filesystem UUID; random if not given.
    pub fsid: Option<Fsid>,
    /// Size of a tree block, bytes; mkfs.btrfs's default (16 KiB) if not given.
    pub nodesize: Option<u32>,
    /// Data and metadata in the same block groups.
    pub mixed: bool,
    /// Data profile; mkfs.btrfs's default (single) if not given.
    pub data: Option<Profile>,
    /// Metadata profile; mkfs.btrfs's default (dup) if not given.
    pub metadata: Option<Profile>,
    /// Mount options as in `mount -o`; may be empty. nodev and nosuid are always added.
    pub mount_options: String,
    /// Switch quotas on after each first mount.
    pub quota: bool,
    /// Folder for the temp folder with the image; [`default_dir`] if not given.
    pub dir: Option<PathBuf>,
}

impl LoopFsOptions {
    /// A filesystem of `size` bytes with the defaults of mkfs.btrfs.
    pub fn new(size: u64) -> Self {
        Self {
            size,
            label: None,
            fsid: None,
            nodesize: None,
            mixed: false,
            data: None,
            metadata: None,
            mount_options: String::new(),
            quota: false,
            dir: None,
        }
    }

    /// The same with single data and metadata, so that a small filesystem holds more.
    pub fn single(mut self) -> Self {
        self.data = Some(Profile::Single);
        self.metadata = Some(Profile::Single);
        self
    }

    /// Arguments for mkfs.btrfs, without the device.
    pub(super) fn mkfs_args(&self, fsid: Fsid) -> Vec<String> {
        let mut args: Vec<String> = ["-q", "-f", "-K", "-U"].map(String::from).to_vec();
        args.push(fsid.to_string());
        let mut option = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                args.extend([name.to_owned(), value]);
            }
        };
        option("-L", self.label.clone());
        option("-n", self.nodesize.map(|size| size.to_string()));
        option("-d", self.data.map(|profile| profile.name().to_owned()));
        option("-m", self.metadata.map(|profile| profile.name().to_owned()));
        if self.mixed {
            args.push("-M".into());
        }
        args
    }
}

/// Default folder for an image of `size` bytes: memory (`/dev/shm`) if it has enough room, because a demo should not wear
/// out a disk; else `TMPDIR`, or the first of `/tmp` and `/var/tmp` with room. `/tmp` is small where it is memory too, as on
/// Debian 13.
pub fn default_dir(size: u64) -> PathBuf {
    let shm = Path::new("/dev/shm");
    let wanted = size.saturating_mul(2);
    if free_bytes(shm).is_some_and(|free| free >= wanted)
        && memory_available().is_some_and(|free| free >= wanted)
    {
        return shm.to_path_buf();
    }
    let chosen = std::env::var_os("TMPDIR").map(PathBuf::from);
    temp_dir(chosen, &|dir| free_bytes(dir).is_some_and(|free| free >= size))
}

fn temp_dir(chosen: Option<PathBuf>, has_room: &dyn Fn(&Path) -> bool) -> PathBuf {
    chosen.unwrap_or_else(|| {
        let usual = ["/tmp", "/var/tmp"].map(Path::new);
        usual.into_iter().find(|dir| has_room(dir)).unwrap_or(usual[0]).to_path_buf()
    })
}

/// Refuses an image that its folder could not hold when full. The loop device would return EIO, and the workload would test
/// that instead of btrfs.
pub(super) fn check_room(dir: &Path, size: u64) -> Result<()> {
    match free_bytes(dir) {
        Some(free) if free < size => Err(Error::Usage(format!(
            "{} has {} MiB free, {} MiB are needed: free some or set TMPDIR to another folder",
            dir.display(),
            free >> 20,
            size >> 20
        ))),
        _ => Ok(()),
    }
}

fn free_bytes(dir: &Path) -> Option<u64> {
    let stat = statvfs(dir).ok()?;
    Some(stat.blocks_available() * stat.fragment_size())
}

fn memory_available() -> Option<u64> {
    parse_available(&std::fs::read_to_string("/proc/meminfo").ok()?)
}

fn parse_available(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib << 10)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
    use super::*;

    #[test]
    fn fsid_prints_as_a_uuid_of_version_4() {
        let text = Fsid::random().unwrap().to_string();
        assert_eq!(text.len(), 36);
        assert_eq!(text.match_indices('-').map(|(at, _)| at).collect::<Vec<_>>(), [8, 13, 18, 23]);
        assert_eq!(text.as_bytes()[14], b'4');
        assert_eq!(
            Fsid(*b"\x01\x23\x45\x67\x89\xab\xcd\xef\x00\x11\x22\x33\x44\x55\x66\x77").to_string(),
            "01234567-89ab-cdef-0011-223344556677"
        );
    }

    #[test]
    fn mkfs_arguments() {
        let mut options = LoopFsOptions::new(1 << 30).single();
        options.label = Some("x y".into());
        options.nodesize = Some(4096);
        options.mixed = true;
        assert_eq!(
            options.mkfs_args(Fsid([0; 16])),
            [
                "-q",
                "-f",
                "-K",
                "-U",
                "00000000-0000-0000-0000-000000000000",
                "-L",
                "x y",
                "-n",
                "4096",
                "-d",
                "single",
                "-m",
                "single",
                "-M"
            ]
        );
        assert_eq!(LoopFsOptions::new(1).mkfs_args(Fsid([0; 16])).len(), 5);
    }

    #[test]
    fn meminfo() {
        assert_eq!(parse_available("MemTotal: 9 kB\nMemAvailable:   23000 kB\nX: 1\n"), Some(23_000 * 1024));
        assert_eq!(parse_available("MemTotal: 9 kB\n"), None);
    }

    #[test]
    fn a_small_tmp_in_memory_does_not_fail_the_demo() {
        let only = |name: &'static str| move |dir: &Path| dir == Path::new(name);
        assert_eq!(temp_dir(None, &only("/var/tmp")), Path::new("/var/tmp"));
        assert_eq!(temp_dir(None, &|_| true), Path::new("/tmp"));
        assert_eq!(temp_dir(None, &|_| false), Path::new("/tmp"));
        // Who names a folder means it.
        assert_eq!(temp_dir(Some("/mnt".into()), &only("/var/tmp")), Path::new("/mnt"));
    }

    #[test]
    fn a_folder_without_room_is_refused_before_anything_is_made() {
        let error = check_room(Path::new("/"), u64::MAX).unwrap_err().to_string();
        assert!(error.contains("MiB free") && error.contains("TMPDIR"), "{error}");
    }
}
