//! Calls on single files: clone, inode flags, shared mappings.
use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::ptr::{self, NonNull};

use nix::errno::Errno;
use nix::libc;

/// `FS_NOCOW_FL`, what `chattr +C` sets.
pub const FS_NOCOW_FL: i32 = 0x0080_0000;

/// `struct file_clone_range`.
#[repr(C)]
struct FileCloneRange {
    src_fd: i64,
    src_offset: u64,
    src_length: u64,
    dest_offset: u64,
}

const _: () = assert!(size_of::<FileCloneRange>() == 32);

mod raw {
    use super::FileCloneRange;
    use nix::libc::{c_int, c_long};
    pub(super) const FICLONE: u64 = nix::request_code_write!(0x94, 9, size_of::<c_int>());
    // The headers declare a long, but the kernel reads and writes an int (`fs/ioctl.c`, `ioctl_setflags`).
    pub(super) const FS_IOC_GETFLAGS: u64 = nix::request_code_read!(b'f', 1, size_of::<c_long>());
    pub(super) const FS_IOC_SETFLAGS: u64 = nix::request_code_write!(b'f', 2, size_of::<c_long>());
    nix::ioctl_write_int_bad!(ficlone, FICLONE);
    nix::ioctl_write_ptr!(ficlonerange, 0x94, 13, FileCloneRange);
    nix::ioctl_read_bad!(getflags, FS_IOC_GETFLAGS, c_int);
    nix::ioctl_write_ptr_bad!(setflags, FS_IOC_SETFLAGS, c_int);
    pub(super) const FIFREEZE: u64 = nix::request_code_readwrite!(b'X', 119, size_of::<c_int>());
    pub(super) const FITHAW: u64 = nix::request_code_readwrite!(b'X', 120, size_of::<c_int>());
    nix::ioctl_write_int_bad!(fifreeze, FIFREEZE);
    nix::ioctl_write_int_bad!(fithaw, FITHAW);
}

/// FIFREEZE: nobody writes to the filesystem of this folder until [`thaw`].
pub fn freeze(folder: impl AsFd) -> io::Result<()> {
    // SAFETY: the kernel ignores the argument; the fd is borrowed for the call.
    unsafe { raw::fifreeze(folder.as_fd().as_raw_fd(), 0) }?;
    Ok(())
}

/// FITHAW: undoes [`freeze`].
pub fn thaw(folder: impl AsFd) -> io::Result<()> {
    // SAFETY: as in `freeze`.
    unsafe { raw::fithaw(folder.as_fd().as_raw_fd(), 0) }?;
    Ok(())
}

/// FICLONE: `target` becomes a reflink of all of `source`.
pub fn clone_file(target: impl AsFd, source: impl AsFd) -> io::Result<()> {
    // SAFETY: FICLONE takes the source fd by value; both fds are borrowed for the call.
    unsafe { raw::ficlone(target.as_fd().as_raw_fd(), source.as_fd().as_raw_fd()) }?;
    Ok(())
}

/// FICLONERANGE: shares `length` bytes (0: to the end) of `source` at `from` with `target` at `to`; all block aligned.
pub fn clone_range(target: impl AsFd, to: u64, source: impl AsFd, from: u64, length: u64) -> io::Result<()> {
    let range = FileCloneRange {
        src_fd: i64::from(source.as_fd().as_raw_fd()),
        src_offset: from,
        src_length: length,
        dest_offset: to,
    };
    // SAFETY: `range` is a live `struct file_clone_range` of the size asserted above; the kernel only reads it.
    unsafe { raw::ficlonerange(target.as_fd().as_raw_fd(), &raw const range) }?;
    Ok(())
}

/// Adds `flags` to the inode flags, as `chattr +` does. btrfs accepts NOCOW only on an empty file or a directory.
pub fn add_inode_flags(file: impl AsFd, flags: i32) -> io::Result<()> {
    let fd = file.as_fd().as_raw_fd();
    let mut current = 0;
    // SAFETY: FS_IOC_GETFLAGS writes one int to the live variable.
    unsafe { raw::getflags(fd, &raw mut current) }?;
    let wanted = current | flags;
    // SAFETY: FS_IOC_SETFLAGS reads one int from the live variable.
    unsafe { raw::setflags(fd, &raw const wanted) }?;
    Ok(())
}

