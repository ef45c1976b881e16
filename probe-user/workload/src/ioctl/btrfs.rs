//! btrfs ioctls: `include/uapi/linux/btrfs.h`.
//!
//! Names of subvolumes and snapshots are relative to the directory whose fd is given, without a slash.
use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::errno::Errno;
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

/// `BTRFS_SUBVOL_RDONLY`.
const SUBVOL_RDONLY: u64 = 1 << 1;
/// `BTRFS_QGROUP_LIMIT_MAX_RFER`.
const QGROUP_LIMIT_MAX_RFER: u64 = 1 << 0;
/// `BTRFS_QUOTA_CTL_ENABLE` and `BTRFS_QUOTA_CTL_DISABLE`.
const QUOTA_CTL_ENABLE: u64 = 1;
const QUOTA_CTL_DISABLE: u64 = 2;
/// `BTRFS_BALANCE_CTL_CANCEL`.
const BALANCE_CTL_CANCEL: i32 = 2;
/// `BTRFS_BALANCE_ARGS_USAGE` and `BTRFS_BALANCE_ARGS_LIMIT`.
const BALANCE_ARGS_USAGE: u64 = 1 << 1;
const BALANCE_ARGS_LIMIT: u64 = 1 << 5;
/// `BTRFS_FIRST_FREE_OBJECTID`: the inode number of the root of each subvolume.
const FIRST_FREE_OBJECTID: u64 = 256;

/// `struct btrfs_ioctl_vol_args`.
#[repr(C)]
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
struct VolArgs {
    fd: i64,
    name: [u8; 4088],
}

/// `struct btrfs_ioctl_vol_args_v2`.
#[repr(C)]
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
struct VolArgsV2 {
    fd: i64,
    transid: u64,
    flags: u64,
    unused: [u64; 4],
    name: [u8; 4040],
}

/// `struct btrfs_ioctl_quota_ctl_args`.
#[repr(C)]
struct QuotaCtlArgs {
    cmd: u64,
    status: u64,
}

/// `struct btrfs_ioctl_qgroup_limit_args` with its `struct btrfs_qgroup_limit` unfolded.
#[repr(C)]
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
struct QgroupLimitArgs {
    qgroupid: u64,
    flags: u64,
    max_rfer: u64,
    max_excl: u64,
    rsv_rfer: u64,
    rsv_excl: u64,
}

/// `struct btrfs_balance_args`; packed in C, and without padding anyway.
#[repr(C)]
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
struct BalanceArgs {
    profiles: u64,
    usage: u64,
    devid: u64,
    pstart: u64,
    pend: u64,
    vstart: u64,
    vend: u64,
    target: u64,
    flags: u64,
    limit: u64,
    stripes_min: u32,
    stripes_max: u32,
    unused: [u64; 6],
}

/// `struct btrfs_ioctl_balance_args`.
#[repr(C)]
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
struct IoctlBalanceArgs {
    flags: u64,
    state: u64,
    data: BalanceArgs,
    meta: BalanceArgs,
    sys: BalanceArgs,
    expected: u64,
    considered: u64,
    completed: u64,
    unused: [u64; 72],
}

/// `struct btrfs_ioctl_defrag_range_args`.
#[repr(C)]
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
struct DefragRangeArgs {
    start: u64,
    len: u64,
    flags: u64,
    extent_thresh: u32,
    compress_type: u32,
    unused: [u32; 4],
}

/// `struct btrfs_ioctl_ino_lookup_args`.
#[repr(C)]
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
struct InoLookupArgs {
    treeid: u64,
    objectid: u64,
    name: [u8; 4080],
}

const _: () = assert!(size_of::<VolArgs>() == 4096);
const _: () = assert!(size_of::<VolArgsV2>() == 4096);
const _: () = assert!(size_of::<QuotaCtlArgs>() == 16);
const _: () = assert!(size_of::<QgroupLimitArgs>() == 48);
const _: () = assert!(size_of::<BalanceArgs>() == 136);
const _: () = assert!(size_of::<IoctlBalanceArgs>() == 1024);
const _: () = assert!(size_of::<DefragRangeArgs>() == 48);
const _: () = assert!(size_of::<InoLookupArgs>() == 4096);

