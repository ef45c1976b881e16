//! The mounted btrfs filesystems: `/sys/fs/btrfs/`, with the mounts of our namespace that belong to each.
//!
//! Nothing on a mount is opened or looked up, not even for a moment: that could fail an unmount under test. A mount
//! is tied to its filesystem through the name of its device alone.
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::files;
use super::fsid::Fsid;
use super::mountinfo::{self, Mount};

/// One mounted filesystem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filesystem {
    /// Its identity.
    pub fsid: Fsid,
    /// Its label; empty if it has none.
    pub label: String,
    /// Names of its devices as in `/sys/class/block`.
    pub devices: Vec<String>,
    /// Its mounts in our mount namespace; it can be mounted in another one only.
    pub mounts: Vec<Mount>,
}

impl Filesystem {
    /// Its folder in sysfs.
    #[must_use]
    pub fn sysfs(&self, root: &Path) -> PathBuf {
        folder(root, self.fsid)
    }
}

/// Folder of a filesystem in sysfs, whether it is mounted or not.
#[must_use]
pub fn folder(root: &Path, fsid: Fsid) -> PathBuf {
    root.join("sys/fs/btrfs").join(fsid.to_string())
}

/// Every mounted btrfs, by fsid.
///
/// # Errors
/// `/sys/fs/btrfs` exists and cannot be read; without btrfs it does not exist, and the answer is none.
pub fn filesystems(root: &Path) -> io::Result<Vec<Filesystem>> {
    let entries = match std::fs::read_dir(root.join("sys/fs/btrfs")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut all = Vec::new();
    for entry in entries.flatten() {
        let Some(fsid) = entry.file_name().to_str().and_then(|name| name.parse::<Fsid>().ok()) else {
            continue;
        };
        let mut devices: Vec<_> = names_in(&entry.path().join("devices")).collect();
        devices.sort();
        let label = files::text(&entry.path().join("label")).unwrap_or_default();
        all.push(Filesystem { fsid, label, devices, mounts: Vec::new() });
    }
    all.sort_by_key(|filesystem| filesystem.fsid);
    for mount in mountinfo::read(root).unwrap_or_default() {
        if !mount.is_btrfs() {
            continue;
        }
        let Some(device) = device_name(root, Path::new(&mount.source)) else { continue };
        if let Some(owner) = all.iter_mut().find(|filesystem| filesystem.devices.contains(&device)) {
            owner.mounts.push(mount);
        }
    }
    Ok(all)
}

fn names_in(folder: &Path) -> impl Iterator<Item = String> {
    std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
}

/// The kernel's name (`sda1`, `dm-0`, `loop3`) of a device file; symbolic links such as `/dev/mapper/x` are followed.
pub(super) fn device_name(root: &Path, device: &Path) -> Option<String> {
    let below_root = below(root, device);
    let file = below_root.canonicalize().unwrap_or(below_root);
    let by_number =
        std::fs::metadata(&file).ok().filter(|meta| meta.file_type().is_block_device()).and_then(|meta| {
            let (major, minor) = (nix::sys::stat::major(meta.rdev()), nix::sys::stat::minor(meta.rdev()));
            let link = std::fs::read_link(root.join(format!("sys/dev/block/{major}:{minor}"))).ok()?;
            link.file_name().map(OsStr::to_owned)
        });
    let name: OsString = by_number.or_else(|| file.file_name().map(OsStr::to_owned))?;
    Some(name.to_string_lossy().into_owned())
}

fn below(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}
