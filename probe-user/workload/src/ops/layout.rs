//! Where the operations work: folders, subvolumes and files made once per filesystem.
use std::fs::{self, File, OpenOptions};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use nix::sys::statfs::{BTRFS_SUPER_MAGIC, statfs};

use crate::cleanup;
use crate::error::{At, Error, Result};
use crate::ioctl::{btrfs, file};
use crate::rng::Rng;

/// The two subvolumes whose files have the same inode numbers.
pub const TWINS: [&str; 2] = ["a", "b"];
/// Number of files in each of the two subvolumes that all threads share.
pub const SHARED_FILES: u64 = 4;
/// Limit of referenced bytes of the subvolume `limited`.
pub const QUOTA_LIMIT: u64 = 16 << 20;
/// Largest size of a file of the mix, bytes; sparse files excepted.
pub const MAX_FILE: u64 = 8 << 20;

/// What operations may do to the filesystem as a whole.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Abilities {
    /// Quotas are on: there is a subvolume `limited` that is filled until EDQUOT.
    pub quota: bool,
    /// Balances may run; not together with `quota`.
    pub balance: bool,
    /// The mount is ours, so it may be remounted read-only and back.
    pub remount: bool,
    /// It may be filled until ENOSPC.
    pub fill: bool,
}

/// A filesystem, or a folder of one, prepared for the operations.
#[derive(Debug)]
pub struct Layout {
    root: PathBuf,
    abilities: Abilities,
    /// Lock for an operation that works on the filesystem as a whole.
    pub(super) whole: Mutex<()>,
}

impl Layout {
    /// Makes the subvolumes and files below `root`, which must be on btrfs. Uses what already exists as it is, so that a
    /// filesystem that is full by now can be prepared again.
    ///
    /// # Errors
    /// [`Error::Usage`] if `root` is not on btrfs or both quotas and balances are asked for; else a failed system call.
    pub fn prepare(root: &Path, abilities: Abilities) -> Result<Self> {
        if statfs(root).at("looking at", root)?.filesystem_type() != BTRFS_SUPER_MAGIC {
            return Err(Error::Usage(format!(
                "{} is not on btrfs: name a folder on a mounted btrfs",
                root.display()
            )));
        }
        if abilities.quota && abilities.balance {
            let text = "quotas and balances are not mixed on one filesystem: allow one of the two";
            return Err(Error::Usage(text.into()));
        }
        let dir = btrfs::open_dir(root).at("opening", root)?;
        for name in TWINS {
            subvolume(&dir, root, name)?;
            let subvol = root.join(name);
            // Made first and in the same order in both subvolumes, so that they get the same inode numbers.
            for index in 0..SHARED_FILES {
                let path = subvol.join(shared_name(index));
                match OpenOptions::new().write(true).create_new(true).open(&path) {
                    Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
                    made => made.and_then(|file| file.set_len(1 << 20)),
                }
                .at("making", &path)?;
            }
        }
        for name in ["snaps", "subvols"] {
            folder(&root.join(name))?;
        }
        let path = root.join("nocow");
        if folder(&path)? {
            let nocow = File::open(&path).at("opening", &path)?;
            file::add_inode_flags(&nocow, file::FS_NOCOW_FL).at("setting +C on", &path)?;
        }
        let path = root.join("zip");
        if folder(&path)? {
            let zip = File::open(&path).at("opening", &path)?;
            file::set_xattr(&zip, c"btrfs.compression", b"zstd").at("setting compression on", &path)?;
        }
        if abilities.quota && subvolume(&dir, root, "limited")? {
            let path = root.join("limited");
            let limited = File::open(&path).at("opening", &path)?;
            let id = btrfs::subvol_id(&limited).at("looking up the subvolume id of", &path)?;
            btrfs::qgroup_limit(&dir, id, Some(QUOTA_LIMIT)).at("limiting", &path)?;
        }
        Ok(Self { root: root.to_path_buf(), abilities, whole: Mutex::new(()) })
    }

    /// The folder that it was made in.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What operations may do on it.
    pub fn abilities(&self) -> Abilities {
        self.abilities
    }
}

/// Name of shared file `index`.
pub fn shared_name(index: u64) -> String {
    format!("shared{index}")
}

/// Makes a subvolume; false if it exists already.
fn subvolume(dir: &File, root: &Path, name: &str) -> Result<bool> {
    let path = root.join(name);
    if path.is_dir() {
        return Ok(false);
    }
    btrfs::subvol_create(dir, name).at("making subvolume", path)?;
    Ok(true)
}

/// Makes a folder; false if it exists already.
fn folder(path: &Path) -> Result<bool> {
    match fs::create_dir(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        made => made.at("making", path).map(|()| true),
    }
}

/// What a worker passes to each operation.
#[derive(Debug)]
pub struct Ctx<'a> {
    /// The filesystem.
    pub layout: &'a Layout,
    /// Number of the worker, unique on this filesystem while it runs.
    pub worker: usize,
    /// Stop flag. Long operations check it often.
    pub stop: &'a AtomicBool,
    /// Time at which long operations must end.
    pub deadline: Option<Instant>,
}

impl Ctx<'_> {
    /// True if it is time to end: stopped, interrupted, or past the deadline.
    pub fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
            || cleanup::closing()
            || self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// A path below the root.
    pub fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.layout.root.join(relative)
    }

    /// Opens the root for ioctls.
    ///
    /// # Errors
    /// The answer of open(2).
    pub fn root_dir(&self) -> std::io::Result<File> {
        btrfs::open_dir(&self.layout.root)
    }

    /// One of the files that all workers share, in one of the two subvolumes.
    pub fn shared(&self, rng: &mut Rng) -> PathBuf {
        self.path(rng.pick(&TWINS)).join(shared_name(rng.below(SHARED_FILES)))
    }

    /// A folder of this worker alone, in one of the two subvolumes.
    ///
    /// # Errors
    /// The answer of mkdir(2), EEXIST excepted.
    pub fn private_dir(&self, rng: &mut Rng) -> std::io::Result<PathBuf> {
        let dir = self.path(rng.pick(&TWINS)).join(format!("w{}", self.worker));
        match fs::create_dir(&dir) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
            _ => Ok(dir),
        }
    }

    /// A file to write to; in most cases one that other workers write to as well.
    ///
    /// # Errors
    /// As [`Ctx::private_dir`].
    pub fn target(&self, rng: &mut Rng) -> std::io::Result<PathBuf> {
        if rng.chance(60) {
            return Ok(self.shared(rng));
        }
        Ok(self.private_dir(rng)?.join(format!("f{}", rng.below(4))))
    }
}