mod raw {
    use super::{
        DefragRangeArgs, InoLookupArgs, IoctlBalanceArgs, QgroupLimitArgs, QuotaCtlArgs, VolArgs, VolArgsV2,
    };
    pub(super) const MAGIC: u8 = 0x94;
    pub(super) const BALANCE_CTL: u64 = nix::request_code_write!(MAGIC, 33, size_of::<i32>());
    nix::ioctl_write_ptr!(forget_dev, MAGIC, 5, VolArgs);
    nix::ioctl_none!(sync, MAGIC, 8);
    nix::ioctl_write_ptr!(subvol_create, MAGIC, 14, VolArgs);
    nix::ioctl_write_ptr!(snap_destroy, MAGIC, 15, VolArgs);
    nix::ioctl_write_ptr!(defrag_range, MAGIC, 16, DefragRangeArgs);
    nix::ioctl_readwrite!(ino_lookup, MAGIC, 18, InoLookupArgs);
    nix::ioctl_write_ptr!(wait_sync, MAGIC, 22, u64);
    nix::ioctl_write_ptr!(snap_create_v2, MAGIC, 23, VolArgsV2);
    nix::ioctl_read!(start_sync, MAGIC, 24, u64);
    nix::ioctl_readwrite!(balance_v2, MAGIC, 32, IoctlBalanceArgs);
    nix::ioctl_write_int_bad!(balance_ctl, BALANCE_CTL);
    nix::ioctl_readwrite!(quota_ctl, MAGIC, 40, QuotaCtlArgs);
    // The header declares it as a read, although the kernel reads the argument.
    nix::ioctl_read!(qgroup_limit, MAGIC, 43, QgroupLimitArgs);
    nix::ioctl_none!(quota_rescan_wait, MAGIC, 46);
}

fn vol_args(name: &OsStr) -> io::Result<VolArgs> {
    let mut args = VolArgs::new_zeroed();
    put_name(&mut args.name, name)?;
    Ok(args)
}

/// Copies a name with its terminating 0.
fn put_name(target: &mut [u8], name: &OsStr) -> io::Result<()> {
    let bytes = name.as_bytes();
    if bytes.is_empty() || bytes.len() >= target.len() || bytes.contains(&0) {
        return Err(Errno::EINVAL.into());
    }
    target[..bytes.len()].copy_from_slice(bytes);
    Ok(())
}

/// Opens a directory for the calls below.
pub fn open_dir(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).open(path)
}

/// BTRFS_IOC_SUBVOL_CREATE: a new, empty subvolume `name` in `dir`.
pub fn subvol_create(dir: impl AsFd, name: impl AsRef<OsStr>) -> io::Result<()> {
    let args = vol_args(name.as_ref())?;
    // SAFETY: a live `struct btrfs_ioctl_vol_args` of the asserted size; the kernel only reads it.
    unsafe { raw::subvol_create(dir.as_fd().as_raw_fd(), &raw const args) }?;
    Ok(())
}

/// BTRFS_IOC_SNAP_CREATE_V2: makes a snapshot of the open subvolume `source`, in `dir` with the name `name`.
pub fn snapshot(
    dir: impl AsFd,
    name: impl AsRef<OsStr>,
    source: impl AsFd,
    read_only: bool,
) -> io::Result<()> {
    let mut args = VolArgsV2::new_zeroed();
    args.fd = i64::from(source.as_fd().as_raw_fd());
    args.flags = if read_only { SUBVOL_RDONLY } else { 0 };
    put_name(&mut args.name, name.as_ref())?;
    // SAFETY: a live `struct btrfs_ioctl_vol_args_v2` of the asserted size; the kernel only reads it. Its fd is borrowed
    // for the call.
    unsafe { raw::snap_create_v2(dir.as_fd().as_raw_fd(), &raw const args) }?;
    Ok(())
}

/// BTRFS_IOC_SNAP_DESTROY: deletes the subvolume or snapshot `name` of `dir` with all that is in it.
pub fn subvol_delete(dir: impl AsFd, name: impl AsRef<OsStr>) -> io::Result<()> {
    let args = vol_args(name.as_ref())?;
    // SAFETY: a live `struct btrfs_ioctl_vol_args` of the asserted size; the kernel only reads it.
    unsafe { raw::snap_destroy(dir.as_fd().as_raw_fd(), &raw const args) }?;
    Ok(())
}

