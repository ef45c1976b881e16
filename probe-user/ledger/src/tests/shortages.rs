//! Failures for lack of space: what counts as one, and which state explains it. They are no findings.
use probe_common::{
    failure::{Enospc, Ticket},
    fs::{FS_BORN, Rsv},
    shortage::{
        DeviceState, FAILURE_ABORT, FAILURE_ALL_TICKETS, FAILURE_NO_WAIT, FAILURE_TICKET, FailureDevices,
        FailureState, QGROUP_GRANTED, QGROUP_REFUSED, QgroupRefusal, SpaceState,
    },
};
use probe_simulated::{DATA, METADATA};

use super::stream::{FS, ROOT, Stream};
use crate::vocabulary::{
    account::Account,
    holders::Holder,
    shortage::{Shortage, ShortageKind},
};

const BYTES: u64 = 4 << 20;
const ENOSPC: i32 = -28;

fn failed_ticket(stream: &mut Stream, bytes: u64) {
    let header = stream.header(FS);
    stream.push(Ticket {
        header,
        space_flags: METADATA,
        bytes,
        start: header.time - 500_000,
        flush: 5,
        error: ENOSPC,
        ..Ticket::default()
    });
}

fn enospc(stream: &mut Stream, bytes: u64) {
    let header = stream.header(FS);
    stream.push(Enospc { header, space_flags: METADATA, bytes, ..Enospc::default() });
}

/// The state with `free` bytes of metadata, and its device.
fn state(stream: &mut Stream, why: u32, bytes: u64, free: u64) {
    let header = stream.header(FS);
    let at = header.time;
    let mut record =
        FailureState { header, at, why, bytes, space_flags: METADATA, ..FailureState::default() };
    record.space[0] = SpaceState { flags: METADATA, total: free, ..SpaceState::default() };
    record.space[1] = SpaceState { flags: DATA, total: 1 << 30, ..SpaceState::default() };
    stream.push(record);
    let header = stream.header(FS);
    let mut devices = FailureDevices { header, at, devices: 1, ..FailureDevices::default() };
    devices.device[0] = DeviceState { devid: 1, total: 1 << 30, used: 1 << 30, state: 0 };
    stream.push(devices);
}

fn shortages(stream: &Stream) -> Vec<Shortage> {
    stream.assert_silent().shortages().to_vec()
}

fn only(stream: &Stream) -> Shortage {
    let mut all = shortages(stream);
    assert_eq!(all.len(), 1, "{all:#?}");
    all.remove(0)
}

#[test]
fn a_failed_ticket_and_its_enospc_are_one_failure() {
    let mut stream = Stream::born();
    failed_ticket(&mut stream, BYTES);
    state(&mut stream, FAILURE_TICKET, BYTES, 1 << 20);
    enospc(&mut stream, BYTES);
    let shortage = only(&stream);
    assert_eq!((shortage.kind, shortage.count, shortage.with_state), (ShortageKind::Ticket, 1, 1));
    let state = shortage.first.state.as_ref().unwrap();
    assert_eq!(state.devices.unwrap().device[0].devid, 1);
    assert!(!state.decided && shortage.last.is_none());
}

/// The holders are those of the moment of the failure, not of the last commit.
#[test]
fn a_failure_tells_who_held_the_pool() {
    let mut stream = Stream::born();
    failed_ticket(stream.reserve(257, 3 << 20), BYTES);
    let header = stream.header(FS);
    let mut record = FailureState {
        header,
        at: header.time,
        why: FAILURE_TICKET,
        bytes: BYTES,
        space_flags: METADATA,
        ..FailureState::default()
    };
    record.rsvs[0] = Rsv { size: 5 << 20, reserved: 4 << 20 };
    record.space[0] =
        SpaceState { flags: METADATA, total: 9 << 20, may_use: 8 << 20, ..SpaceState::default() };
    stream.push(record).release(257, 3 << 20);
    let state = only(&stream).first.state.unwrap();
    let space = &state.holders.unwrap().spaces[0];
    let inode = Holder::Inode { account: Account::InodeMetaRsv, root: ROOT, ino: 257 };
    assert_eq!(space.rows, [(Holder::Rsv(Account::FsGlobalRsv), 4 << 20), (inode, 3 << 20)]);
    assert_eq!((space.may_use, space.rest), (8 << 20, 1 << 20));
}

#[test]
fn a_request_that_may_not_wait_is_told_apart() {
    let mut stream = Stream::born();
    enospc(&mut stream, BYTES);
    state(&mut stream, FAILURE_NO_WAIT, BYTES, 1 << 20);
    let shortage = only(&stream);
    assert_eq!((shortage.kind, shortage.count, shortage.with_state), (ShortageKind::NoWait, 1, 1));
}

