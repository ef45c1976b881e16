//! The sentence of a state, for each cause that its figures can show.
#![allow(clippy::unwrap_used, reason = "a test may panic")]
use probe_common::shortage::{DeviceState, FAILURE_TICKET, LIMIT_MAX_EXCL, LIMIT_MAX_RFER};

use super::{
    super::{build, cause::Cause, model},
    *,
};

const MIB: u64 = 1 << 20;
const METADATA: u64 = 4;

/// The case that led to this: 256 MiB, metadata single, filled and truncated.
fn truncated() -> (FailureState, FailureDevices) {
    let mut state = FailureState {
        why: FAILURE_TICKET,
        error: -28,
        bytes: 3_932_160,
        space_flags: METADATA,
        profiles: [1 << 48, 1 << 48, 1 << 48],
        ..FailureState::default()
    };
    state.space[0] = SpaceState { flags: 1, total: 243 * MIB, used: 32 * MIB, ..SpaceState::default() };
    state.space[1] = SpaceState {
        flags: METADATA,
        total: 8 * MIB,
        used: 212_992,
        may_use: 5_767_168,
        ..SpaceState::default()
    };
    state.space[2] = SpaceState { flags: 2, total: 4 * MIB, used: 16384, ..SpaceState::default() };
    state.rsvs[0] = Rsv { size: 5_767_168, reserved: 5_767_168 };
    let mut devices = FailureDevices { devices: 1, ..FailureDevices::default() };
    devices.device[0] = DeviceState { devid: 1, total: 256 * MIB, used: 255 * MIB, state: 0 };
    (state, devices)
}

fn explained(state: &FailureState, devices: &FailureDevices) -> model::Filesystem {
    let explained = build::filesystem(&case("loop0", state, Some(devices)));
    assert_eq!(explained.impossible, Vec::<String>::new());
    for space in &explained.space_infos {
        let terms =
            [space.used, space.pinned, space.reserved, space.may_use, space.readonly, space.zone_unusable];
        assert_eq!(terms.iter().sum::<i64>() + space.free, space.total, "the rows add up");
    }
    explained
}

#[test]
fn free_space_in_data_is_of_no_use_for_metadata() {
    let (state, devices) = truncated();
    let explained = explained(&state, &devices);
    assert_eq!(
        explained.sentence,
        "Metadata is full: a reservation of 3.75 MiB does not fit into the 2.29 MiB that are free of 8 MiB (208 KiB used, \
         5.50 MiB held by reservations, all of it by the global reserve), and no device has unallocated space for another \
         chunk; the 211 MiB that data has free cannot be used for metadata."
    );
    assert_eq!(explained.causes, ["data-only-free-space", "no-room-for-a-chunk"]);
}

#[test]
fn each_term_that_is_large_enough_is_its_cause() {
    let first = |change: &dyn Fn(&mut FailureState, &mut FailureDevices)| {
        let (mut state, mut devices) = truncated();
        change(&mut state, &mut devices);
        explained(&state, &devices).causes.first().cloned().unwrap_or_default()
    };
    let metadata = |space: fn(&mut SpaceState)| {
        first(&|state, _| {
            state.space[1].total = 16 * MIB;
            space(&mut state.space[1]);
        })
    };
    assert_eq!(metadata(|space| space.pinned = 8 * MIB), Cause::PinnedUntilCommit.name());
    assert_eq!(metadata(|space| space.readonly = 8 * MIB), Cause::ReadonlyBlockGroups.name());
    assert_eq!(metadata(|space| space.zone_unusable = 8 * MIB), Cause::ZoneUnusable.name());
    let delayed_refs = first(&|state, _| {
        state.rsvs[0] = Rsv { size: 2 * MIB, reserved: 2 * MIB };
        state.rsvs[4] = Rsv { size: 3 * MIB, reserved: 3 * MIB };
    });
    assert_eq!(delayed_refs, Cause::DelayedRefsReserve.name());
    let drained = first(&|state, _| {
        state.rsvs[0].reserved = MIB;
        state.space[1].used = 5 * MIB;
        state.space[1].may_use = MIB;
    });
    assert_eq!(drained, Cause::GlobalReserveDrained.name());
    let data_is_full = first(&|state, _| {
        state.space_flags = 1;
        state.bytes = 300 * MIB;
    });
    assert_eq!(data_is_full, Cause::NoRoomForAChunk.name());
    // There is room, and it was not promised.
    assert_eq!(first(&|_, devices| devices.device[0].used = 100 * MIB), Cause::OvercommitRefused.name());
    // There is room, but the kernel found none: holes that are too small.
    let refused = first(&|state, devices| {
        devices.device[0].used = 100 * MIB;
        state.full = 2;
    });
    assert_eq!(refused, Cause::DataOnlyFreeSpace.name());
    let fits = first(&|state, _| state.bytes = MIB);
    assert_eq!(fits, "");
}

