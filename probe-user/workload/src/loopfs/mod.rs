//! A temporary btrfs on a loop device.
//!
//! One temp folder `btrfs-probe-demo.PID.RANDOM` (mode 0700) holds a `lock` file that is flocked for as long as its owner
//! lives, the sparse `image`, and the mount point `mnt`. The loop device has autoclear set, so even SIGKILL leaves only the
//! mount and the folder, which [`stale::cleanup_stale`] of a later run removes.
//!
//! It is removed in this order: unmount (cancel a balance, wait for the last open file, in the end lazily), forget the
//! device, detach it, wait until it is free, move the mount point aside (which the kernel refuses while something is mounted
//! on it), remove the folder.
mod flags;
mod mkfs;
mod options;
pub mod stale;

use std::fs::{self, DirBuilder, File};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::Flock;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::unistd::geteuid;

use crate::cleanup::{self, Undo};
use crate::error::{At, Error, Result};
use crate::ioctl::{btrfs, loopdev};
use crate::mounts;
pub use options::{Fsid, LoopFsOptions, Profile, default_dir};

/// First part of the name of all our temp folders.
pub const FOLDER_PREFIX: &str = "btrfs-probe-demo.";
/// How long an unmount waits for the last user before it fails, or detaches lazily when cleaning up.
const UNMOUNT_PATIENCE: Duration = Duration::from_secs(10);
/// How long a loop device may take to become free after its last user went.
const DETACH_PATIENCE: Duration = Duration::from_secs(30);

/// A btrfs on a loop device, which is removed on drop.
#[derive(Debug)]
pub struct LoopFs {
    inner: Arc<Inner>,
    device: PathBuf,
    fsid: Fsid,
    options: LoopFsOptions,
}

#[derive(Debug)]
struct Inner {
    folder: PathBuf,
    mount_point: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    device: Option<loopdev::LoopDevice>,
    lock: Option<Flock<File>>,
    mounted: bool,
    /// Everything has been removed; nothing may be made any more.
    gone: bool,
}

impl LoopFs {
    /// Makes the image, the loop device and the filesystem; does not mount it.
    ///
    /// # Errors
    /// Not root, no mkfs.btrfs or a refusal of it, no loop driver, no room for the image, a failed system call, or the
    /// process is closing; what had been made is gone again.
    pub fn create(options: LoopFsOptions) -> Result<Self> {
        if !geteuid().is_root() {
            return Err(Error::NeedsRoot);
        }
        let mkfs = mkfs::find()?;
        let fsid = match options.fsid {
            Some(fsid) => fsid,
            None => Fsid::random().at("reading", "/dev/urandom")?,
        };
        let parent = options.dir.clone().unwrap_or_else(|| default_dir(options.size));
        options::check_room(&parent, options.size)?;
        let inner = Inner::create(&parent)?;
        // From here on dropping `this` undoes what has been made so far.
        let mut this = Self { inner, device: PathBuf::new(), fsid, options };
        let image = this.inner.image();
        let mut state = this.inner.lock()?;
        let file = File::options().write(true).create_new(true).open(&image).at("making", &image)?;
        file.set_len(this.options.size).at("sizing", &image)?;
        let device = loopdev::LoopDevice::attach(&image)?;
        let path = device.path().to_path_buf();
        state.device = Some(device);
        mkfs::run(&mkfs, &this.options.mkfs_args(fsid), &path)?;
        drop(state);
        this.device = path;
        Ok(this)
    }

    /// [`LoopFs::create`], mounts it, and switches quotas on if asked for.
    ///
    /// # Errors
    /// As [`LoopFs::create`] and [`LoopFs::mount`]; or quotas cannot be switched on.
    pub fn create_mounted(options: LoopFsOptions) -> Result<Self> {
        let quota = options.quota;
        let this = Self::create(options)?;
        this.mount()?;
        if quota {
            let root = btrfs::open_dir(this.path()).at("opening", this.path())?;
            btrfs::quota_enable(&root).at("switching quotas on in", this.path())?;
        }
        Ok(this)
    }

    /// The mount point; an empty folder while nothing is mounted.
    pub fn path(&self) -> &Path {
        &self.inner.mount_point
    }