#[test]
fn the_largest_and_the_last_of_many_are_kept_and_the_others_counted() {
    let mut stream = Stream::born();
    for (tid, bytes) in [(1, 1), (2, 9), (3, 2)] {
        failed_ticket(stream.by(tid), bytes << 20);
        state(&mut stream, FAILURE_TICKET, bytes << 20, 4096);
    }
    // A burst: no state is sent.
    failed_ticket(stream.by(4), 5 << 20);
    let shortage = only(&stream);
    assert_eq!((shortage.count, shortage.with_state, shortage.largest_bytes), (4, 3, 9 << 20));
    let bytes: Vec<u64> = shortage.events().iter().map(|event| event.bytes >> 20).collect();
    assert_eq!(bytes, [1, 9, 2]);
    assert!(shortage.events().iter().all(|event| event.state.as_ref().unwrap().devices.is_some()));
}

/// What was freed between the decision and the task's look made a failure look as if it had fit.
#[test]
fn a_ticket_is_explained_by_the_state_in_which_it_was_failed() {
    for (start_before, free, decided) in
        [(true, BYTES, true), (true, BYTES - 1, false), (false, BYTES, false)]
    {
        let mut stream = Stream::born();
        if !start_before {
            stream.time += 10_000_000;
        }
        state(&mut stream, FAILURE_ALL_TICKETS, 0, 4096);
        if !start_before {
            stream.time += 10_000_000;
        }
        failed_ticket(&mut stream, BYTES);
        state(&mut stream, FAILURE_TICKET, BYTES, free);
        let shortage = only(&stream);
        let state = shortage.first.state.as_ref().unwrap();
        assert_eq!(state.decided, decided);
        assert_eq!(
            (state.state.bytes, state.state.space[0].total),
            (BYTES, if decided { 4096 } else { free })
        );
        assert!(state.devices.is_some());
    }
}

fn refusal(stream: &mut Stream, bytes: u64, outcome: u32) {
    let header = stream.header(FS);
    let (at, root) = (header.time, ROOT);
    stream.push(QgroupRefusal {
        header,
        at,
        root,
        qgroupid: ROOT,
        bytes,
        outcome,
        ..QgroupRefusal::default()
    });
}

#[test]
fn a_qgroup_that_refuses_twice_refused_once_and_one_that_gives_in_did_not() {
    let mut stream = Stream::born();
    refusal(&mut stream, BYTES, QGROUP_REFUSED);
    refusal(&mut stream, BYTES, QGROUP_REFUSED);
    let shortage = only(&stream);
    assert_eq!((shortage.kind, shortage.error, shortage.count), (ShortageKind::Qgroup, -122, 1));
    // Another reservation of the same thread, refused once and made after the flush.
    refusal(&mut stream, 4096, QGROUP_REFUSED);
    refusal(&mut stream, 4096, QGROUP_GRANTED);
    assert_eq!(only(&stream).count, 1);
    refusal(&mut stream, 4096, QGROUP_REFUSED);
    assert_eq!(only(&stream).count, 2);
}

#[test]
fn an_abort_has_its_place_and_the_state_right_after_it() {
    let mut stream = Stream::attached();
    stream.on(FS, FS_BORN, "sdb");
    stream.line("BTRFS: error (device sdb state A) in btrfs_run_delayed_refs:2163: errno=-28 No space left");
    stream.line("BTRFS info (device sdb state EA): forced readonly");
    // What follows from it is no other abort.
    stream.line("BTRFS: error (device sdb state EA) in cleanup_transaction:2051: errno=-28 No space left");
    state(&mut stream, FAILURE_ABORT, 0, 4096);
    let shortage = only(&stream);
    assert_eq!((shortage.kind, shortage.error, shortage.count), (ShortageKind::Abort, ENOSPC, 1));
    assert_eq!(shortage.first.line.as_deref(), Some("btrfs_run_delayed_refs:2163"));
    assert!(shortage.first.state.as_ref().unwrap().devices.is_some());
}

#[test]
fn kinds_are_bounded_and_what_is_beyond_is_counted() {
    let mut stream = Stream::born();
    for qgroup in 0..1100 {
        let header = stream.by(qgroup + 1).header(FS);
        let (qgroupid, bytes) = (u64::from(qgroup), BYTES);
        stream.push(QgroupRefusal { header, qgroupid, bytes, ..QgroupRefusal::default() });
    }
    let ledger = stream.assert_silent();
    assert_eq!((ledger.shortages().len(), ledger.shortages_beyond()), (1024, 76));
}