/// The id of the subvolume that holds `file` (BTRFS_IOC_INO_LOOKUP with tree 0).
pub fn subvol_id(file: impl AsFd) -> io::Result<u64> {
    let mut args = InoLookupArgs::new_zeroed();
    args.objectid = FIRST_FREE_OBJECTID;
    // SAFETY: a live `struct btrfs_ioctl_ino_lookup_args` of the asserted size, read and written by the kernel.
    unsafe { raw::ino_lookup(file.as_fd().as_raw_fd(), &raw mut args) }?;
    Ok(args.treeid)
}

/// BTRFS_IOC_QUOTA_CTL: switches quotas on and waits until the first rescan is over.
pub fn quota_enable(root: impl AsFd) -> io::Result<()> {
    quota_ctl(&root, QUOTA_CTL_ENABLE)?;
    quota_rescan_wait(root)
}

/// BTRFS_IOC_QUOTA_CTL: switches quotas off.
pub fn quota_disable(root: impl AsFd) -> io::Result<()> {
    quota_ctl(&root, QUOTA_CTL_DISABLE)
}

fn quota_ctl(root: &impl AsFd, cmd: u64) -> io::Result<()> {
    let mut args = QuotaCtlArgs { cmd, status: 0 };
    // SAFETY: a live `struct btrfs_ioctl_quota_ctl_args` of the asserted size.
    unsafe { raw::quota_ctl(root.as_fd().as_raw_fd(), &raw mut args) }?;
    Ok(())
}

/// BTRFS_IOC_QUOTA_RESCAN_WAIT.
pub fn quota_rescan_wait(root: impl AsFd) -> io::Result<()> {
    // SAFETY: no argument.
    unsafe { raw::quota_rescan_wait(root.as_fd().as_raw_fd()) }?;
    Ok(())
}

/// BTRFS_IOC_QGROUP_LIMIT: at most `max_rfer` referenced bytes (`None`: no limit) for qgroup 0/`subvol`.
pub fn qgroup_limit(root: impl AsFd, subvol: u64, max_rfer: Option<u64>) -> io::Result<()> {
    let mut args = QgroupLimitArgs::new_zeroed();
    args.qgroupid = subvol;
    args.flags = QGROUP_LIMIT_MAX_RFER;
    // All ones clears a limit (btrfs_limit_qgroup).
    args.max_rfer = max_rfer.unwrap_or(u64::MAX);
    // SAFETY: a live `struct btrfs_ioctl_qgroup_limit_args` of the asserted size.
    unsafe { raw::qgroup_limit(root.as_fd().as_raw_fd(), &raw mut args) }?;
    Ok(())
}

/// BTRFS_IOC_SYNC: writes delalloc out and commits the transaction.
pub fn sync(root: impl AsFd) -> io::Result<()> {
    // SAFETY: no argument.
    unsafe { raw::sync(root.as_fd().as_raw_fd()) }?;
    Ok(())
}

/// BTRFS_IOC_START_SYNC and BTRFS_IOC_WAIT_SYNC: starts a commit and waits for it.
pub fn start_and_wait_sync(root: impl AsFd) -> io::Result<()> {
    let fd = root.as_fd().as_raw_fd();
    let mut transid = 0;
    // SAFETY: the kernel writes one u64 to the live variable.
    unsafe { raw::start_sync(fd, &raw mut transid) }?;
    // SAFETY: the kernel reads one u64 from the live variable.
    unsafe { raw::wait_sync(fd, &raw const transid) }?;
    Ok(())
}

/// Which chunks a balance moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BalanceFilter {
    /// Data chunks (`BTRFS_BALANCE_DATA`).
    pub data: bool,
    /// Metadata and system chunks (`BTRFS_BALANCE_METADATA`, `BTRFS_BALANCE_SYSTEM`).
    pub metadata: bool,
    /// Only chunks at most this full, in percent.
    pub usage: Option<u8>,
    /// At most this many chunks of each kind.
    pub limit: Option<u64>,
}

