//! What tasks of the simulated kernel do.
use probe_common::{claim::RsvType, hook::HookId};

use super::{
    ACCOUNT, CLEAR, Kernel,
    steps::{
        Key,
        Step::{self, Clean, Data, Dirty, Enter, Exit, Extents, Trans},
        failing, finish, release_extents, release_metadata, release_space, reserve,
    },
};
use crate::I;

impl Kernel {
    /// The steps of one operation of a task.
    pub(crate) fn operation(&mut self, operation: u8, key: Key) -> Vec<Step> {
        let len = 4096 * (1 + u64::from(operation >> 4));
        let start = 1 << 20;
        let check = [Enter(HookId::CheckDataFreeSpace, key, [start, len, 0, 0]), Data(len as i64), Exit(0)];
        let free =
            [Enter(HookId::FreeReservedDataSpace, key, [start, len, 0, 0]), Data(-(len as i64)), Exit(0)];
        let mut steps = Vec::new();
        match operation % 12 {
            // A buffered write; sometimes the copy is short, or fails altogether.
            0..=2 => {
                steps.extend(check);
                steps.extend(reserve(key, len, 0));
                let copied = if len > 4096 && self.next(3) == 0 { len - 4096 } else { len };
                if self.next(9) == 0 {
                    steps.extend(release_extents(key, len));
                    steps.extend(release_space(key, start, len));
                    return steps;
                }
                if copied < len {
                    steps.extend(release_space(key, start + copied, len - copied));
                }
                steps.push(Dirty(key, copied));
                steps.extend(release_extents(key, len));
            }
            // The same through `btrfs_delalloc_reserve_space`.
            3 => {
                steps.push(Enter(HookId::ReserveSpace, key, [start, len, 0, 0]));
                steps.extend(check);
                steps.extend(reserve(key, len, 0));
                steps.extend([Exit(0), Dirty(key, len)]);
                steps.extend(release_extents(key, len));
            }
            // A direct write: makes an ordered extent at once, sometimes shorter than asked for.
            4 | 5 => {
                steps.extend(check);
                steps.extend(reserve(key, len, 0));
                let short = if len > 4096 && self.next(2) == 0 { 4096 } else { 0 };
                steps.extend([Extents(key, 1), Data(-((len - short) as i64))]);
                if short > 0 {
                    steps.extend(release_metadata(key, short));
                }
                steps.extend(release_extents(key, len));
                if short > 0 {
                    steps.extend([Enter(
                        HookId::FreeReservedDataSpace,
                        key,
                        [start + len - short, short, 0, 0],
                    )]);
                    steps.extend([Data(-(short as i64)), Exit(0)]);
                }
                steps.extend(finish(key, len - short));
            }
            // Writeback, and its completion.
            6 => {
                steps.push(Clean(key, CLEAR));
            }
            // A truncate before writeback.
            7 => {
                steps.push(Clean(key, ACCOUNT));
            }
            // Failing reservations: a buffered write, `btrfs_delalloc_reserve_space`, a write without data of its own.
            8 => {
                self.failed += 1;
                steps.extend(check);
                steps.extend(failing(key, len, 0));
                steps.extend(free);
            }
            9 => {
                self.failed += 1;
                steps.push(Enter(HookId::ReserveSpace, key, [start, len, 0, 0]));
                steps.extend(check);
                steps.extend(failing(key, len, 0));
                steps.extend(free);
                steps.push(Exit(-28));
            }
            10 => {
                self.failed += 1;
                steps.extend(failing(key, len, 1));
            }
            // A transaction handle, used twice.
            _ => {
                let handle = 0xffff_8880_4400_0000 + self.next(3) * 4096;
                let bytes = 2 * I;
                steps.extend([Trans(bytes as i64)]);
                steps.extend([Enter(HookId::EndTransaction, (0, 0), [handle, bytes, bytes, 0]), Exit(0)]);
                steps.push(Enter(HookId::EndTransaction, (0, 0), [handle, bytes, 0, 0]));
                steps.push(Enter(HookId::TransReleaseMetadata, (0, 0), [handle, bytes, 0, 0]));
                steps.push(Enter(HookId::BlockRsvRelease, (0, 0), [bytes, RsvType::Trans as u64, 0, 0]));
                steps.extend([Trans(-(bytes as i64)), Exit(bytes as i64), Exit(0), Exit(0)]);
            }
        }
        steps
    }
}
