//! Whether this kernel has btrfs, and how.
use std::path::Path;

use serde::Serialize;

use super::files;

/// Where the btrfs of a kernel is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum BtrfsPresence {
    /// Built into the kernel.
    Builtin,
    /// A module, loaded now.
    Module,
    /// Neither.
    Absent,
}

/// What is known of the btrfs of a kernel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BtrfsFacts {
    /// Where it is.
    pub presence: BtrfsPresence,
    /// The kernel lists it among its filesystems; a module being loaded does not yet.
    pub registered: bool,
    /// What to do if it is absent, in a sentence.
    pub remedy: Option<String>,
}

/// What is known of the btrfs of the kernel with this root and release.
#[must_use]
pub fn facts(root: &Path, release: &str) -> BtrfsFacts {
    let registered = files::text(&root.join("proc/filesystems"))
        .is_ok_and(|text| text.lines().any(|line| line.split_whitespace().next_back() == Some("btrfs")));
    let listed = files::text(&root.join("proc/modules"))
        .is_ok_and(|text| text.lines().any(|line| line.split_whitespace().next() == Some("btrfs")));
    // What is built in may have a folder here too (for its parameters), but only a module has a state or split BTF.
    let loaded = listed
        || root.join("sys/module/btrfs/initstate").exists()
        || root.join("sys/kernel/btf/btrfs").exists();
    let presence = match (loaded, registered) {
        (true, _) => BtrfsPresence::Module,
        (false, true) => BtrfsPresence::Builtin,
        (false, false) => BtrfsPresence::Absent,
    };
    let remedy = (presence == BtrfsPresence::Absent).then(|| {
        if module_file(root, release) {
            "load it with `modprobe btrfs`, or mount a btrfs, before attaching".to_owned()
        } else {
            format!("this kernel ({release}) has no btrfs: boot one built with CONFIG_BTRFS_FS")
        }
    });
    BtrfsFacts { presence, registered, remedy }
}

/// Whether `modules.dep` of this release names a btrfs module.
fn module_file(root: &Path, release: &str) -> bool {
    ["lib/modules", "usr/lib/modules"].iter().any(|folder| {
        files::text(&root.join(folder).join(release).join("modules.dep")).is_ok_and(|text| {
            text.lines().any(|line| {
                let file = line.split(':').next().unwrap_or_default().rsplit('/').next().unwrap_or_default();
                file.split('.').next() == Some("btrfs")
            })
        })
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that fails must fail")]
    use std::fs;

    use tempfile::TempDir;

    use super::*;

    fn of(tree: &[(&str, &str)]) -> BtrfsFacts {
        let root = TempDir::new().unwrap();
        for (file, text) in tree {
            let file = root.path().join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
        facts(root.path(), "6.12.1")
    }

    const LISTED: (&str, &str) = ("proc/filesystems", "nodev\tsysfs\n\text4\n\tbtrfs\n");
    const NOT_LISTED: (&str, &str) = ("proc/filesystems", "nodev\tsysfs\n\text4\nnodev\tbtrfsx\n");
    const MODULES: (&str, &str) =
        ("proc/modules", "btrfs 2207744 1 - Live 0xffffffffc08d9000\nxor 24576 1 btrfs, Live 0x0\n");

    #[test]
    fn built_in() {
        for tree in [&[LISTED][..], &[LISTED, ("sys/module/btrfs/parameters/x", "1")]] {
            let facts = of(tree);
            assert_eq!((facts.presence, facts.remedy), (BtrfsPresence::Builtin, None));
        }
    }

    #[test]
    fn module() {
        for tree in [
            &[LISTED, MODULES][..],
            &[LISTED, ("sys/module/btrfs/initstate", "live\n")],
            &[LISTED, ("sys/kernel/btf/btrfs", "")],
            &[NOT_LISTED, MODULES],
        ] {
            assert_eq!(of(tree).presence, BtrfsPresence::Module, "{tree:?}");
        }
    }

    #[test]
    fn absent_with_what_to_do() {
        let none = of(&[NOT_LISTED, ("proc/modules", "xor 24576 1 btrfs, Live 0x0\n")]);
        assert_eq!(none.presence, BtrfsPresence::Absent);
        assert!(none.remedy.unwrap().contains("CONFIG_BTRFS_FS"));
        let dep =
            ("lib/modules/6.12.1/modules.dep", "kernel/fs/btrfs/btrfs.ko.xz: kernel/crypto/xor.ko.xz\n");
        assert!(of(&[NOT_LISTED, dep]).remedy.unwrap().contains("modprobe btrfs"));
        let other = ("lib/modules/6.12.1/modules.dep", "kernel/lib/xor.ko.xz: kernel/fs/btrfs/btrfs.ko.xz\n");
        assert!(of(&[NOT_LISTED, other]).remedy.unwrap().contains("CONFIG_BTRFS_FS"));
    }
}
