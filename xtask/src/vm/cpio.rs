//! A cpio archive of the `newc` kind, which is what a kernel unpacks as its initramfs
//! (`Documentation/driver-api/early-userspace/buffer-format.rst`).
use std::collections::BTreeSet;

/// Kind and rights of an entry, as in `st_mode`.
const FOLDER: u32 = 0o040_755;
const FILE: u32 = 0o100_644;
const PROGRAM: u32 = 0o100_755;

/// An archive being written.
#[derive(Debug, Default)]
pub struct Archive {
    bytes: Vec<u8>,
    folders: BTreeSet<String>,
    inode: u32,
}

impl Archive {
    /// A file at an absolute path; folders on the way are made.
    pub fn file(&mut self, path: &str, bytes: &[u8], program: bool) {
        self.parents(path);
        self.entry(path, if program { PROGRAM } else { FILE }, bytes);
    }

    /// An empty folder.
    pub fn folder(&mut self, path: &str) {
        self.parents(&format!("{}/x", path.trim_end_matches('/')));
    }

    /// The finished archive.
    pub fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, &[]);
        self.bytes
    }

    fn parents(&mut self, path: &str) {
        let path = path.trim_start_matches('/');
        for (at, _) in path.match_indices('/') {
            let folder = &path[..at];
            if self.folders.insert(folder.to_owned()) {
                let folder = folder.to_owned();
                self.entry(&folder, FOLDER, &[]);
            }
        }
    }

    fn entry(&mut self, path: &str, mode: u32, bytes: &[u8]) {
        let name = path.trim_start_matches('/');
        self.inode += 1;
        let links = if mode == FOLDER { 2 } else { 1 };
        let fields = [
            self.inode,
            mode,
            0,
            0,
            links,
            0,
            u32::try_from(bytes.len()).unwrap_or(u32::MAX),
            0,
            0,
            0,
            0,
            u32::try_from(name.len() + 1).unwrap_or(u32::MAX),
            0,
        ];
        self.bytes.extend_from_slice(b"070701");
        for field in fields {
            self.bytes.extend_from_slice(format!("{field:08x}").as_bytes());
        }
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(bytes);
        self.pad();
    }

    /// Names and contents end at a multiple of four.
    fn pad(&mut self) {
        while !self.bytes.len().is_multiple_of(4) {
            self.bytes.push(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Archive, FILE, FOLDER, PROGRAM};

    /// Name, mode and content of each entry, as `newc` is written down: six digits of magic, thirteen fields of eight.
    fn read(mut bytes: &[u8]) -> Vec<(String, u32, Vec<u8>)> {
        let mut entries = Vec::new();
        while let Some((header, _)) = bytes.split_at_checked(110) {
            assert_eq!(&header[..6], b"070701");
            let field = |at: usize| {
                let digits = std::str::from_utf8(&header[6 + 8 * at..][..8]).expect("hexadecimal digits");
                u32::from_str_radix(digits, 16).expect("hexadecimal digits")
            };
            let (size, name_size) = (field(6) as usize, field(11) as usize);
            let content = (110 + name_size).next_multiple_of(4);
            let name = std::str::from_utf8(&bytes[110..110 + name_size]).expect("a name");
            let name = name.strip_suffix('\0').expect("an end of the name").to_owned();
            entries.push((name, field(1), bytes[content..content + size].to_owned()));
            bytes = &bytes[(content + size).next_multiple_of(4)..];
        }
        assert!(bytes.is_empty());
        entries
    }

    #[test]
    fn what_was_written_can_be_read() {
        let mut archive = Archive::default();
        archive.file("/bin/a", b"hello", true);
        archive.file("/bin/b", b"", false);
        archive.folder("/tmp");
        let entry = |name: &str, mode, content: &[u8]| (name.to_owned(), mode, content.to_owned());
        assert_eq!(
            read(&archive.finish()),
            [
                entry("bin", FOLDER, b""),
                entry("bin/a", PROGRAM, b"hello"),
                entry("bin/b", FILE, b""),
                entry("tmp", FOLDER, b""),
                entry("TRAILER!!!", 0, b""),
            ]
        );
    }
}
