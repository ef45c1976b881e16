//! Builder for hand-made streams of calls.
use probe_common::{
    call::{CALL_INODE, CALL_RETURNED, CALL_RSV, Call, STATE_KNOWN},
    claim::RsvType,
    extent::Extent,
    header::Header,
    hook::HookId,
    task::Returned,
};
use probe_record::record::Record;
use probe_simulated::{DATA, I, M};

use super::{
    calls::functions,
    stream::{FS, ROOT, Stream},
};
use crate::{ledger::Ledger, vocabulary::finding::Finding};

/// Calls of threads, in the order in which they return.
#[derive(Clone, Debug, Default)]
pub struct Calls {
    pub stream: Stream,
    serial: u32,
}

impl Calls {
    pub fn new() -> Self {
        let mut calls = Self { stream: Stream::born(), serial: 0 };
        calls.call(HookId::UpdateGlobalBlockRsv, 0, [0; 4], |_| {});
        calls
    }

    /// A call without calls inside it; `alter` sets what it did.
    pub fn call(&mut self, hook: HookId, ino: u64, args: [u64; 4], alter: impl FnOnce(&mut Call)) -> u32 {
        self.serial += 1;
        self.returned(hook, ino, args, self.serial, alter);
        self.serial
    }

    pub fn returned(
        &mut self,
        hook: HookId,
        ino: u64,
        args: [u64; 4],
        serial: u32,
        alter: impl FnOnce(&mut Call),
    ) {
        let mut header = self.stream.header(FS);
        header.hook = hook as u8;
        let flags = CALL_RETURNED | if ino == 0 { 0 } else { CALL_INODE };
        let entered = header.time;
        let mut call = Call {
            header,
            serial,
            flags,
            root: ROOT,
            ino,
            args,
            entered,
            stack: u64::from(serial),
            ..Call::default()
        };
        if hook == HookId::BlockRsvRelease && ino == 0 {
            // Others have claimed far more of the pool.
            call.before.size = 1 << 40;
        }
        alter(&mut call);
        self.stream.push(call);
    }

    /// A call around `inside`, which gets its serial.
    pub fn around(
        &mut self,
        hook: HookId,
        ino: u64,
        args: [u64; 4],
        inside: impl FnOnce(&mut Self, u32),
        alter: impl FnOnce(&mut Call),
    ) {
        self.serial += 1;
        let serial = self.serial;
        inside(self, serial);
        self.returned(hook, ino, args, serial, alter);
    }

    pub fn reserve(&mut self, ino: u64, len: u64, parent: u32) {
        let inside = |calls: &mut Self, serial| {
            let bytes = 2 * I + M;
            calls.call(HookId::BlockRsvAddBytes, ino, [bytes, 0, 0, 0], |call| call.parent = serial);
        };
        self.around(HookId::ReserveMetadata, ino, [len, len, 0, 0], inside, |call| {
            (call.extents, call.csum_bytes, call.calculations, call.parent) = (1, len as i64, 1, parent);
        });
    }

    pub fn fail(&mut self, ino: u64, len: u64, noflush: u64, ret: i64) {
        self.call(HookId::ReserveMetadata, ino, [len, len, noflush, 0], |call| call.ret = ret);
    }

    pub fn shed(&mut self, ino: u64, parent: u32) {
        let inside = |calls: &mut Self, serial| {
            calls.call(HookId::BlockRsvRelease, ino, [0; 4], |call| {
                (call.parent, call.rsv_type) = (serial, RsvType::Delalloc as u32);
                call.flags |= CALL_RSV;
            });
        };
        self.around(HookId::InodeRsvRelease, ino, [1, 0, 0, 0], inside, |call| call.parent = parent);
    }

    pub fn release_extents(&mut self, ino: u64, len: u64) {
        let inside = |calls: &mut Self, serial| calls.shed(ino, serial);
        self.around(HookId::ReleaseExtents, ino, [len, 0, 0, 0], inside, |call| {
            (call.extents, call.calculations) = (-1, 1);
        });
    }

    pub fn release_metadata(&mut self, ino: u64, len: u64) {
        let inside = |calls: &mut Self, serial| calls.shed(ino, serial);
        self.around(HookId::ReleaseMetadata, ino, [len, 1, 0, 0], inside, |call| {
            (call.csum_bytes, call.calculations) = (-(len as i64), 1);
        });
    }

    pub fn check(&mut self, ino: u64, len: u64, ret: i64) {
        self.call(HookId::CheckDataFreeSpace, ino, [0, len, 0, 0], |call| call.ret = ret);
    }

    pub fn free(&mut self, ino: u64, len: u64) {
        let data = -(len as i64);
        self.call(HookId::FreeReservedDataSpace, ino, [0, len, 0, 0], |call| call.data = data);
    }

    /// The task makes a range dirty.
    pub fn dirty(&mut self, ino: u64, len: u64) {
        self.call(HookId::SetDelallocExtent, ino, [0, len - 1, 1 << 5, STATE_KNOWN], |call| {
            call.flags = CALL_INODE
        });
    }

    /// The task allocates an extent.
    pub fn spend(&mut self, len: u64) {
        self.stream.bmu(DATA, -(len as i64));
    }

    /// The system call of the task ends.
    pub fn system_call_ends(&mut self) {
        let header = self.stream.header(FS);
        self.stream.push(Returned { header, ret: 0 });
    }

    /// The work item of the worker ends.
    pub fn work_item_ends(&mut self) {
        let header = Header { hook: HookId::WorkEnd as u8, ..self.stream.header(FS) };
        self.stream.push(Returned { header, ret: 0 });
    }

    /// The thread ends.
    pub fn thread_ends(&mut self) {
        let header = Header { hook: HookId::ThreadEnd as u8, ..self.stream.header(FS) };
        self.stream.push(Returned { header, ret: 0 });
    }

    pub fn temp(&mut self, hook: HookId, address: u64, args: [u64; 4], before: u64, after: u64) {
        self.call(hook, 0, args, |call| {
            (call.rsv, call.rsv_type) = (address, RsvType::Temp as u32);
            call.flags |= CALL_RSV;
            (call.before.reserved, call.before.size) = (before, before);
            (call.after.reserved, call.after.size) = (after, after);
        });
    }

    /// An event of an extent on disk; the inode counts only for ordered extents.
    pub fn extent(&mut self, hook: HookId, ino: u64, start: u64, len: u64) {
        let header = Header { hook: hook as u8, ..self.stream.header(FS) };
        let stack = 900 + u64::from(hook as u8);
        self.stream.push(Extent { header, start, len, root: ROOT, ino, stack });
    }

    /// A stream without events of extents is that of a kernel on which they are not hooked.
    pub fn findings(&self) -> Vec<Finding> {
        let records = &self.stream.records;
        let mut setup = functions();
        if !records.iter().any(|record| matches!(record, Record::Extent(_))) {
            setup.attached.retain(|hook| !hook.follows_extents());
        }
        let mut ledger = Ledger::new(setup);
        records.iter().for_each(|record| ledger.apply(record));
        ledger.finish();
        ledger.findings().to_vec()
    }

    #[track_caller]
    pub fn one(&self, kind: &str, account: &str, amount: u64) -> Finding {
        let findings = self.findings();
        let [finding] = findings.as_slice() else { panic!("expected one {kind}: {findings:#?}") };
        assert_eq!(
            (finding.violation.kind.name(), finding.violation.account.name(), finding.amount),
            (kind, account, amount),
            "{finding:#?}"
        );
        finding.clone()
    }

    #[track_caller]
    pub fn silent(&self) {
        assert_eq!(self.findings(), []);
    }
}
