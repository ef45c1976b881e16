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
    use std::{
        io::Write as _,
        process::{Command, Stdio},
    };

    use super::Archive;

    #[test]
    fn cpio_reads_what_was_written() {
        let mut archive = Archive::default();
        archive.file("/bin/a", b"hello", true);
        archive.file("/bin/b", b"", false);
        archive.folder("/tmp");
        let bytes = archive.finish();
        assert!(bytes.len().is_multiple_of(4));
        let Some(busybox) = crate::proc::which("busybox") else {
            println!("SKIPPED: no busybox to read the archive");
            return;
        };
        let mut child = Command::new(busybox)
            .args(["cpio", "-t"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("busybox runs");
        child.stdin.take().expect("a pipe").write_all(&bytes).expect("written");
        let listed = child.wait_with_output().expect("busybox ends");
        let names = String::from_utf8_lossy(&listed.stdout).into_owned();
        assert_eq!(names.lines().collect::<Vec<_>>(), ["bin", "bin/a", "bin/b", "tmp"]);
    }
}
