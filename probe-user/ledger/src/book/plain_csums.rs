//! Whether the kernel counts `csum_bytes` of inodes without checksums (`BTRFS_INODE_NODATASUM`). 6.2 to 6.6.9 do; 6.8 and newer, and later
//! releases of 6.1, do not. Nothing but its calls shows that.
use super::node::Node;

/// Reservations that are kept until it is known.
const KEPT: usize = 16;

/// What calls on such inodes have shown.
#[derive(Debug)]
pub(crate) enum PlainCsums {
    /// Nothing but these reservations, which counted.
    Unknown(Vec<Node>),
    Counted,
    NotCounted,
}

impl Default for PlainCsums {
    fn default() -> Self {
        Self::Unknown(Vec::new())
    }
}

impl PlainCsums {
    /// By how much a call on such an inode changes `csum_bytes`, if `bytes` is by how much it would with checksums. A reservation that
    /// counts shows nothing yet: the release may not, and then the reservations were wrong, which are returned.
    pub fn want(&mut self, node: &Node, bytes: i64) -> (i64, Vec<Node>) {
        let got = node.csum_bytes;
        let kept = match self {
            Self::Counted => return (bytes, Vec::new()),
            Self::NotCounted => return (0, Vec::new()),
            Self::Unknown(_) if bytes == 0 || (got != 0 && got != bytes) => return (0, Vec::new()),
            Self::Unknown(kept) if got > 0 => {
                if kept.len() < KEPT {
                    kept.push(*node);
                }
                return (bytes, Vec::new());
            }
            Self::Unknown(kept) => std::mem::take(kept),
        };
        if got == 0 {
            *self = Self::NotCounted;
            (0, kept)
        } else {
            *self = Self::Counted;
            (bytes, Vec::new())
        }
    }
}
