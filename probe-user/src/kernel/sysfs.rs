//! The kernel's own figures: `/sys/fs/btrfs/UUID/allocation/`.
//!
//! Each file is read under no lock that spans several files: two figures of one reading may be of different moments.
use std::io;
use std::path::Path;

use serde::Serialize;

use super::files;
use super::fsid::Fsid;
use super::mounts::folder;

/// A `struct btrfs_space_info` as sysfs names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SpaceType {
    /// `BTRFS_BLOCK_GROUP_DATA`
    Data,
    /// `BTRFS_BLOCK_GROUP_METADATA`
    Metadata,
    /// `BTRFS_BLOCK_GROUP_SYSTEM`
    System,
    /// Data and metadata in one.
    Mixed,
}

impl SpaceType {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Data, Self::Metadata, Self::System, Self::Mixed];

    /// Its folder.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Data => "data",
            Self::Metadata => "metadata",
            Self::System => "system",
            Self::Mixed => "mixed",
        }
    }

    /// Its block group flags, as `space_info->flags` has them.
    #[must_use]
    pub const fn flags(self) -> u64 {
        match self {
            Self::Data => 1,
            Self::System => 2,
            Self::Metadata => 4,
            Self::Mixed => 5,
        }
    }
}

/// Figures of one `struct btrfs_space_info`, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct SpaceFigures {
    /// Which.
    pub space: SpaceType,
    /// `total_bytes`
    pub total_bytes: u64,
    /// `bytes_used`
    pub bytes_used: u64,
    /// `bytes_may_use`
    pub bytes_may_use: u64,
    /// `bytes_reserved`
    pub bytes_reserved: u64,
    /// `bytes_pinned`
    pub bytes_pinned: u64,
    /// `bytes_readonly`
    pub bytes_readonly: u64,
    /// `bytes_zone_unusable`; a kernel without support for zoned devices may lack it.
    pub bytes_zone_unusable: Option<u64>,
}

/// Figures of one filesystem, in bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Allocation {
    /// Its space_infos, of those that it has.
    pub spaces: Vec<SpaceFigures>,
    /// `global_block_rsv.size`
    pub global_rsv_size: u64,
    /// `global_block_rsv.reserved`
    pub global_rsv_reserved: u64,
}

/// Reads one space_info.
///
/// # Errors
/// `NotFound` if the filesystem is not mounted or has none of this type; else a file cannot be read.
pub fn space(root: &Path, fsid: Fsid, space: SpaceType) -> io::Result<SpaceFigures> {
    let folder = folder(root, fsid).join("allocation").join(space.name());
    let read = |file: &str| files::number(&folder.join(file));
    Ok(SpaceFigures {
        space,
        // The counters that change most come first and close together.
        bytes_may_use: read("bytes_may_use")?,
        bytes_pinned: read("bytes_pinned")?,
        bytes_reserved: read("bytes_reserved")?,
        bytes_used: read("bytes_used")?,
        total_bytes: read("total_bytes")?,
        bytes_readonly: read("bytes_readonly")?,
        bytes_zone_unusable: read("bytes_zone_unusable").ok(),
    })
}

/// Reads all figures of a filesystem.
///
/// # Errors
/// The filesystem is not mounted (any more), or a file cannot be read.
pub fn allocation(root: &Path, fsid: Fsid) -> io::Result<Allocation> {
    let mut spaces = Vec::new();
    for kind in SpaceType::ALL {
        match space(root, fsid, kind) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            figures => spaces.push(figures?),
        }
    }
    let folder = folder(root, fsid).join("allocation");
    Ok(Allocation {
        spaces,
        global_rsv_size: files::number(&folder.join("global_rsv_size"))?,
        global_rsv_reserved: files::number(&folder.join("global_rsv_reserved"))?,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that fails must fail")]
    use std::fs;

    use tempfile::TempDir;

    use super::*;

    /// As of a fresh filesystem of 300 MB.
    fn tree(fsid: Fsid) -> TempDir {
        let tree = TempDir::new().unwrap();
        let folder = folder(tree.path(), fsid).join("allocation");
        for (space, used, may_use) in [("data", 0, 0), ("metadata", 131_072, 5_767_168), ("system", 16384, 0)]
        {
            let folder = folder.join(space);
            fs::create_dir_all(&folder).unwrap();
            for (file, value) in [
                ("bytes_may_use", may_use),
                ("bytes_pinned", 0),
                ("bytes_readonly", 65536),
                ("bytes_reserved", 0),
                ("bytes_used", used),
                ("bytes_zone_unusable", 0),
                ("total_bytes", 33_554_432),
            ] {
                fs::write(folder.join(file), format!("{value}\n")).unwrap();
            }
        }
        fs::write(folder.join("global_rsv_size"), "5767168\n").unwrap();
        fs::write(folder.join("global_rsv_reserved"), "5767168\n").unwrap();
        tree
    }

    const FSID: Fsid = Fsid([7; 16]);

    #[test]
    fn figures_of_a_fresh_filesystem() {
        let all = allocation(tree(FSID).path(), FSID).unwrap();
        assert_eq!(
            all.spaces.iter().map(|space| (space.space.name(), space.bytes_may_use)).collect::<Vec<_>>(),
            [("data", 0), ("metadata", 5_767_168), ("system", 0)]
        );
        assert_eq!((all.spaces[1].bytes_used, all.spaces[1].bytes_readonly), (131_072, 65536));
        assert_eq!(all.global_rsv_reserved, 5_767_168);
    }

    #[test]
    fn an_unmounted_filesystem_and_an_odd_file() {
        let tree = tree(FSID);
        let error = allocation(tree.path(), Fsid([8; 16])).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        for odd in ["", "-1", "x", "99999999999999999999999999"] {
            fs::write(folder(tree.path(), FSID).join("allocation/data/bytes_pinned"), odd).unwrap();
            assert_eq!(
                allocation(tree.path(), FSID).unwrap_err().kind(),
                io::ErrorKind::InvalidData,
                "{odd}"
            );
        }
    }
}
