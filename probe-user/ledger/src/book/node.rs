//! A call of a hooked function, reduced to what the rules need.
use probe_common::{
    call::{CALL_INODE, CALL_RSV, CALL_TREE_TORN, Call, MOVED_BY_END},
    claim::RsvType,
    hook::{HOOK_IDS, HookId},
};

use crate::vocabulary::{finding::StackRef, keys::InodeKey};

/// Hooks by number. A search through [`HookId::ALL`] for each call would cost as much as all the rest.
const HOOKS: &[Option<HookId>; HOOK_IDS as usize] = &{
    let mut hooks = [None; HOOK_IDS as usize];
    let mut at = 0;
    while at < HookId::ALL.len() {
        hooks[HookId::ALL[at] as usize] = Some(HookId::ALL[at]);
        at += 1;
    }
    hooks
};

/// A call, reduced to what the rules need.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Node {
    pub serial: u32,
    pub parent: u32,
    pub flags: u32,
    pub hook: u8,
    pub fs: u32,
    pub tid: u32,
    pub key: InodeKey,
    pub rsv: u64,
    pub rsv_type: RsvType,
    pub args: [u64; 4],
    pub ret: i64,
    pub extents: i32,
    pub calculations: u32,
    pub csum_bytes: i64,
    pub data: i64,
    pub qgroup_data: i64,
    pub entered: u64,
    pub time: u64,
    pub stack: StackRef,
    /// Return address: in the function that made the call.
    pub caller: u64,
    /// Return address of the last call inside it; 0 if there was none or it is not known.
    pub exit: u64,
    /// The inode was seen without dirty ranges, so everything that became dirty since is known. Only for the clearing of a range.
    pub seen_clean: bool,
    /// A call inside it is missing or was dropped, so what it contains is not judged.
    pub torn: bool,
}

/// The stack of a call, or of an earlier one like it: see [`Call::stack_representative`].
pub(crate) const fn stack_of(record: &Call) -> StackRef {
    let earlier = record.stack_representative;
    StackRef { id: if record.stack != 0 { record.stack } else { earlier }, representative: earlier != 0 }
}

impl Node {
    pub(crate) fn of(record: &Call) -> Self {
        Self {
            serial: record.serial,
            parent: record.parent,
            flags: record.flags,
            hook: record.header.hook,
            fs: record.header.fs,
            tid: record.header.tid,
            key: InodeKey { root: record.root, ino: record.ino },
            rsv: record.rsv,
            rsv_type: RsvType::from_u32(record.rsv_type),
            args: record.args,
            ret: record.ret,
            extents: record.extents,
            calculations: record.calculations,
            csum_bytes: record.csum_bytes,
            data: record.data,
            qgroup_data: record.qgroup_data,
            entered: record.entered,
            time: record.header.time,
            stack: stack_of(record),
            caller: record.caller,
            exit: 0,
            seen_clean: false,
            torn: record.flags & CALL_TREE_TORN != 0,
        }
    }

    /// Not a call, but a moment of a thread at which a violation shows.
    pub(crate) const fn at(fs: u32, tid: u32, time: u64) -> Self {
        Self {
            serial: 0,
            parent: 0,
            flags: 0,
            hook: 0,
            fs,
            tid,
            key: InodeKey { root: 0, ino: 0 },
            rsv: 0,
            rsv_type: RsvType::None,
            args: [0; 4],
            ret: 0,
            extents: 0,
            calculations: 0,
            csum_bytes: 0,
            data: 0,
            qgroup_data: 0,
            entered: 0,
            time,
            stack: StackRef { id: 0, representative: false },
            caller: 0,
            exit: 0,
            seen_clean: false,
            torn: false,
        }
    }

    /// The hook, if the number is one that we know.
    pub(crate) fn hook(&self) -> Option<HookId> {
        HOOKS.get(usize::from(self.hook)).copied().flatten()
    }

    pub(crate) const fn is(&self, hook: HookId) -> bool {
        self.hook == hook as u8
    }

    pub(crate) const fn has(&self, flags: u32) -> bool {
        self.flags & flags == flags
    }

    pub(crate) fn inode(&self) -> Option<InodeKey> {
        self.has(CALL_INODE).then_some(self.key)
    }

    /// True if the call around it ends what held bytes of `delayed_refs_rsv`, or data of simple quotas.
    fn is_of_ended_holder(&self) -> bool {
        let by = self.args[3];
        (self.is(HookId::BlockRsvRelease) && by & MOVED_BY_END != 0)
            || (self.is(HookId::QgroupFreeRefroot) && by == HookId::RefHeadEnd as u64)
    }

    /// True if the call around it needs it. Calls on pools are dropped, because a flush makes thousands of them.
    pub(crate) fn is_kept(&self) -> bool {
        let rsv = self.is(HookId::BlockRsvRelease) && self.has(CALL_RSV);
        [
            HookId::ReserveMetadata,
            HookId::ReleaseMetadata,
            HookId::InodeRsvRelease,
            HookId::CheckDataFreeSpace,
            HookId::FreeReservedDataSpace,
            HookId::FreeReservedDataSpaceNoquota,
            HookId::BlockRsvAddBytes,
            HookId::TransReleaseMetadata,
            HookId::EndTransaction,
            HookId::QgroupReserveMeta,
            HookId::QgroupFreeMeta,
            HookId::QgroupConvertMeta,
            HookId::QgroupReserveData,
            HookId::QgroupFreeData,
            HookId::SetRecordBits,
            HookId::ClearRecordBits,
        ]
        .into_iter()
        .any(|hook| self.is(hook))
            || self.is_of_ended_holder()
            || rsv
                && matches!(
                    self.rsv_type,
                    RsvType::Delalloc | RsvType::Trans | RsvType::Temp | RsvType::DelayedOps
                )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stack_of_an_earlier_call_is_not_called_exact() {
        let of = |stack, stack_representative| {
            let stack = stack_of(&Call { stack, stack_representative, ..Call::default() });
            (stack.id, stack.representative)
        };
        assert_eq!([of(7, 0), of(7, 1), of(0, 9), of(0, 0)], [(7, false), (7, true), (9, true), (0, false)]);
    }
}