    /// `/dev/loopN`.
    pub fn device(&self) -> &Path {
        &self.device
    }

    /// The filesystem UUID.
    pub fn fsid(&self) -> Fsid {
        self.fsid
    }

    /// The options it was made with.
    pub fn options(&self) -> &LoopFsOptions {
        &self.options
    }

    /// Mounts it with the options it was made with.
    ///
    /// # Errors
    /// [`Error::NoBtrfs`], or the answer of mount(2).
    pub fn mount(&self) -> Result<()> {
        self.mount_with(&self.options.mount_options)
    }

    /// Mounts it with other options, as in `mount -o`.
    ///
    /// # Errors
    /// [`Error::NoBtrfs`], or the answer of mount(2), such as EINVAL for an option that btrfs does not know.
    pub fn mount_with(&self, mount_options: &str) -> Result<()> {
        let mut state = self.inner.lock()?;
        let (flags, data) = flags::split(mount_options);
        let flags = flags | MsFlags::MS_NODEV | MsFlags::MS_NOSUID;
        match mount(Some(&self.device), self.path(), Some("btrfs"), flags, Some(data.as_str())) {
            Ok(()) => state.mounted = true,
            Err(Errno::ENODEV) => return Err(Error::NoBtrfs),
            Err(errno) => return Err(Error::sys("mounting", &self.device, errno)),
        }
        Ok(())
    }

    /// Unmounts it. Waits up to ten seconds while it is in use.
    ///
    /// # Errors
    /// EBUSY after ten seconds, or [`Error::Interrupted`] if it has been undone already.
    pub fn umount(&self) -> Result<()> {
        let mut state = self.inner.lock()?;
        if state.mounted {
            unmount_patiently(self.path(), UNMOUNT_PATIENCE).at("unmounting", self.path())?;
            state.mounted = false;
        }
        Ok(())
    }

    /// Remounts it read-only or read-write. EBUSY: files are open for writing.
    ///
    /// # Errors
    /// The answer of mount(2).
    pub fn remount(&self, read_only: bool) -> Result<()> {
        remount(self.path(), read_only).at("remounting", self.path())
    }

    /// Commits everything (BTRFS_IOC_SYNC).
    ///
    /// # Errors
    /// The answer of the commit, such as EIO or EROFS after an aborted transaction.
    pub fn sync(&self) -> Result<()> {
        let root = btrfs::open_dir(self.path()).at("opening", self.path())?;
        btrfs::sync(&root).at("syncing", self.path())
    }

    /// Truncates the device to `size` bytes, mounted or not. What is beyond is lost: the kernel returns EIO for each read
    /// and write there.
    ///
    /// # Errors
    /// No device any more, or a failed system call.
    pub fn cut_device(&self, size: u64) -> Result<()> {
        let image = self.inner.image();
        File::options().write(true).open(&image).and_then(|file| file.set_len(size)).at("cutting", &image)?;
        let state = self.inner.lock()?;
        let device = state.device.as_ref().ok_or(Errno::ENXIO).at("cutting", &self.device)?;
        device.follow_size().at("cutting", &self.device)
    }

    /// Removes everything and returns the first error. Dropping does the same, but only logs errors.
    ///
    /// # Errors
    /// The first step that failed; the steps after it were done too.
    pub fn close(self) -> Result<()> {
        self.inner.teardown()
    }
}

impl Drop for LoopFs {
    fn drop(&mut self) {
        self.inner.undo();
        let guard: Arc<dyn Undo> = self.inner.clone();
        cleanup::unregister(&guard);
    }
}

/// mount(2) with MS_REMOUNT, which replaces all flags, so the current ones are passed again.
pub(crate) fn remount(point: &Path, read_only: bool) -> std::io::Result<()> {
    let mounted = mounts::current()?.into_iter().rfind(|mount| mount.point == point).ok_or(Errno::EINVAL)?;
    let (mut flags, _) = flags::split(&mounted.options);
    flags.set(MsFlags::MS_RDONLY, read_only);
    mount(None::<&str>, point, None::<&str>, flags | MsFlags::MS_REMOUNT, None::<&str>)?;
    Ok(())
}

