//! Loop devices: `include/uapi/linux/loop.h`. LOOP_CONFIGURE exists from 5.8 on, and our oldest kernel is newer.
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

use crate::error::{At, Error, Result};

/// `LO_FLAGS_AUTOCLEAR`: the device is detached with its last user, so even after SIGKILL it stays attached no longer than
/// the mount.
const LO_FLAGS_AUTOCLEAR: u32 = 4;
/// `LOOP_MAJOR`.
const LOOP_MAJOR: u64 = 7;
/// How often another process may take the free device before us until we give up.
const ATTACH_TRIES: u32 = 32;

/// `struct loop_info64`.
#[repr(C)]
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
struct LoopInfo64 {
    lo_device: u64,
    lo_inode: u64,
    lo_rdevice: u64,
    lo_offset: u64,
    lo_sizelimit: u64,
    lo_number: u32,
    lo_encrypt_type: u32,
    lo_encrypt_key_size: u32,
    lo_flags: u32,
    lo_file_name: [u8; 64],
    lo_crypt_name: [u8; 64],
    lo_encrypt_key: [u8; 32],
    lo_init: [u64; 2],
}

/// `struct loop_config`.
#[repr(C)]
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
struct LoopConfig {
    fd: u32,
    block_size: u32,
    info: LoopInfo64,
    reserved: [u64; 8],
}

const _: () = assert!(size_of::<LoopInfo64>() == 232);
const _: () = assert!(size_of::<LoopConfig>() == 304);

mod raw {
    use super::LoopConfig;
    pub(super) const LOOP_CLR_FD: u64 = 0x4c01;
    pub(super) const LOOP_SET_CAPACITY: u64 = 0x4c07;
    pub(super) const LOOP_CONFIGURE: u64 = 0x4c0a;
    pub(super) const LOOP_CTL_GET_FREE: u64 = 0x4c82;
    nix::ioctl_none_bad!(loop_clr_fd, LOOP_CLR_FD);
    nix::ioctl_none_bad!(loop_set_capacity, LOOP_SET_CAPACITY);
    nix::ioctl_write_ptr_bad!(loop_configure, LOOP_CONFIGURE, LoopConfig);
    nix::ioctl_none_bad!(loop_ctl_get_free, LOOP_CTL_GET_FREE);
}

/// An attached loop device. Dropping it detaches it as soon as no process has it open or mounted.
#[derive(Debug)]
pub struct LoopDevice {
    number: u32,
    path: PathBuf,
    /// Keeps the device open: with autoclear set, it would vanish between mkfs and mount.
    file: File,
    /// We attached it, so we detach it.
    attached: bool,
    /// We made the node in /dev, so we remove it.
    made_node: bool,
}

impl LoopDevice {
    /// Attaches the file `image` to a free loop device.
    pub fn attach(image: &Path) -> Result<Self> {
        let backing = OpenOptions::new().read(true).write(true).open(image).at("opening", image)?;
        let control =
            OpenOptions::new().read(true).write(true).open("/dev/loop-control").map_err(Error::NoLoop)?;
        for _ in 0..ATTACH_TRIES {
            // SAFETY: LOOP_CTL_GET_FREE takes no argument and returns a device number.
            let number = unsafe { raw::loop_ctl_get_free(control.as_raw_fd()) }
                .at("finding a free loop device with", "/dev/loop-control")?;
            let number = number.unsigned_abs();
            let path = PathBuf::from(format!("/dev/loop{number}"));
            let (file, made_node) = open_node(&path, number)?;
            // Made before LOOP_CONFIGURE, so that a node of ours is removed on each way out.
            let mut device = Self { number, path, file, attached: false, made_node };
            match configure(&device.file, &backing, image) {
                Ok(()) => {
                    device.attached = true;
                    return Ok(device);
                }
                // Another process took it after LOOP_CTL_GET_FREE, so we must not detach it.
                Err(Errno::EBUSY) => {}
                Err(errno) => return Err(Error::sys("attaching", &device.path, errno)),
            }
        }
        Err(Error::sys("attaching a loop device with", "/dev/loop-control", Errno::EBUSY))
    }

    /// `/dev/loopN`.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// N of `/dev/loopN`.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Makes the device as large as the attached file is now, even while it is mounted.
    pub fn follow_size(&self) -> io::Result<()> {
        // SAFETY: LOOP_SET_CAPACITY takes no argument; the fd is an open loop device attached by us.
        unsafe { raw::loop_set_capacity(self.file.as_raw_fd()) }?;
        Ok(())
    }
}

impl Drop for LoopDevice {
    fn drop(&mut self) {
        if self.attached {
            // SAFETY: LOOP_CLR_FD takes no argument; the fd is an open loop device attached by us.
            if let Err(errno) = unsafe { raw::loop_clr_fd(self.file.as_raw_fd()) } {
                log::debug!("detaching {}: {errno}; autoclear will do it", self.path.display());
            }
        }
        if self.made_node {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// The file attached to loop device `number`, if any; a removed file carries the kernel's suffix ` (deleted)`.
pub fn backing_file(number: u32) -> Option<PathBuf> {
    let text = std::fs::read_to_string(format!("/sys/block/loop{number}/loop/backing_file")).ok()?;
    Some(PathBuf::from(text.trim_end_matches('\n')))
}

/// Detaches loop device `number`; takes effect when its last user is gone.
pub fn detach(number: u32) -> io::Result<()> {
    let file = OpenOptions::new().read(true).open(format!("/dev/loop{number}"))?;
    // SAFETY: LOOP_CLR_FD takes no argument; the fd is an open loop device.
    unsafe { raw::loop_clr_fd(file.as_raw_fd()) }?;
    Ok(())
}

/// Opens the device node. Makes it first where there is no devtmpfs (a bare container or initramfs).
fn open_node(path: &Path, number: u32) -> Result<(File, bool)> {
    let open = || OpenOptions::new().read(true).write(true).open(path);
    match open() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let mode = Mode::S_IRUSR | Mode::S_IWUSR;
            mknod(path, SFlag::S_IFBLK, mode, makedev(LOOP_MAJOR, u64::from(number))).at("making", path)?;
            open().map(|file| (file, true)).at("opening", path)
        }
        other => other.map(|file| (file, false)).at("opening", path),
    }
}

fn configure(device: &File, backing: &File, image: &Path) -> std::result::Result<(), Errno> {
    let mut config = LoopConfig::new_zeroed();
    config.fd = backing.as_fd().as_raw_fd().unsigned_abs();
    config.info.lo_flags = LO_FLAGS_AUTOCLEAR;
    let name = image.as_os_str().as_encoded_bytes();
    // The last byte stays 0; the full name is in sysfs anyway.
    let length = name.len().min(config.info.lo_file_name.len() - 1);
    config.info.lo_file_name[..length].copy_from_slice(&name[..length]);
    // SAFETY: `config` is a live `struct loop_config` of the size asserted above; the kernel only reads it.
    unsafe { raw::loop_configure(device.as_raw_fd(), &raw const config) }.map(drop)
}
