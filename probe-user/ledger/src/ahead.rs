//! Looking ahead: the books that the next records need are brought near while others are booked.
use std::hint::black_box;

use probe_common::{
    header::{Header, RecordKind},
    inode::{Block, Delalloc, InodeState, Mod},
};
use zerocopy::FromBytes;

use crate::{Ledger, vocabulary::keys::InodeKey};

/// Up to this number of inodes, what they need stays in the processor's caches.
const MANY: usize = 1 << 15;

/// Most records that are looked at together. The processor waits for about as many reads at once.
pub const AHEAD: usize = 16;

impl Ledger {
    /// Reads the books of the inodes that the next records name, and changes nothing. `next`: up to [`AHEAD`] records as bytes.
    ///
    /// Where inodes are many, booking a record waits for memory twice, once after the other. What is read here for one record does
    /// not depend on the records before, so the processor waits for all of them at once.
    pub fn look_ahead<'a>(&self, next: impl Iterator<Item = &'a [u8]>) {
        if self.filesystems.inodes <= MANY {
            return;
        }
        let mut keys = [None; AHEAD];
        for (key, record) in keys.iter_mut().zip(next) {
            let Some((id, inode)) = inode_of(record) else { continue };
            let Some(fs) = self.filesystems.find(id) else { continue };
            // Nothing is decided by what was read, or a wrong guess of the processor would wait for it.
            black_box(fs.inodes.touch_slot(&inode));
            *key = Some((fs, inode));
        }
        for (fs, inode) in keys.into_iter().flatten() {
            black_box(fs.inodes.touch_book(&inode));
        }
    }
}

/// The filesystem and the inode whose book the record changes, if it is of a frequent kind.
fn inode_of(record: &[u8]) -> Option<(u32, InodeKey)> {
    let (header, _) = Header::ref_from_prefix(record).ok()?;
    let (root, ino) = match RecordKind::from_u8(header.kind)? {
        RecordKind::Delalloc => {
            Delalloc::ref_from_prefix(record).map(|(body, _)| (body.root, body.ino)).ok()?
        }
        RecordKind::Mod => Mod::ref_from_prefix(record).map(|(body, _)| (body.root, body.ino)).ok()?,
        RecordKind::InodeState => {
            InodeState::ref_from_prefix(record).map(|(body, _)| (body.root, body.ino)).ok()?
        }
        RecordKind::Block => {
            Block::ref_from_prefix(record).map(|(body, _)| (body.payer_root, body.payer_ino)).ok()?
        }
        _ => return None,
    };
    Some((header.fs, InodeKey { root, ino }))
}
