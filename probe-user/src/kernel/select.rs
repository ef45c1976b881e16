//! `--fs MOUNT|UUID|DEVICE`: which filesystem is meant.
//!
//! A path below a mount means that mount, by its text alone. Below `/` it does not: a mistyped folder must not silently mean the root
//! filesystem.
use std::io;
use std::path::{Component, Path, PathBuf};

use super::files::shown;
use super::fsid::Fsid;
use super::mountinfo::{self, Mount};
use super::mounts::{Filesystem, device_name, filesystems};

/// Why it is unknown which filesystem is meant.
#[derive(Debug, thiserror::Error)]
pub enum SelectError {
    /// A UUID that is not mounted now. A caller may wait for it to be mounted.
    #[error("no mounted btrfs has the UUID {fsid}; {known}")]
    NotMounted {
        /// The UUID.
        fsid: Fsid,
        /// What is mounted, in words.
        known: String,
    },
    /// A mount point of something else.
    #[error("{given} is a mount of {fs_type}, not of btrfs; {known}")]
    NotBtrfs {
        /// What was asked for.
        given: String,
        /// What it is.
        fs_type: String,
        /// What is mounted, in words.
        known: String,
    },
    /// A btrfs mount whose device is not among those of `/sys/fs/btrfs`.
    #[error(
        "{given} is a btrfs, but its device {source_device} is not in /sys/fs/btrfs: name it by its UUID; {known}"
    )]
    UnknownDevice {
        /// What was asked for.
        given: String,
        /// What mountinfo calls its device.
        source_device: String,
        /// What is mounted, in words.
        known: String,
    },
    /// Several mounted filesystems have the label.
    #[error("{count} mounted filesystems have the label {label}: name the one by its UUID; {known}")]
    Label {
        /// The label.
        label: String,
        /// How many.
        count: usize,
        /// What is mounted, in words.
        known: String,
    },
    /// No mounted btrfs has it.
    #[error("{given} is neither mount point, UUID nor device of a mounted btrfs; {known}")]
    Unknown {
        /// What was asked for.
        given: String,
        /// What is mounted, in words.
        known: String,
    },
    /// The kernel's lists cannot be read.
    #[error("cannot list the mounted filesystems: {0}; are /proc and /sys mounted?")]
    Read(#[from] io::Error),
}

/// The filesystem that `given` means, without touching any mount.
///
/// # Errors
/// One sentence that says what is there instead.
pub fn select(root: &Path, given: &str) -> Result<Filesystem, SelectError> {
    let all = filesystems(root)?;
    if let Ok(fsid) = given.parse::<Fsid>() {
        let known = list(&all);
        return all
            .into_iter()
            .find(|filesystem| filesystem.fsid == fsid)
            .ok_or(SelectError::NotMounted { fsid, known });
    }
    let label = given.strip_prefix("LABEL=");
    let named = |filesystem: &Filesystem| match label {
        Some(label) => filesystem.label.trim_end_matches('\n') == label,
        None => filesystem.devices.iter().any(|device| device == given),
    };
    let count = all.iter().filter(|filesystem| named(filesystem)).count();
    if let (Some(label), 2..) = (label, count) {
        return Err(SelectError::Label { label: shown(label.as_ref()), count, known: list(&all) });
    }
    if count == 1 || label.is_some() {
        let known = list(&all);
        let unknown = SelectError::Unknown { given: shown(given.as_ref()), known };
        return all.into_iter().find(named).ok_or(unknown);
    }
    let mounts = mountinfo::read(root)?;
    let path = linked(root, &mounts, lexical(given));
    let given = shown(given.as_ref());
    if let Some(mount) = mount_of(&mounts, &path) {
        let known = list(&all);
        if !mount.is_btrfs() {
            return Err(SelectError::NotBtrfs { given, fs_type: mount.fs_type.clone(), known });
        }
        return all
            .into_iter()
            .find(|filesystem| filesystem.mounts.contains(mount))
            .ok_or_else(|| SelectError::UnknownDevice { given, source_device: shown(&mount.source), known });
    }
    let device = if on_btrfs(&mounts, &path) { None } else { device_name(root, &path) };
    let known = list(&all);
    all.into_iter()
        .find(|filesystem| device.as_ref().is_some_and(|device| filesystem.devices.contains(device)))
        .ok_or(SelectError::Unknown { given, known })
}

