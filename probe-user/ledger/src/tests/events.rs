//! `delalloc` events against the calls that send them.
use probe_common::{
    call::CALL_RSV,
    claim::RsvType,
    hook::HookId,
    inode::{DELALLOC_RESERVE, DELALLOC_ROOT_KNOWN},
};
use probe_simulated::{I, M};

use super::call_stream::Calls;

const LEN: u64 = 8192;
const BYTES: u64 = 2 * I + M;

/// A reservation for inode `ino` whose event names `told`, if there is one.
fn reserve(calls: &mut Calls, ino: u64, told: Option<(u64, u64)>) {
    let inside = |calls: &mut Calls, serial| {
        calls.call(HookId::BlockRsvAddBytes, ino, [BYTES, 0, 0, 0], |call| call.parent = serial);
        event(calls, told, DELALLOC_RESERVE);
    };
    calls.around(HookId::ReserveMetadata, ino, [LEN, LEN, 0, 0], inside, |call| {
        (call.extents, call.csum_bytes, call.calculations) = (1, LEN as i64, 1);
        call.metadata = BYTES as i64;
    });
}

fn release(calls: &mut Calls, ino: u64, told: Option<(u64, u64)>) {
    let shed = |calls: &mut Calls, serial| {
        calls.call(HookId::BlockRsvRelease, ino, [0; 4], |call| {
            (call.parent, call.rsv_type, call.ret) = (serial, RsvType::Delalloc as u32, BYTES as i64);
            call.flags |= CALL_RSV;
        });
        event(calls, told, 0);
    };
    let inside = |calls: &mut Calls, serial| {
        calls.around(HookId::InodeRsvRelease, ino, [1, 0, 0, 0], shed, |call| call.parent = serial);
    };
    calls.around(HookId::ReleaseExtents, ino, [LEN, 0, 0, 0], inside, |call| {
        (call.extents, call.calculations) = (-1, 1);
    });
}

fn event(calls: &mut Calls, told: Option<(u64, u64)>, flags: u32) {
    if let Some((ino, bytes)) = told {
        let record = calls.stream.delalloc(ino, bytes, flags | DELALLOC_ROOT_KNOWN);
        calls.stream.push(record);
    }
}

#[test]
fn an_event_with_another_inode_is_no_leak_of_either() {
    let mut calls = Calls::new();
    for (tid, ino) in [(101, 257), (102, 258)] {
        calls.stream.by(tid);
        reserve(&mut calls, ino, Some((ino, BYTES)));
    }
    for (tid, ino, told) in [(101, 257, 258), (102, 258, 257)] {
        calls.stream.by(tid);
        release(&mut calls, ino, Some((told, BYTES)));
    }
    calls.stream.evict(257).destroy(257).evict(258).destroy(258);
    let findings = calls.findings();
    let found: Vec<_> = findings
        .iter()
        .map(|f| (f.violation.kind.name(), f.violation.account.name(), f.violation.ino, f.amount))
        .collect();
    assert_eq!(
        found,
        [
            ("counter-mismatch", "inode.meta_rsv", Some(257), BYTES),
            ("counter-mismatch", "inode.meta_rsv", Some(258), BYTES)
        ]
    );
}

#[test]
fn an_event_has_the_bytes_of_its_call() {
    let mut calls = Calls::new();
    reserve(&mut calls, 257, Some((257, BYTES)));
    release(&mut calls, 257, Some((257, BYTES)));
    calls.stream.evict(257).destroy(257);
    calls.silent();
    reserve(&mut calls, 258, Some((258, BYTES)));
    release(&mut calls, 258, None);
    calls.stream.evict(258).destroy(258);
    calls.one("counter-mismatch", "inode.meta_rsv", BYTES);

    let mut calls = Calls::new();
    reserve(&mut calls, 257, Some((257, BYTES + 4096)));
    release(&mut calls, 257, Some((257, BYTES)));
    calls.stream.evict(257).destroy(257);
    calls.one("counter-mismatch", "inode.meta_rsv", BYTES);
}
