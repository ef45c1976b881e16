//! What is mounted where, from `/proc/self/mountinfo`.
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// One line of mountinfo, as far as the workloads need it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Where it is mounted.
    pub point: PathBuf,
    /// Options of this mount, such as `rw,noatime`, comma separated.
    pub options: String,
    /// Filesystem type, such as `btrfs`.
    pub fstype: String,
    /// What is mounted, such as `/dev/loop0`.
    pub source: PathBuf,
    /// Mount options of the superblock, comma separated.
    pub super_options: String,
}

/// Parses the text of `/proc/self/mountinfo`; leaves out a line that it does not understand.
pub fn parse(text: &str) -> Vec<Mount> {
    text.lines().filter_map(parse_line).collect()
}

/// The mounts of this process's mount namespace, in mount order.
///
/// # Errors
/// The file cannot be read.
pub fn current() -> std::io::Result<Vec<Mount>> {
    std::fs::read("/proc/self/mountinfo").map(|bytes| parse(&String::from_utf8_lossy(&bytes)))
}

fn parse_line(line: &str) -> Option<Mount> {
    // Any number of optional fields (propagation) comes before the single dash.
    let (head, tail) = line.split_once(" - ")?;
    let mut head = head.split(' ').skip(4);
    let (point, options) = (unescape(head.next()?), head.next()?.to_owned());
    let mut tail = tail.split(' ');
    let fstype = tail.next()?.to_owned();
    let source = unescape(tail.next()?);
    let super_options = tail.next().unwrap_or_default().to_owned();
    Some(Mount { point, options, fstype, source, super_options })
}

/// The kernel writes blank, tab, newline and backslash as a backslash and three octal digits; undoes that.
fn unescape(field: &str) -> PathBuf {
    let bytes = field.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let octal = (bytes[at] == b'\\')
            .then(|| bytes.get(at + 1..at + 4))
            .flatten()
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match octal {
            Some(byte) => {
                out.push(byte);
                at += 4;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    PathBuf::from(OsString::from_vec(out))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
    use super::*;
    use std::path::Path;

    const TEXT: &str = "\
25 24 0:23 / /dev/shm rw,relatime shared:4 master:1 - tmpfs tmpfs rw,size=24684092k
61 25 0:40 / /dev/shm/a\\040b\\134c rw,relatime - btrfs /dev/loop0 rw,space_cache=v2,subvolid=5,subvol=/
62 25 0:41 /sub /mnt/x ro - btrfs /dev/loop1 rw,subvol=/sub
garbage line
63 25 0:42 / /nosource rw - btrfs
";

    #[test]
    fn fields_escapes_and_optional_fields() {
        let mounts = parse(TEXT);
        assert_eq!(mounts.len(), 3);
        assert_eq!(mounts[0].fstype, "tmpfs");
        assert_eq!(mounts[1].point, Path::new("/dev/shm/a b\\c"));
        assert_eq!(mounts[1].source, Path::new("/dev/loop0"));
        assert!(mounts[1].super_options.contains("space_cache=v2"));
        assert_eq!(mounts[0].options, "rw,relatime");
        assert_eq!(mounts[2].options, "ro");
        assert_eq!(mounts[2].point, Path::new("/mnt/x"));
    }

    #[test]
    fn a_backslash_that_starts_no_octal_number_stays() {
        assert_eq!(unescape("a\\9zz"), Path::new("a\\9zz"));
        assert_eq!(unescape("end\\04"), Path::new("end\\04"));
    }

    #[test]
    fn this_process_has_a_root_mount() {
        assert!(current().unwrap().iter().any(|mount| mount.point == Path::new("/")));
    }
}
