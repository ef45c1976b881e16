//! A map of the kernel side that lies in our memory: to read it takes no system call.
//!
//! A system call that reads a map keeps all kprobe programs from running on its CPU meanwhile (`bpf_disable_instrumentation()`,
//! `include/linux/bpf.h`). If its task is preempted there, the kernel skips them for as long as that takes.
use std::{
    io,
    num::NonZeroUsize,
    os::fd::AsFd,
    ptr::NonNull,
    sync::atomic::{AtomicU64, Ordering},
};

use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};

/// An array whose entries are words, read-only.
#[derive(Debug)]
pub(super) struct MappedArray {
    words: NonNull<AtomicU64>,
    entries: usize,
    words_each: usize,
}

// SAFETY: the memory is only read, word by word and atomically.
unsafe impl Send for MappedArray {}
// SAFETY: as above.
unsafe impl Sync for MappedArray {}

impl MappedArray {
    /// Maps an array of the kernel (`BPF_F_MMAPABLE`) of so many entries with so many words each.
    ///
    /// # Errors
    /// The kernel refuses, or the array is smaller.
    pub(super) fn of(map: impl AsFd, entries: usize, words_each: usize) -> io::Result<Self> {
        let bytes = NonZeroUsize::new(entries * words_each * 8).ok_or(io::ErrorKind::InvalidInput)?;
        // SAFETY: a new mapping, at an address that the kernel chooses; it is unmapped in `drop` alone.
        let start = unsafe { mmap(None, bytes, ProtFlags::PROT_READ, MapFlags::MAP_SHARED, map, 0) }?;
        Ok(Self { words: start.cast(), entries, words_each })
    }

    /// How many entries there are.
    pub(super) const fn entries(&self) -> usize {
        self.entries
    }

    /// A word of an entry; 0 beyond the end.
    pub(super) fn word(&self, entry: usize, word: usize) -> u64 {
        if entry >= self.entries || word >= self.words_each {
            return 0;
        }
        // SAFETY: within the mapping; programs write its words whole.
        unsafe { self.words.add(entry * self.words_each + word).as_ref() }.load(Ordering::Relaxed)
    }

    /// An entry. Programs may change it between two of its words.
    pub(super) fn entry<const WORDS: usize>(&self, entry: usize) -> [u64; WORDS] {
        std::array::from_fn(|word| self.word(entry, word))
    }
}

impl Drop for MappedArray {
    fn drop(&mut self) {
        // SAFETY: what `of` mapped; nothing refers to it any more.
        let unmapped = unsafe { munmap(self.words.cast(), self.entries * self.words_each * 8) };
        if let Err(error) = unmapped {
            log::debug!("a map stays mapped: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that fails must fail")]
    use std::{fs::File, io::Write as _};

    use super::*;

    #[test]
    fn words_are_read_within_their_entries_and_nowhere_else() {
        let mut file = tempfile::tempfile().unwrap();
        for word in 1..=6u64 {
            file.write_all(&word.to_ne_bytes()).unwrap();
        }
        let array = MappedArray::of(&file, 2, 3).unwrap();
        assert_eq!((array.entry::<3>(0), array.entry::<3>(1)), ([1, 2, 3], [4, 5, 6]));
        assert_eq!((array.word(2, 0), array.word(0, 3)), (0, 0));
    }

    #[test]
    fn what_cannot_be_mapped_is_an_error() {
        let folder = File::open("/").unwrap();
        assert!(MappedArray::of(&folder, 1, 1).is_err());
        assert!(MappedArray::of(&folder, 0, 1).is_err());
    }
}