/// Follows a link to a mount point. What is below a btrfs is not looked up, and is no link then.
fn linked(root: &Path, mounts: &[Mount], mut path: PathBuf) -> PathBuf {
    const MOST: usize = 8;
    for _ in 0..MOST {
        if on_btrfs(mounts, &path) {
            break;
        }
        let Ok(target) = std::fs::read_link(root.join(path.strip_prefix("/").unwrap_or(&path))) else {
            break;
        };
        // Devices have links too; they are looked up by number.
        if path.starts_with("/dev") {
            break;
        }
        let beside = path.parent().unwrap_or(&path).join(target);
        path = lexical(&beside.to_string_lossy());
    }
    path
}

/// The mount at this path, or else the btrfs other than `/` that the path lies in.
fn mount_of<'a>(mounts: &'a [Mount], path: &Path) -> Option<&'a Mount> {
    let at = mounts.iter().rfind(|mount| mount.mount_point == path);
    let around = || {
        let above = mounts.iter().filter(|mount| path.starts_with(&mount.mount_point));
        // Of several at one place the last one hides the others.
        let innermost = above.max_by_key(|mount| mount.mount_point.components().count());
        innermost.filter(|mount| mount.is_btrfs() && mount.mount_point != Path::new("/"))
    };
    at.or_else(around)
}

/// Whether a lookup of this path would touch a btrfs.
fn on_btrfs(mounts: &[Mount], path: &Path) -> bool {
    mounts
        .iter()
        .filter(|mount| path.starts_with(&mount.mount_point))
        .max_by_key(|mount| mount.mount_point.components().count())
        .is_some_and(Mount::is_btrfs)
}

/// Makes a path absolute, without `.` and `..`, from its text alone: the kernel is not asked.
#[must_use]
pub fn lexical(given: &str) -> PathBuf {
    let absolute = std::path::absolute(given).unwrap_or_else(|_| PathBuf::from(given));
    let mut path = PathBuf::new();
    for component in absolute.components() {
        match component {
            Component::ParentDir => {
                path.pop();
            }
            Component::CurDir => {}
            component => path.push(component),
        }
    }
    path
}

