//! Temp folders: makes one, and removes those whose owner was killed.
//!
//! A folder is stale if its lock file can be locked or, without a lock file, if no process has the pid in its name. The lock
//! decides where there is one, because another process may have the pid by now, or the pid may belong to another pid
//! namespace that shares our temp folder.
use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process;

use nix::fcntl::{Flock, FlockArg};
use nix::libc::O_NOFOLLOW;
use nix::unistd::geteuid;

use super::{FOLDER_PREFIX, Fsid};
use crate::error::{At, Error, Result};
use crate::ioctl::loopdev;
use crate::mounts;

/// Makes a temp folder in `parent` and locks it.
pub(super) fn make_folder(parent: &Path) -> Result<(PathBuf, Flock<File>)> {
    let random = Fsid::random().at("reading", "/dev/urandom")?.to_string();
    let name = format!("{FOLDER_PREFIX}{}.{}", process::id(), &random[..8]);
    // An absolute path, as the kernel shows it in mountinfo.
    let parent = parent.canonicalize().at("opening", parent)?;
    let folder = parent.join(name);
    DirBuilder::new().mode(0o700).create(&folder).at("making", &folder)?;
    // Locked before it gets its name, so that no other process finds it unlocked while its owner lives.
    let (new, path) = (folder.join("lock.new"), folder.join("lock"));
    let locked = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&new)
        .at("making", &new)
        .and_then(|file| {
            let lock = Flock::lock(file, FlockArg::LockExclusiveNonblock);
            lock.map_err(|(_, errno)| Error::sys("locking", &new, errno))
        })
        .and_then(|lock| fs::rename(&new, &path).at("making", &path).map(|()| lock));
    match locked {
        Ok(lock) => Ok((folder, lock)),
        Err(error) => {
            let _ = fs::remove_dir_all(&folder);
            Err(error)
        }
    }
}

/// Unmounts, detaches and removes what killed earlier runs left behind, in the usual temp folders and wherever something of
/// ours is still mounted. Returns the folders removed. Logs and leaves a folder that cannot be removed.
///
/// # Errors
/// `/proc/self/mountinfo` cannot be read.
pub fn cleanup_stale() -> Result<Vec<PathBuf>> {
    let mounted = mounts::current().at("reading", "/proc/self/mountinfo")?;
    let mut parents: BTreeSet<PathBuf> =
        ["/dev/shm", "/tmp", "/var/tmp"].into_iter().map(PathBuf::from).collect();
    parents.insert(std::env::temp_dir());
    let mut folders: BTreeSet<PathBuf> = parents.iter().flat_map(|parent| candidates(parent)).collect();
    folders.extend(
        mounted.iter().filter_map(|mount| mount.point.parent()).filter(|f| is_ours(f)).map(Path::to_path_buf),
    );
    let mut removed = Vec::new();
    for folder in folders {
        match remove_if_stale(&folder, &mounted) {
            Ok(true) => removed.push(folder),
            Ok(false) => {}
            Err(error) => log::warn!("leftover {}: {error}", folder.display()),
        }
    }
    Ok(removed)
}

fn candidates(parent: &Path) -> Vec<PathBuf> {
    let Ok(entries) = parent.canonicalize().and_then(fs::read_dir) else { return Vec::new() };
    entries.flatten().map(|entry| entry.path()).filter(|path| is_ours(path)).collect()
}

/// True if the folder has our name and belongs to us: in a shared temp folder, others can use such a name too.
fn is_ours(path: &Path) -> bool {
    pid_of(path).is_some()
        && fs::symlink_metadata(path).is_ok_and(|meta| meta.is_dir() && meta.uid() == geteuid().as_raw())
}

/// The pid in the name of one of our temp folders.
fn pid_of(path: &Path) -> Option<u32> {
    let (pid, random) = path.file_name()?.to_str()?.strip_prefix(FOLDER_PREFIX)?.split_once('.')?;
    (random.len() == 8 && random.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(())?;
    pid.parse().ok()
}

fn remove_if_stale(folder: &Path, mounted: &[mounts::Mount]) -> Result<bool> {
    let Some(_lock) = take_over(folder)? else { return Ok(false) };
    // Newest first, in case one is mounted over another.
    for mount in mounted.iter().rev().filter(|mount| mount.point.starts_with(folder)) {
        super::unmount_for_good(&mount.point)?;
    }
    for number in loops_of(folder) {
        loopdev::detach(number).at("detaching", format!("/dev/loop{number}"))?;
        super::wait_until_free(number, folder)?;
    }
    super::remove_folder(folder)?;
    Ok(true)
}

/// Takes the lock of a stale folder; `None` if its owner lives.
fn take_over(folder: &Path) -> Result<Option<Option<Flock<File>>>> {
    let path = folder.join("lock");
    match OpenOptions::new().write(true).custom_flags(O_NOFOLLOW).open(&path) {
        Ok(file) => Ok(Flock::lock(file, FlockArg::LockExclusiveNonblock).ok().map(Some)),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let lives = pid_of(folder).is_some_and(|pid| Path::new(&format!("/proc/{pid}")).exists());
            Ok((!lives).then_some(None))
        }
        Err(error) => Err(Error::sys("opening", path, error)),
    }
}

/// Numbers of the loop devices whose file is in `folder`.
fn loops_of(folder: &Path) -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/sys/block") else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.strip_prefix("loop")?.parse().ok())
        .filter(|number| loopdev::backing_file(*number).is_some_and(|file| file.starts_with(folder)))
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
    use super::*;

    #[test]
    fn only_names_of_ours_are_looked_at() {
        assert_eq!(pid_of(Path::new("/tmp/btrfs-probe-demo.12.0a1b2c3d")), Some(12));
        for name in
            ["btrfs-probe-demo.12", "btrfs-probe-demo.x.0a1b2c3d", "btrfs-probe-demo.12.0a1b2c3", "other"]
        {
            assert_eq!(pid_of(Path::new(name)), None, "{name}");
        }
    }

    #[test]
    fn a_locked_folder_lives_and_an_unlocked_one_goes() {
        let parent = tempfile::tempdir().unwrap();
        let (folder, lock) = make_folder(parent.path()).unwrap();
        fs::create_dir(folder.join("mnt")).unwrap();
        fs::write(folder.join("mnt/late"), "x").unwrap();
        assert_eq!(candidates(parent.path()), std::slice::from_ref(&folder));
        assert!(!remove_if_stale(&folder, &[]).unwrap());
        drop(lock);
        assert!(remove_if_stale(&folder, &[]).unwrap());
        assert!(!folder.exists());
    }

    #[test]
    fn without_a_lock_file_the_pid_decides() {
        let parent = tempfile::tempdir().unwrap();
        let living = parent.path().join(format!("{FOLDER_PREFIX}{}.00000000", process::id()));
        // Above the highest possible pid_max.
        let dead = parent.path().join(format!("{FOLDER_PREFIX}4194305.00000000"));
        for folder in [&living, &dead] {
            fs::create_dir(folder).unwrap();
        }
        assert!(!remove_if_stale(&living, &[]).unwrap());
        assert!(remove_if_stale(&dead, &[]).unwrap());
        assert!(living.exists() && !dead.exists());
    }
}
