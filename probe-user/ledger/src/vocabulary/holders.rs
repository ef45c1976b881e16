//! Who holds `bytes_may_use` of the pools of a filesystem, at one moment.
use std::collections::BTreeMap;

use super::{account::Account, path::SeenPath};

/// Most inodes of one account that are named; the others are summed.
pub const NAMED_INODES: usize = 5;

/// Where the shares of inodes come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InodesRead {
    /// From the books. They do not know what is dirty at each moment, so the data of inodes is not attributed.
    #[default]
    Books,
    /// From the kernel, and no pool changed meanwhile.
    Quiet,
    /// What is dirty from the kernel, while pools changed; the rest from the books.
    Moving,
}

/// Something that holds bytes of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// A block_rsv of the filesystem, read with the pool.
    Rsv(Account),
    /// One inode: `inode.meta_rsv` or `inode.delalloc_bytes`.
    Inode {
        /// Which of the two.
        account: Account,
        /// Subvolume (root objectid).
        root: u64,
        /// Inode number.
        ino: u64,
    },
    /// The inodes that are not named.
    Inodes {
        /// Which of the two.
        account: Account,
        /// How many.
        count: u64,
    },
    /// Temporary block_rsvs.
    Temporary {
        /// How many.
        count: u64,
    },
    /// Tickets that were granted and whose owners have not gone on.
    Tickets {
        /// How many.
        count: u64,
    },
    /// Data that tasks have reserved and neither handed on nor freed.
    Tasks {
        /// How many tasks.
        count: u64,
    },
}

/// Who holds `bytes_may_use` of one space_info.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpaceHolders {
    /// `space_info->flags`
    pub flags: u64,
    /// `bytes_may_use`
    pub may_use: u64,
    /// The holders and their bytes, most first. Negative if the record of a release came before that of the reserve.
    pub rows: Vec<(Holder, i64)>,
    /// `may_use` less all rows: in flight, or held by what this tier does not see. Negative if the holders were read later than the
    /// pool, or hold what reserved nothing.
    pub rest: i64,
    /// Transaction handles with a block_rsv of their own for delayed refs (6.12 on), and what they claimed for it. What is left
    /// of that is not known; it is part of `rest`.
    pub handles: (u64, i64),
}

/// Who holds the pools of a filesystem: everything at one place of the stream, see [`InodesRead`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PoolHolders {
    /// When the pools were read, `CLOCK_MONOTONIC` ns.
    pub time: u64,
    /// Where the shares of inodes come from.
    pub inodes: InodesRead,
    /// The space_infos in the kernel's order.
    pub spaces: Vec<SpaceHolders>,
    /// Paths of the named inodes by subvolume and number, where they are known.
    pub paths: BTreeMap<(u64, u64), SeenPath>,
}
