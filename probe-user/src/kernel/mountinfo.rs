//! `/proc/self/mountinfo`, as `Documentation/filesystems/proc.rst` describes it.
use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use super::files;

/// One mount of our mount namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Id of the mount.
    pub id: u64,
    /// Major and minor number of the filesystem; btrfs shows an anonymous one, of no device.
    pub device: (u32, u32),
    /// What of the filesystem is mounted: for btrfs the path of the subvolume or bind mount.
    pub root: PathBuf,
    /// Where.
    pub mount_point: PathBuf,
    /// Type of the filesystem.
    pub fs_type: String,
    /// What was mounted: for btrfs one of its devices.
    pub source: OsString,
    /// Options of the filesystem, comma-separated.
    pub super_options: String,
}

impl Mount {
    /// Whether this is a btrfs.
    #[must_use]
    pub fn is_btrfs(&self) -> bool {
        self.fs_type == "btrfs"
    }

    /// The mounted subvolume (root objectid), from `subvolid=`.
    #[must_use]
    pub fn subvolume(&self) -> Option<u64> {
        self.super_options.split(',').find_map(|option| option.strip_prefix("subvolid="))?.parse().ok()
    }
}

/// All mounts of our mount namespace, in the kernel's order: of two at one place the later one hides the earlier.
///
/// # Errors
/// `proc/self/mountinfo` cannot be read. A line that is not understood is left out, not an error.
pub fn read(root: &Path) -> io::Result<Vec<Mount>> {
    Ok(parse(&files::bytes(&root.join("proc/self/mountinfo"))?))
}

/// The mounts in the text of a `mountinfo`.
#[must_use]
pub fn parse(text: &[u8]) -> Vec<Mount> {
    text.split(|byte| *byte == b'\n').filter_map(parse_line).collect()
}

fn parse_line(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|byte| *byte == b' ');
    let id = plain(fields.next()?).parse().ok()?;
    let _parent = fields.next()?;
    let device = plain(fields.next()?);
    let (major, minor) = device.split_once(':')?;
    let device = (major.parse().ok()?, minor.parse().ok()?);
    let root = unescape(fields.next()?).into();
    let mount_point = unescape(fields.next()?).into();
    let _options = fields.next()?;
    // Any number of optional fields, ended by a lone hyphen.
    fields.by_ref().find(|field| *field == b"-")?;
    let fs_type = plain(fields.next()?);
    let source = unescape(fields.next()?);
    let super_options = plain(fields.next().unwrap_or_default());
    Some(Mount { id, device, root, mount_point, fs_type, source, super_options })
}

fn plain(field: &[u8]) -> String {
    String::from_utf8_lossy(field).into_owned()
}

/// Undoes the kernel's `mangle_path`: space, tab, newline, backslash and `#` appear as `\` and three octal digits.
fn unescape(mut field: &[u8]) -> OsString {
    let mut out = Vec::with_capacity(field.len());
    while let Some((&first, rest)) = field.split_first() {
        let octal = rest.get(..3).filter(|_| first == b'\\').and_then(|digits| {
            digits.iter().try_fold(0u32, |value, digit| char::from(*digit).to_digit(8).map(|d| value * 8 + d))
        });
        match octal.and_then(|value| u8::try_from(value).ok()) {
            Some(byte) => {
                out.push(byte);
                field = rest.get(3..).unwrap_or_default();
            }
            None => {
                out.push(first);
                field = rest;
            }
        }
    }
    OsString::from_vec(out)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that fails must fail")]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lines_of_a_running_system() {
        let text = b"27 1 254:0 / / rw,relatime - ext4 /dev/root rw\n\
            43 27 0:39 /sub /tmp/kl/m\\040nt rw,relatime shared:7 master:1 - btrfs /dev/loop0 rw,discard=async,subvolid=256,subvol=/sub\n\
            odd line\n\
            9 9 x:y / / rw - btrfs /dev/sda rw\n";
        let mounts = parse(text);
        assert_eq!(mounts.len(), 2);
        assert!(!mounts[0].is_btrfs());
        assert_eq!(
            mounts[1],
            Mount {
                id: 43,
                device: (0, 39),
                root: "/sub".into(),
                mount_point: "/tmp/kl/m nt".into(),
                fs_type: "btrfs".into(),
                source: "/dev/loop0".into(),
                super_options: "rw,discard=async,subvolid=256,subvol=/sub".into(),
            }
        );
        assert_eq!(mounts[1].subvolume(), Some(256));
    }

    #[test]
    fn escapes_are_undone_and_what_is_none_is_kept() {
        assert_eq!(unescape(b"a\\040\\011\\012\\134\\043z"), OsString::from("a \t\n\\#z"));
        assert_eq!(unescape(b"\\04"), OsString::from("\\04"));
        assert_eq!(unescape(b"\\999\\777"), OsString::from("\\999\\777"));
        assert_eq!(unescape(b"\\377"), OsString::from_vec(vec![0xff]));
    }

    proptest! {
        #[test]
        fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(parse(&bytes).len() <= bytes.len());
        }

        #[test]
        fn any_name_survives(name in proptest::collection::vec(any::<u8>(), 1..40)) {
            let mut line = b"1 2 0:3 / /".to_vec();
            for byte in &name {
                match byte {
                    b' ' | b'\t' | b'\n' | b'\\' | b'#' => line.extend(format!("\\{byte:03o}").bytes()),
                    byte => line.push(*byte),
                }
            }
            line.extend(b" rw - btrfs /dev/sda rw");
            let mounts = parse(&line);
            let expected = OsString::from_vec([b"/".to_vec(), name].concat());
            prop_assert_eq!(mounts[0].mount_point.as_os_str(), expected.as_os_str());
        }
    }
}