/// A full space_info of data was said to lack what its superblocks take.
#[test]
fn superblocks_are_no_readonly_block_groups() {
    let (mut state, devices) = truncated();
    state.space_flags = 1;
    state.bytes = 4096;
    state.space[0] = SpaceState { flags: 1, total: 243 * MIB, readonly: 65536, ..SpaceState::default() };
    state.space[0].used = 243 * MIB - 65536;
    assert_eq!(explained(&state, &devices).causes, ["no-room-for-a-chunk"]);
}

#[test]
fn a_chunk_needs_as_many_devices_as_its_profile() {
    let (mut state, mut devices) = truncated();
    state.profiles[1] = 1 << 4;
    devices.devices = 2;
    devices.device[1] = DeviceState { devid: 2, total: 512 * MIB, used: 100 * MIB, state: 0 };
    let why = explained(&state, &devices);
    assert!(
        why.sentence.contains("of the 2 devices that a chunk of RAID1 needs, only 1 has"),
        "{}",
        why.sentence
    );
    // On one device the kernel makes the next best.
    devices.devices = 1;
    devices.device[0] = devices.device[1];
    devices.device[1] = DeviceState::default();
    assert_eq!(explained(&state, &devices).causes, ["overcommit-refused"]);
}

#[test]
fn many_devices_prove_nothing() {
    let (state, mut devices) = truncated();
    devices.devices = 99;
    let state = FailureState { free_chunk_space: 1 << 40, ..state };
    let why = explained(&state, &devices);
    assert!(!why.causes.iter().any(|cause| cause == Cause::NoRoomForAChunk.name()), "{}", why.sentence);
    assert_eq!(left_out(&state, Some(&devices)).len(), 1);
}

#[test]
fn a_limit_says_what_it_allows_and_what_was_there() {
    let refusal = QgroupRefusal {
        qgroupid: 257,
        lim_flags: LIMIT_MAX_RFER | LIMIT_MAX_EXCL,
        max_rfer: 100 * MIB,
        max_excl: 10 * MIB,
        rfer: 8 * MIB,
        excl: 8 * MIB,
        reserved: [MIB, 0, MIB / 2],
        bytes: MIB,
        ..QgroupRefusal::default()
    };
    let explained = build::filesystem(&qgroup_case("loop0", &refusal));
    assert_eq!(explained.causes, ["qgroup-limit"]);
    assert_eq!(
        explained.sentence,
        "Qgroup 0/257 may have 10 MiB exclusive: 8 MiB are used and 1.50 MiB reserved (1 MiB data, 512 KiB metadata in \
         advance), so another 1 MiB of data exceed the limit by 512 KiB."
    );
}

/// A worker that may not wait asked for 16 KiB while 3.25 MiB were free, and the sentence said that they do not fit.
#[test]
fn who_may_not_wait_does_not_pass_those_that_do() {
    let (mut state, mut devices) = truncated();
    (state.why, state.bytes) = (FAILURE_NO_WAIT, 16384);
    state.space[1].readonly = 507_904;
    devices.reclaim_size = 3_932_160;
    let first = explained(&state, &devices);
    assert_eq!(
        first.sentence,
        "Metadata has 1.81 MiB free, but reservations of 3.75 MiB wait for space already, and one that may not wait cannot pass \
         them."
    );
    assert_eq!(first.causes, ["waiting-reservations"]);
    // It could only be granted against unallocated space.
    let (mut more, mut roomy) = (state, devices);
    (more.bytes, more.free_chunk_space, roomy.device[0].used) = (3_932_160, 128 * MIB, 128 * MIB);
    let second = explained(&more, &roomy);
    assert_eq!(second.causes, ["waiting-reservations"]);
    assert_eq!(
        second.sentence,
        "A reservation of 3.75 MiB of metadata could be granted against unallocated space only, but reservations of 3.75 MiB \
         wait for space already, and one that may not wait cannot pass them."
    );
    roomy.reclaim_size = 0;
    assert_eq!(explained(&more, &roomy).causes, ["overcommit-refused"]);
    // What is free is never said to be too little for what fits into it.
    devices.reclaim_size = 0;
    let later = explained(&state, &devices);
    assert!(later.sentence.contains("so they are of a later moment"), "{}", later.sentence);
    assert_eq!(later.causes, [""; 0]);
    // Larger than what is free: not for those that wait.
    (state.bytes, devices.reclaim_size) = (3_932_160, 16384);
    assert_eq!(explained(&state, &devices).causes[0], "data-only-free-space");
}