impl Inner {
    fn create(parent: &Path) -> Result<Arc<Self>> {
        let (folder, lock) = stale::make_folder(parent)?;
        let state = State { lock: Some(lock), ..State::default() };
        let mount_point = folder.join("mnt");
        let inner = Arc::new(Self { folder, mount_point, state: Mutex::new(state) });
        let guard: Arc<dyn Undo> = inner.clone();
        cleanup::register(guard);
        if let Err(error) = DirBuilder::new().mode(0o700).create(&inner.mount_point) {
            inner.undo();
            return Err(Error::sys("making", &inner.mount_point, error));
        }
        Ok(inner)
    }

    fn image(&self) -> PathBuf {
        self.folder.join("image")
    }

    /// Locks the state to make something; fails once it is being removed.
    fn lock(&self) -> Result<MutexGuard<'_, State>> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.gone || cleanup::closing() { Err(Error::Interrupted) } else { Ok(state) }
    }

    fn teardown(&self) -> Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if std::mem::replace(&mut state.gone, true) {
            return Ok(());
        }
        let mut result = Ok(());
        if std::mem::take(&mut state.mounted) {
            result = unmount_for_good(&self.mount_point);
        }
        if let Some(device) = state.device.take() {
            let number = device.number();
            // The device may already be unknown, or in use after a lazy unmount. An error does not matter.
            let _ = btrfs::forget_device(device.path());
            drop(device);
            result = result.and(wait_until_free(number, &self.folder));
        }
        result = result.and(remove_folder(&self.folder));
        drop(state.lock.take());
        result
    }
}

impl Undo for Inner {
    fn undo(&self) {
        if let Err(error) = self.teardown() {
            log::warn!("cleaning up {}: {error}", self.folder.display());
        }
    }
}

/// Unmounts, and waits for users that will be done soon (a worker's last operation, udev looking at a device).
fn unmount_patiently(point: &Path, patience: Duration) -> nix::Result<()> {
    let start = Instant::now();
    let mut cancelled = false;
    loop {
        match umount2(point, MntFlags::UMOUNT_NOFOLLOW) {
            Err(Errno::EBUSY) if start.elapsed() < patience => {
                // A balance may hold the mount for any length of time.
                if !std::mem::replace(&mut cancelled, true)
                    && let Ok(root) = btrfs::open_dir(point)
                {
                    let _ = btrfs::balance_cancel(&root);
                }
                sleep(Duration::from_millis(20));
            }
            other => return other,
        }
    }
}

/// Unmounts in any case: at once, after a while, or lazily. EINVAL: it is not mounted (any more).
fn unmount_for_good(point: &Path) -> Result<()> {
    match unmount_patiently(point, UNMOUNT_PATIENCE) {
        Err(Errno::EBUSY) => {
            log::warn!("{} is still in use: unmounting it as soon as that ends", point.display());
            umount2(point, MntFlags::UMOUNT_NOFOLLOW | MntFlags::MNT_DETACH).at("unmounting", point)
        }
        Err(Errno::EINVAL) => Ok(()),
        other => other.at("unmounting", point),
    }
}

/// Waits until loop device `number` has no file of `folder` any more.
fn wait_until_free(number: u32, folder: &Path) -> Result<()> {
    let start = Instant::now();
    while loopdev::backing_file(number).is_some_and(|file| file.starts_with(folder)) {
        if start.elapsed() > DETACH_PATIENCE {
            return Err(Error::sys("detaching", format!("/dev/loop{number}"), Errno::EBUSY));
        }
        sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// Removes one of our temp folders, never what is mounted in it. Moves the mount point aside first: that fails while
/// something is mounted there, and late writers lose the path.
fn remove_folder(folder: &Path) -> Result<()> {
    let point = folder.join("mnt");
    let aside = folder.join("unmounted");
    match fs::rename(&point, &aside) {
        Ok(()) => fs::remove_dir_all(&aside).at("removing", &aside)?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(Error::sys("removing", point, error)),
    }
    fs::remove_dir_all(folder).at("removing", folder)
}