/// BTRFS_IOC_BALANCE_V2: runs a balance and returns the chunks moved. ECANCELED: another thread cancelled it.
pub fn balance(root: impl AsFd, filter: BalanceFilter) -> io::Result<u64> {
    let BalanceFilter { data, metadata, usage, limit } = filter;
    let mut args = IoctlBalanceArgs::new_zeroed();
    args.flags = u64::from(data) | if metadata { 0b110 } else { 0 };
    for part in [&mut args.data, &mut args.meta, &mut args.sys] {
        if let Some(usage) = usage {
            part.flags |= BALANCE_ARGS_USAGE;
            part.usage = u64::from(usage);
        }
        if let Some(limit) = limit {
            part.flags |= BALANCE_ARGS_LIMIT;
            part.limit = limit;
        }
    }
    // SAFETY: a live `struct btrfs_ioctl_balance_args` of the asserted size, read and written by the kernel.
    unsafe { raw::balance_v2(root.as_fd().as_raw_fd(), &raw mut args) }?;
    Ok(args.completed)
}

/// BTRFS_IOC_BALANCE_CTL: cancels a running balance and waits for it. ENOTCONN: none was running.
pub fn balance_cancel(root: impl AsFd) -> io::Result<()> {
    // SAFETY: the command goes by value.
    unsafe { raw::balance_ctl(root.as_fd().as_raw_fd(), BALANCE_CTL_CANCEL) }?;
    Ok(())
}

/// BTRFS_IOC_DEFRAG_RANGE: rewrites the extents of `file` that are smaller than `extent_thresh` bytes.
pub fn defrag(file: impl AsFd, extent_thresh: u32) -> io::Result<()> {
    let mut args = DefragRangeArgs::new_zeroed();
    args.len = u64::MAX;
    args.extent_thresh = extent_thresh;
    // SAFETY: a live `struct btrfs_ioctl_defrag_range_args` of the asserted size; the kernel only reads it.
    unsafe { raw::defrag_range(file.as_fd().as_raw_fd(), &raw const args) }?;
    Ok(())
}

/// BTRFS_IOC_FORGET_DEV: makes the kernel forget an unmounted device.
pub fn forget_device(device: &Path) -> io::Result<()> {
    let control = OpenOptions::new().read(true).write(true).open("/dev/btrfs-control")?;
    let args = vol_args(device.as_os_str())?;
    // SAFETY: a live `struct btrfs_ioctl_vol_args` of the asserted size; the kernel only reads it.
    unsafe { raw::forget_dev(control.as_raw_fd(), &raw const args) }?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::{request_code_none as io, request_code_read as ior, request_code_readwrite as iowr};
    use nix::{request_code_write as iow, sys::ioctl::ioctl_num_type};

    /// Compared with the numbers that a C program prints from `linux/btrfs.h`.
    #[test]
    fn request_numbers_are_those_of_the_headers() {
        let m = raw::MAGIC;
        let expected: [(ioctl_num_type, ioctl_num_type); 11] = [
            (iow!(m, 14, size_of::<VolArgs>()), 0x5000_940e),
            (iow!(m, 23, size_of::<VolArgsV2>()), 0x5000_9417),
            (iow!(m, 16, size_of::<DefragRangeArgs>()), 0x4030_9410),
            (iowr!(m, 18, size_of::<InoLookupArgs>()), 0xd000_9412),
            (iow!(m, 22, size_of::<u64>()), 0x4008_9416),
            (ior!(m, 24, size_of::<u64>()), 0x8008_9418),
            (iowr!(m, 32, size_of::<IoctlBalanceArgs>()), 0xc400_9420),
            (raw::BALANCE_CTL, 0x4004_9421),
            (iowr!(m, 40, size_of::<QuotaCtlArgs>()), 0xc010_9428),
            (ior!(m, 43, size_of::<QgroupLimitArgs>()), 0x8030_942b),
            (io!(m, 46), 0x942e),
        ];
        for (ours, header) in expected {
            assert_eq!(ours, header, "{ours:#x} {header:#x}");
        }
    }

    #[test]
    fn names_that_do_not_fit_are_refused() {
        assert!(vol_args(OsStr::new("a")).is_ok_and(|args| args.name[..2] == *b"a\0"));
        assert!(vol_args(OsStr::new("")).is_err());
        assert!(vol_args(OsStr::new("a\0b")).is_err());
        assert!(vol_args(OsStr::new(&"x".repeat(4087))).is_ok());
        assert!(vol_args(OsStr::new(&"x".repeat(4088))).is_err());
    }
}
