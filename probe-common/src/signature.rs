//! Positions of the arguments of hooked functions. The user side resolves them from the running kernel's BTF, because their
//! order and number differ between versions.
use crate::hook::{HOOK_IDS, HookId};

/// An argument that this kernel's function does not have.
pub const NO_ARG: u8 = 0xff;

/// The compiler made a clone of the function that takes other arguments, and no type says which: the subject is looked for among them.
pub const SOME_ARG: u8 = 0xfe;

/// Arguments of one function, by position (0 is the first).
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct Signature {
    /// What the call is about: an inode, a block_rsv, a handle, a space_info or an fs_info; see [`Signature::kind`].
    pub subject: u8,
    /// `SUBJECT_*`
    pub kind: u8,
    /// The second object: destination block_rsv of a migration, root, ordered extent, extent state, or ticket.
    pub second: u8,
    /// Positions of the numbers, in the order of the table at [`crate::call::Call`].
    pub numbers: [u8; 4],
    /// Zero.
    pub reserved: u8,
}

/// `Signature::kind`: a `struct btrfs_inode *`
pub const SUBJECT_INODE: u8 = 1;
/// `Signature::kind`: a `struct inode *` inside a `struct btrfs_inode`
pub const SUBJECT_VFS_INODE: u8 = 2;
/// `Signature::kind`: a `struct btrfs_fs_info *`
pub const SUBJECT_FS: u8 = 3;
/// `Signature::kind`: a `struct btrfs_block_rsv *`
pub const SUBJECT_RSV: u8 = 4;
/// `Signature::kind`: a `struct btrfs_trans_handle *`
pub const SUBJECT_TRANS: u8 = 5;
/// `Signature::kind`: a `struct btrfs_space_info *`
pub const SUBJECT_SPACE: u8 = 6;
/// `Signature::kind`: a `struct btrfs_ordered_extent *`
pub const SUBJECT_ORDERED: u8 = 7;
/// `Signature::kind`: a `struct btrfs_root *`
pub const SUBJECT_ROOT: u8 = 8;
/// `Signature::kind`: a `struct extent_io_tree *`, the `io_tree` of an inode
pub const SUBJECT_IO_TREE: u8 = 9;
/// `Signature::kind`: a `struct btrfs_transaction *`
pub const SUBJECT_TRANSACTION: u8 = 10;

impl Signature {
    /// Nothing is known.
    pub const UNKNOWN: Self =
        Self { subject: NO_ARG, kind: 0, second: NO_ARG, numbers: [NO_ARG; 4], reserved: 0 };
}

/// All signatures, indexed by [`HookId`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "user",
    derive(zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout)
)]
pub struct Signatures {
    /// Indexed by hook number.
    pub of: [Signature; HOOK_IDS as usize],
}

impl Signatures {
    /// Nothing is known.
    pub const UNKNOWN: Self = Self { of: [Signature::UNKNOWN; HOOK_IDS as usize] };

    /// The signature of a hook.
    #[must_use]
    pub const fn get(&self, hook: HookId) -> Signature {
        self.of[hook as usize]
    }
}
