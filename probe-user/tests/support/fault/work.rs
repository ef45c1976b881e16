//! What the scenarios do to their filesystem.
use std::{
    fmt::Write as _,
    fs::{self, File},
    os::{
        fd::AsRawFd,
        unix::fs::{FileExt, MetadataExt},
    },
    path::{Path, PathBuf},
    process::Command,
    sync::Mutex,
    thread::sleep,
    time::{Duration, Instant},
};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use probe_workload::ioctl::btrfs;

use super::module;

/// Bytes of one write: less than a page of the buffered write path of any kernel, more than an inline extent.
pub const LENGTH: u64 = 64 << 10;
/// Where a second extent lies, not beside the first.
pub const APART: u64 = 1 << 20;

/// The process that works on one filesystem.
#[derive(Debug)]
pub struct Work {
    device: PathBuf,
    /// Where it is mounted.
    pub path: PathBuf,
    uuid: String,
    notes: Mutex<String>,
}

impl Work {
    pub fn new(device: PathBuf, path: PathBuf, uuid: String) -> Self {
        Self { device, path, uuid, notes: Mutex::default() }
    }

    /// A new filesystem on the same device, with the identity that the tool was told to follow.
    pub fn make_again(&self) {
        // mkfs refuses an identity that it finds in use, if only on the device that it is to overwrite.
        let device = File::options().write(true).open(&self.device).expect("the device");
        for superblock in [64 << 10, 64 << 20] {
            device.write_all_at(&[0; 4096], superblock).expect("the superblock");
        }
        device.sync_all().expect("a sync");
        drop(device);
        let made = Command::new("mkfs.btrfs")
            .args(["-q", "-f", "-m", "single", "-d", "single", "-U", &self.uuid])
            .arg(&self.device)
            .status();
        assert!(made.expect("mkfs.btrfs").success());
    }

    pub fn mount(&self) {
        self.mount_with("");
    }

    pub fn mount_with(&self, options: &str) {
        mount(Some(&self.device), &self.path, Some("btrfs"), MsFlags::empty(), Some(options)).expect("mount");
    }

    pub fn umount(&self) {
        let start = Instant::now();
        while let Err(error) = umount2(&self.path, MntFlags::empty()) {
            assert!(start.elapsed() < crate::support::deadline(20), "umount: {error}");
            sleep(Duration::from_millis(20));
        }
    }

    pub fn quota(&self) {
        btrfs::quota_enable(btrfs::open_dir(&self.path).expect("the root")).expect("quotas");
        btrfs::quota_rescan_wait(btrfs::open_dir(&self.path).expect("the root")).expect("a rescan");
    }

    /// A file in the root folder. The first has the inode number 257.
    pub fn file(&self, name: &str) -> File {
        File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(self.path.join(name))
            .expect("a file")
    }

    /// [`Self::file`], of that inode number.
    pub fn numbered(&self, name: &str, ino: u64) -> File {
        let file = self.file(name);
        assert_eq!(file.metadata().expect("its inode").ino(), ino);
        file
    }

    pub fn commit(&self) {
        btrfs::sync(btrfs::open_dir(&self.path).expect("the root")).expect("a commit");
    }

    /// Arms a fault for this process.
    pub fn arm(&self, fault: &str) {
        module::arm(&format!("{fault} tgid={}", std::process::id()));
    }

    /// Arms a fault for all that is done to this inode, by whomever.
    pub fn arm_for(&self, file: &File, fault: &str) {
        module::arm(&format!("{fault} fd={}", file.as_raw_fd()));
    }

    /// Ends all faults, after each has acted that many times.
    pub fn disarm_after(&self, times: u64) {
        for (function, acted) in module::counts("acted") {
            assert_eq!(acted, times, "{function}: {:?}", module::counts("matched"));
        }
        self.disarm();
    }

    /// Ends all faults, notes how often they acted.
    pub fn disarm(&self) {
        let acted: u64 = module::counts("acted").iter().map(|(_, times)| times).sum();
        module::disarm();
        self.note("acted", acted);
    }

    /// A number for who checks.
    pub fn note(&self, name: &str, value: u64) {
        writeln!(self.notes.lock().expect("notes"), "{name} {value}").expect("a string");
    }

    pub fn notes(&self) -> String {
        self.notes.lock().expect("notes").clone()
    }

    /// Waits until nobody holds anything for work under way, and notes what the kernel's own pools hold beyond what
    /// belongs to nobody: `metadata` without the global reserve, and `data`.
    pub fn note_residue(&self) {
        self.commit();
        let number = |name: &str| -> u64 {
            let path = Path::new("/sys/fs/btrfs").join(&self.uuid).join("allocation").join(name);
            fs::read_to_string(&path).expect("sysfs").trim().parse().expect("a number")
        };
        self.note("metadata", number("metadata/bytes_may_use").wrapping_sub(number("global_rsv_reserved")));
        self.note("data", number("data/bytes_may_use"));
    }
}

/// Dirties bytes of a file; nothing is written out.
pub fn dirty(file: &File, at: u64) {
    write(file, at).expect("a write");
}

/// The same where it must fail.
pub fn dirty_fails(file: &File, at: u64, errno: i32) {
    let error = write(file, at).expect_err("a write that fails");
    assert_eq!(error.raw_os_error(), Some(errno), "{error}");
}

/// Writes in a thread of its own: kernels take no more pages at once than the thread may still dirty before it is
/// throttled (`btrfs_buffered_write()`, `fs/btrfs/file.c`, 6.1), and all that it dirtied before counts, so that a bug
/// would be made with less than [`LENGTH`].
fn write(file: &File, at: u64) -> std::io::Result<()> {
    let bytes = vec![7; LENGTH as usize];
    std::thread::scope(|scope| scope.spawn(|| file.write_all_at(&bytes, at)).join()).expect("a thread")
}