/// fsetxattr(2); btrfs takes its properties this way, such as `btrfs.compression` = `zstd`.
pub fn set_xattr(file: impl AsFd, name: &CStr, value: &[u8]) -> io::Result<()> {
    // SAFETY: `name` ends with 0, and `value` is a live buffer of the length given; the kernel only reads them.
    let done = unsafe {
        libc::fsetxattr(file.as_fd().as_raw_fd(), name.as_ptr(), value.as_ptr().cast(), value.len(), 0)
    };
    Errno::result(done)?;
    Ok(())
}

/// A shared, writable mapping of a file.
///
/// Written only through [`Mapping::store`]. A plain store into a page that the filesystem has no room for kills the process
/// with SIGBUS; a store that the kernel makes for us fails with EFAULT.
#[derive(Debug)]
pub struct Mapping {
    start: NonNull<libc::c_void>,
    length: usize,
}

impl Mapping {
    /// Maps the first `length` bytes of `file`.
    pub fn new(file: impl AsFd, length: usize) -> io::Result<Self> {
        // SAFETY: a new mapping at an address of the kernel's choice touches no memory of ours; the result is checked.
        let start = unsafe {
            libc::mmap(
                ptr::null_mut(),
                length,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                file.as_fd().as_raw_fd(),
                0,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start).ok_or(Errno::EFAULT)?;
        Ok(Self { start, length })
    }

    /// Reads up to `length` bytes from `source` at `from` straight into the mapping at `to`; returns the bytes stored.
    /// EFAULT: the filesystem refused the page (no space, read-only, or beyond the end of the file).
    pub fn store(&mut self, to: usize, length: usize, source: impl AsFd, from: i64) -> io::Result<usize> {
        if to.checked_add(length).is_none_or(|end| end > self.length) {
            return Err(Errno::EINVAL.into());
        }
        // SAFETY: `to` is inside the mapping (checked above), so the pointer stays in one allocation.
        let target = unsafe { self.start.as_ptr().cast::<u8>().add(to) };
        // SAFETY: the kernel writes at most `length` bytes, all inside the mapping that `self` owns exclusively as far
        // as this process goes; no Rust reference to these bytes exists.
        let stored = unsafe { libc::pread(source.as_fd().as_raw_fd(), target.cast(), length, from) };
        Ok(Errno::result(stored)?.unsigned_abs())
    }

    /// msync(MS_SYNC) of the whole mapping.
    pub fn sync(&self) -> io::Result<()> {
        // SAFETY: exactly the range that `new` mapped.
        Errno::result(unsafe { libc::msync(self.start.as_ptr(), self.length, libc::MS_SYNC) })?;
        Ok(())
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: exactly the range that `new` mapped, unmapped once.
        unsafe { libc::munmap(self.start.as_ptr(), self.length) };
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
    use super::*;
    use std::io::{Read, Seek, Write};

    #[test]
    fn request_numbers_are_those_of_the_headers() {
        assert_eq!(raw::FICLONE, 0x4004_9409);
        assert_eq!(raw::FS_IOC_GETFLAGS, 0x8008_6601);
        assert_eq!(raw::FS_IOC_SETFLAGS, 0x4008_6602);
    }

    #[test]
    fn a_store_lands_in_the_file_and_one_beyond_the_end_is_refused_without_a_signal() {
        let mut source = tempfile::tempfile().unwrap();
        source.write_all(&[7; 8192]).unwrap();
        let mut file = tempfile::tempfile().unwrap();
        file.set_len(8192).unwrap();
        let mut mapping = Mapping::new(&file, 8192).unwrap();
        assert_eq!(mapping.store(100, 50, &source, 0).unwrap(), 50);
        mapping.sync().unwrap();
        let mut content = Vec::new();
        file.rewind().unwrap();
        file.read_to_end(&mut content).unwrap();
        assert_eq!(content.iter().filter(|byte| **byte == 7).count(), 50);
        assert_eq!(content[100], 7);

        file.set_len(4096).unwrap();
        let refused = mapping.store(4096, 4096, &source, 0).unwrap_err();
        assert_eq!(refused.raw_os_error(), Some(libc::EFAULT));
        let outside = mapping.store(8000, 4096, &source, 0).unwrap_err();
        assert_eq!(outside.raw_os_error(), Some(libc::EINVAL));
    }
}
