//! Reads the kernel's own counters on demand, by running programs that are attached to no hook.
use std::collections::HashMap as StdHashMap;

use aya::{
    maps::HashMap,
    programs::{RawTracePoint, RawTracePointRunOptions, TestRun},
};
use probe_common::cell::{INODE_CELLS, InodeCell, InodeKey};
use zerocopy::{FromBytes, IntoBytes};

use super::{
    catalogue::{AUDIT_FS, AUDIT_INODE},
    error::AttachError,
    probe::Probe,
};

const KEY_WORDS: usize = size_of::<InodeKey>() / 8;
const CELL_WORDS: usize = size_of::<InodeCell>() / 8;

/// Where the kernel keeps an inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InodeTarget {
    /// Address of the `struct btrfs_inode`.
    pub inode: u64,
    /// Address of its `struct btrfs_root`.
    pub root: u64,
    /// Inode number.
    pub ino: u64,
}

/// Inodes that the kernel side knows, by filesystem id, subvolume and number.
pub type Inodes = StdHashMap<(u32, u64, u64), InodeTarget>;

impl Probe {
    fn run_audit(&self, name: &'static str, args: [u64; 3]) -> bool {
        let Some(program) = self.ebpf.program(name) else { return false };
        let Ok(program) = <&RawTracePoint>::try_from(program) else { return false };
        let mut options = RawTracePointRunOptions::new();
        options.args[..3].copy_from_slice(&args);
        match program.test_run(options) {
            Ok(result) => result.return_value == 1,
            Err(error) => {
                log::debug!("{name}: {error}");
                false
            }
        }
    }

    /// Asks for the levels of a filesystem's pools; they come as a record. False if that filesystem is gone.
    #[must_use]
    pub fn audit_fs(&self, fs_info: u64, fs: u32) -> bool {
        self.run_audit(AUDIT_FS, [fs_info, u64::from(fs), 0])
    }

    /// Asks for the counters of an inode; they come as a record. False if that inode is gone.
    #[must_use]
    pub fn audit_inode(&self, target: InodeTarget) -> bool {
        self.run_audit(AUDIT_INODE, [target.inode, target.root, target.ino])
    }

    /// Lists the inodes whose address the kernel side knows.
    ///
    /// # Errors
    /// The map cannot be read.
    pub fn inodes(&self) -> Result<Inodes, AttachError> {
        let map = self.ebpf.map("INODES").ok_or(AttachError::Missing("INODES"))?;
        let wrap = |source| AttachError::Map { name: "INODES", source };
        let cells: HashMap<_, [u64; KEY_WORDS], [u64; CELL_WORDS]> = HashMap::try_from(map).map_err(wrap)?;
        let mut inodes = Inodes::new();
        // Entries come and go during the iteration; an inode that is missed is not audited this time. If an entry is gone
        // when its successor is asked for, the kernel starts again, hence the bound.
        for entry in cells.iter().take(2 * INODE_CELLS as usize) {
            let Ok((key, value)) = entry else { continue };
            let (Ok(key), Ok(cell)) =
                (InodeKey::read_from_bytes(key.as_bytes()), InodeCell::read_from_bytes(value.as_bytes()))
            else {
                continue;
            };
            if cell.inode != 0 {
                let target = InodeTarget { inode: cell.inode, root: key.root, ino: key.ino };
                inodes.insert((cell.fs, cell.root, key.ino), target);
            }
        }
        Ok(inodes)
    }
}
