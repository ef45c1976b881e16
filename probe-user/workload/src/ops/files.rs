//! Small helpers that the operations share.
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::libc;

use crate::rng::Rng;

/// The largest alignment that O_DIRECT asks for, with the devices and page sizes in use.
pub const ALIGN: usize = 4096;

/// Opens for reading and writing; creates the file if it does not exist.
pub fn open_rw(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)
}

/// The same with O_DIRECT.
pub fn open_direct(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .custom_flags(libc::O_DIRECT)
        .open(path)
}

/// `length` bytes that do not compress.
pub fn noise(rng: &mut Rng, length: usize) -> Vec<u8> {
    let mut buffer = vec![0; length];
    rng.fill(&mut buffer);
    buffer
}

/// A buffer whose start is aligned for O_DIRECT.
pub struct AlignedBuffer {
    storage: Vec<u8>,
    start: usize,
    length: usize,
}

impl AlignedBuffer {
    /// `length` bytes that do not compress, starting at a multiple of [`ALIGN`].
    pub fn noise(rng: &mut Rng, length: usize) -> Self {
        let storage = vec![0; length + ALIGN];
        let start = storage.as_ptr().align_offset(ALIGN).min(ALIGN);
        let mut this = Self { storage, start, length };
        rng.fill(this.bytes_mut());
        this
    }

    /// The aligned bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.storage[self.start..self.start + self.length]
    }

    /// The aligned bytes, to read into.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.storage[self.start..self.start + self.length]
    }
}

/// Removes a file or folder when dropped.
pub struct Scratch(pub PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0).or_else(|_| fs::remove_dir_all(&self.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_for_direct_io_are_aligned_and_full() {
        let mut rng = Rng::new(1);
        for length in [512, 4096, 65536] {
            let buffer = AlignedBuffer::noise(&mut rng, length);
            assert_eq!(buffer.bytes().as_ptr().align_offset(ALIGN), 0);
            assert_eq!(buffer.bytes().len(), length);
            assert!(buffer.bytes()[length - 64..].iter().any(|byte| *byte != 0));
        }
    }
}