fn list(all: &[Filesystem]) -> String {
    if all.is_empty() {
        return "no btrfs is mounted".to_owned();
    }
    let entries = all.iter().map(|filesystem| {
        let place = match filesystem.mounts.as_slice() {
            [] => "mounted elsewhere".to_owned(),
            [first, ..] => format!("on {}", shown(first.mount_point.as_os_str())),
        };
        format!("{} {place} ({})", filesystem.fsid, filesystem.devices.join(", "))
    });
    format!("mounted are {}", entries.collect::<Vec<_>>().join("; "))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that fails must fail")]
    use std::fs;
    use std::os::unix::fs::symlink;

    use tempfile::TempDir;

    use super::*;

    const ONE: &str = "096b213d-14aa-474b-a4f5-0384e00bcd4b";
    const TWO: &str = "a6d7e2d6-1b39-4a3a-9d5b-3a36a2b8f001";

    fn put(root: &Path, file: &str, text: &str) {
        let file = root.join(file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }

    /// As of a machine with a loop device mounted twice, and a device-mapper pair.
    fn tree() -> TempDir {
        let tree = TempDir::new().unwrap();
        let root = tree.path();
        put(
            root,
            "proc/self/mountinfo",
            "27 1 254:0 / / rw,relatime - ext4 /dev/root rw\n\
             28 27 0:5 / /dev rw - devtmpfs devtmpfs rw\n\
             43 27 0:39 / /tmp/m\\040nt rw - btrfs /dev/loop0 rw,subvolid=5,subvol=/\n\
             44 27 0:39 /sub /sub rw - btrfs /dev/loop0 rw,subvolid=256,subvol=/sub\n\
             45 27 0:41 / /scratch rw - btrfs /dev/mapper/my-disk rw,subvolid=5,subvol=/\n\
             46 27 0:43 / /odd rw - btrfs /dev/gone rw,subvolid=5,subvol=/\n",
        );
        for (fsid, label, devices) in [(ONE, "my label\n", &["loop0"][..]), (TWO, "\n", &["dm-0", "sdb"])] {
            put(root, &format!("sys/fs/btrfs/{fsid}/label"), label);
            fs::create_dir(root.join("sys/fs/btrfs").join(fsid).join("devices")).unwrap();
            for device in devices {
                let link = root.join("sys/fs/btrfs").join(fsid).join("devices").join(device);
                symlink(format!("../../../../devices/virtual/block/{device}"), link).unwrap();
                put(root, &format!("dev/{device}"), "");
            }
        }
        fs::create_dir_all(root.join("sys/fs/btrfs/features")).unwrap();
        fs::create_dir(root.join("dev/mapper")).unwrap();
        symlink("../dm-0", root.join("dev/mapper/my-disk")).unwrap();
        symlink("scratch", root.join("link")).unwrap();
        tree
    }

    #[test]
    fn by_mount_device_and_uuid() {
        let tree = tree();
        for (given, fsid) in [
            ("/tmp/m nt", ONE),
            ("/tmp//x/../m nt/", ONE),
            ("/sub", ONE),
            ("/scratch", TWO),
            ("/dev/loop0", ONE),
            ("/dev/mapper/my-disk", TWO),
            ("/dev/sdb", TWO),
            (TWO, TWO),
            (&ONE.to_uppercase(), ONE),
            ("/tmp/m nt/below/file", ONE),
            ("/scratch/x", TWO),
            ("/link", TWO),
            ("loop0", ONE),
            ("sdb", TWO),
            ("LABEL=my label", ONE),
        ] {
            assert_eq!(select(tree.path(), given).unwrap().fsid.to_string(), fsid, "{given}");
        }
        let one = select(tree.path(), ONE).unwrap();
        assert_eq!((one.label.as_str(), one.mounts.len()), ("my label", 2));
    }

    #[test]
    fn what_is_not_there_is_said_with_what_is() {
        let tree = tree();
        let sentence = |given: &str| select(tree.path(), given).unwrap_err().to_string();
        let known = format!("mounted are {ONE} on /tmp/m nt (loop0); {TWO} on /scratch (dm-0, sdb)");
        assert_eq!(
            sentence("/tmp/other"),
            format!("/tmp/other is neither mount point, UUID nor device of a mounted btrfs; {known}")
        );
        assert_eq!(
            sentence("LABEL=none"),
            format!("LABEL=none is neither mount point, UUID nor device of a mounted btrfs; {known}")
        );
        assert_eq!(sentence("/"), format!("/ is a mount of ext4, not of btrfs; {known}"));
        assert_eq!(
            sentence("/odd"),
            format!(
                "/odd is a btrfs, but its device /dev/gone is not in /sys/fs/btrfs: name it by its UUID; {known}"
            )
        );
        let other = "00000000-0000-0000-0000-000000000000";
        assert_eq!(sentence(other), format!("no mounted btrfs has the UUID {other}; {known}"));
        assert!(sentence("/x\u{1b}[31m").starts_with("/x\\u{1b}[31m is neither"));
    }

    #[test]
    fn without_any_btrfs() {
        let tree = TempDir::new().unwrap();
        put(tree.path(), "proc/self/mountinfo", "27 1 254:0 / / rw,relatime - ext4 /dev/root rw\n");
        let error = select(tree.path(), "/dev/sda").unwrap_err().to_string();
        assert_eq!(
            error,
            "/dev/sda is neither mount point, UUID nor device of a mounted btrfs; no btrfs is mounted"
        );
    }

    #[test]
    fn a_path_on_a_mount_is_never_looked_up() {
        let mounts = mountinfo::read(tree().path()).unwrap();
        for (path, expected) in [("/scratch/file", true), ("/scratchy", false), ("/dev/sdb", false)] {
            assert_eq!(on_btrfs(&mounts, Path::new(path)), expected, "{path}");
        }
    }
}
