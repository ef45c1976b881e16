//! Who draws on what: each kind of move, the sums of the matrix, and draws on the global block_rsv.
use probe_common::{
    call::{CALL_RSV, Call, MOVED_KNOWN, MOVED_OF_FS},
    claim::RsvType,
    draw::Draw,
    fs::{LEVELS_AUDIT, LEVELS_COMMIT, Levels, Rsv, SpaceLevels},
    hook::HookId,
    inode::{BLOCK_FALLBACK, Block},
    shortage::{FAILURE_NO_WAIT, FailureState},
};
use probe_simulated::{M, METADATA, N};
use proptest::prelude::*;

use super::{
    call_stream::Calls,
    recorded::{self, RECORDED},
    stream::{FS, ROOT, Stream},
};
use crate::{
    ledger::Ledger,
    vocabulary::{
        draws::{DrawCell, FsDraws, MoveKind, Reserve},
        setup::Setup,
    },
};

/// `BTRFS_CSUM_TREE_OBJECTID`
const CSUM_TREE: u64 = 7;
/// `BTRFS_ROOT_TREE_OBJECTID`
const ROOT_TREE: u64 = 1;

fn ledger(stream: &Stream) -> Ledger {
    let mut ledger = Ledger::new(super::calls::functions());
    stream.records.iter().for_each(|record| ledger.apply(record));
    ledger.finish();
    ledger
}

fn draws(stream: &Stream) -> FsDraws {
    *ledger(stream).summary(0).filesystems.remove(0).draws.expect("nothing moved")
}

/// From, to, kind, in place of, bytes of the cells, most bytes first.
fn cells(draws: &FsDraws) -> Vec<(Reserve, Reserve, MoveKind, Option<Reserve>, u64)> {
    let row = |cell: &DrawCell| (cell.from, cell.to, cell.kind, cell.instead_of, cell.moved.bytes);
    draws.cells.iter().map(row).collect()
}

const OF_FS: u64 = MOVED_KNOWN | MOVED_OF_FS;

fn rsv(kind: RsvType) -> impl Fn(&mut Call) {
    move |call| {
        call.flags |= CALL_RSV;
        call.rsv_type = kind as u32;
        call.rsv = 0x1000 + kind as u64;
    }
}

/// A tree block that a block_rsv of this type pays for.
fn uses(calls: &mut Calls, kind: RsvType, root: u64, fresh: bool) {
    calls.call(HookId::UseBlockRsv, 0, [root, N, 0, 0], |call| {
        rsv(kind)(call);
        call.ret = call.rsv as i64;
        call.metadata = if fresh { N as i64 } else { 0 };
    });
}

/// A release of a block_rsv of which `left` bytes left it, and `freed` of these `bytes_may_use`.
fn releases(calls: &mut Calls, kind: RsvType, left: u64, freed: u64, flags: u64) {
    calls.call(HookId::BlockRsvRelease, 0, [left, 0, freed, flags], |call| {
        rsv(kind)(call);
        call.ret = left as i64;
    });
}

fn block(calls: &mut Calls, payer: RsvType, root: u64, flags: u32) {
    let header = calls.stream.header(FS);
    calls.stream.push(Block { header, root, bytes: N, payer: payer as u32, flags, ..Block::default() });
}

fn reading(stream: &mut Stream, why: u32, rsvs: [u64; 5], may_use: u64) {
    stream.wait(5_000_000_000);
    let header = stream.header(FS);
    let [global, trans, chunk, delayed, delayed_refs] =
        rsvs.map(|reserved| Rsv { size: reserved.max(M), reserved });
    let mut space = [SpaceLevels::default(); 4];
    space[0] = SpaceLevels { flags: METADATA, total: 1 << 30, may_use, ..SpaceLevels::default() };
    stream.push(Levels {
        header,
        why,
        global,
        trans,
        chunk,
        delayed,
        delayed_refs,
        space,
        ..Levels::default()
    });
}

#[test]
fn what_is_released_and_not_freed_is_in_another_reserve() {
    let mut calls = Calls::new();
    releases(&mut calls, RsvType::Trans, 5 * M, 2 * M, OF_FS);
    releases(&mut calls, RsvType::DelayedRefs, 4 * M, 4 * M, OF_FS);
    releases(&mut calls, RsvType::DelayedRefs, M, 0, MOVED_KNOWN | MOVED_OF_FS);
    assert_eq!(
        cells(&draws(&calls.stream)),
        [
            (Reserve::DelayedRefs, Reserve::Space, MoveKind::Release, None, 4 * M),
            (Reserve::Trans, Reserve::DelayedRefs, MoveKind::Surplus, None, 3 * M),
            (Reserve::Trans, Reserve::Space, MoveKind::Release, None, 2 * M),
            (Reserve::DelayedRefs, Reserve::Global, MoveKind::Surplus, None, M),
        ]
    );
}

#[test]
fn a_release_of_an_older_recording_is_not_guessed() {
    let mut calls = Calls::new();
    releases(&mut calls, RsvType::Trans, 5 * M, 0, 0);
    let draws = draws(&calls.stream);
    assert_eq!((cells(&draws), draws.unknown_releases.bytes), (Vec::new(), 5 * M));
    assert_eq!(draws.rows, []);
}

#[test]
fn a_block_is_paid_for_by_its_reserve_on_the_spot_or_by_the_global_one() {
    let mut calls = Calls::new();
    uses(&mut calls, RsvType::Trans, ROOT, false);
    uses(&mut calls, RsvType::TreeLog, ROOT, true);
    uses(&mut calls, RsvType::TreeLog, ROOT, true);
    uses(&mut calls, RsvType::Global, ROOT_TREE, false);
    block(&mut calls, RsvType::Global, ROOT_TREE, 0);
    uses(&mut calls, RsvType::Global, CSUM_TREE, false);
    // What the tracepoints guess of it does not count here.
    block(&mut calls, RsvType::DelayedRefs, CSUM_TREE, BLOCK_FALLBACK);
    // The block was not allocated after all.
    calls.call(HookId::BlockRsvAddBytes, 0, [N, 0, 0, OF_FS], |call| rsv(RsvType::Trans)(call));
    let draws = draws(&calls.stream);
    assert_eq!(
        cells(&draws),
        [
            (Reserve::Space, Reserve::Blocks, MoveKind::OnTheSpot, Some(Reserve::TreeLog), 2 * N),
            (Reserve::Global, Reserve::Blocks, MoveKind::Use, None, N),
            (Reserve::Global, Reserve::Blocks, MoveKind::FallBack, Some(Reserve::DelayedRefs), N),
            (Reserve::Trans, Reserve::Blocks, MoveKind::Use, None, N),
            (Reserve::Blocks, Reserve::Trans, MoveKind::PutBack, None, N),
        ]
    );
    let roots: Vec<u64> = draws.cells[2].roots.iter().map(|(root, _)| *root).collect();
    assert_eq!(roots, [CSUM_TREE]);
    let drawn: Vec<_> = draws.global.iter().map(|draw| (draw.kind, draw.root, draw.moved.bytes)).collect();
    assert_eq!(drawn, [(MoveKind::Use, ROOT_TREE, N), (MoveKind::FallBack, CSUM_TREE, N)]);
}

#[test]
fn a_draw_whose_tree_block_was_not_seen_is_in_the_matrix_at_the_end() {
    let mut calls = Calls::new();
    uses(&mut calls, RsvType::Global, CSUM_TREE, false);
    let draws = draws(&calls.stream);
    assert_eq!(cells(&draws), [(Reserve::Global, Reserve::Blocks, MoveKind::FallBack, None, N)]);
}

#[test]
fn what_a_handle_got_for_delayed_refs_and_lacks_at_its_end_is_in_delayed_refs_rsv() {
    let mut calls = Calls::new();
    calls.call(HookId::BlockRsvAddBytes, 0, [4 * M, 1, 0, MOVED_KNOWN], |call| {
        rsv(RsvType::DelayedRefs)(call);
    });
    calls.call(HookId::BlockRsvRelease, 0, [4 * M, 0, 0, MOVED_KNOWN], |call| {
        rsv(RsvType::DelayedRefs)(call);
        call.before.reserved = M;
        call.ret = M as i64;
    });
    assert_eq!(
        cells(&draws(&calls.stream)),
        [
            (Reserve::Space, Reserve::Handles, MoveKind::Reserve, None, 4 * M),
            (Reserve::Handles, Reserve::DelayedRefs, MoveKind::Migrate, None, 3 * M),
            (Reserve::Handles, Reserve::Global, MoveKind::Surplus, None, M),
        ]
    );
}

#[test]
fn migrations_steals_and_refills_have_cells() {
    let mut calls = Calls::new();
    let to_temp = [0x2000, 3 * M, 1, RsvType::Temp as u64];
    calls.call(HookId::BlockRsvMigrate, 0, to_temp, |call| rsv(RsvType::Global)(call));
    calls.call(HookId::BlockRsvMigrate, 0, to_temp, |call| {
        rsv(RsvType::Trans)(call);
        call.ret = -28;
    });
    calls.call(HookId::StealFromGlobal, 0, [2 * M, 0, 0, 0], |call| {
        rsv(RsvType::Global)(call);
        call.ret = 1;
    });
    calls.call(HookId::RefillDelayedRefs, 0, [2, 0, M, MOVED_KNOWN], |_| {});
    let draws = draws(&calls.stream);
    assert_eq!(
        cells(&draws),
        [
            (Reserve::Global, Reserve::Temp, MoveKind::Migrate, None, 3 * M),
            (Reserve::Global, Reserve::Tickets, MoveKind::Steal, None, 2 * M),
            (Reserve::Space, Reserve::DelayedRefs, MoveKind::Reserve, None, M),
        ]
    );
    assert_eq!(draws.global.len(), 2);
}

#[test]
fn draws_beyond_the_bound_are_counted() {
    let mut calls = Calls::new();
    for _ in 0..100 {
        // Each has a stack of its own.
        uses(&mut calls, RsvType::Global, ROOT, false);
    }
    let draws = draws(&calls.stream);
    let kept: u64 = draws.global.iter().map(|draw| draw.moved.bytes).sum();
    assert_eq!((draws.global.len(), kept + draws.global_beyond.bytes), (64, 100 * N));
    let cell = &draws.cells[0];
    let by: u64 = cell.movers.iter().map(|by| by.moved.bytes).sum();
    assert_eq!(by + cell.other_movers.bytes, cell.moved.bytes);
}

#[test]
fn a_failure_names_who_drained_the_global_reserve_since_it_was_full() {
    let mut calls = Calls::new();
    calls.stream.by(7).task_seen(7, 7, "old");
    uses(&mut calls, RsvType::Global, ROOT, false);
    reading(&mut calls.stream, LEVELS_COMMIT, [4 * M, 0, 0, 0, 0], 4 * M);
    calls.stream.by(8).task_seen(8, 8, "rm");
    uses(&mut calls, RsvType::Global, ROOT, false);
    calls.stream.enospc(N, 0);
    let header = calls.stream.header(FS);
    let mut rsvs = [Rsv::default(); 7];
    rsvs[0] = Rsv { size: 4 * M, reserved: M };
    calls.stream.push(FailureState { header, why: FAILURE_NO_WAIT, rsvs, ..FailureState::default() });
    let ledger = ledger(&calls.stream);
    let by = &ledger.shortages()[0].first.drained_by;
    let names: Vec<&str> = by.iter().map(|draw| draw.tasks[0].0.comm.as_str()).collect();
    assert_eq!(names, ["rm"]);
}

/// A model of the reserves: what the kernel would do, and its records.
struct Model {
    calls: Calls,
    /// Global, trans, chunk, delayed, delayed refs, temporary.
    held: [u64; 6],
}

const KINDS: [RsvType; 6] = [
    RsvType::Global,
    RsvType::Trans,
    RsvType::Chunk,
    RsvType::DelayedOps,
    RsvType::DelayedRefs,
    RsvType::Temp,
];

impl Model {
    fn act(&mut self, what: u8, which: u8, units: u8) {
        let at = usize::from(which) % KINDS.len();
        let (kind, bytes) = (KINDS[at], u64::from(units % 32) * N);
        let flags = MOVED_KNOWN | if kind == RsvType::Temp { 0 } else { MOVED_OF_FS };
        match what % 6 {
            0 => {
                self.held[at] += bytes;
                self.calls.call(HookId::BlockRsvAdd, 0, [bytes, 0, 0, 0], |call| rsv(kind)(call));
            }
            1 if self.held[at] >= N => {
                self.held[at] -= N;
                uses(&mut self.calls, kind, if at == 0 { ROOT_TREE } else { ROOT }, false);
            }
            2 => {
                let left = bytes.min(self.held[at]);
                // A part goes where the kernel puts it.
                let surplus = if kind == RsvType::Chunk || kind == RsvType::Global { 0 } else { left / 2 };
                self.held[at] -= left;
                self.held[if kind == RsvType::DelayedRefs { 0 } else { 4 }] += surplus;
                releases(&mut self.calls, kind, left, left - surplus, flags);
            }
            3 => {
                let to = usize::from(units) % KINDS.len();
                let moved = bytes.min(self.held[at]);
                self.held[at] -= moved;
                self.held[to] += moved;
                let args = [0, moved, 0, KINDS[to] as u64];
                self.calls.call(HookId::BlockRsvMigrate, 0, args, |call| rsv(kind)(call));
            }
            4 => {
                let stolen = bytes.min(self.held[0]);
                self.held[0] -= stolen;
                self.calls.call(HookId::StealFromGlobal, 0, [stolen, 0, 0, 0], |call| {
                    rsv(RsvType::Global)(call);
                    call.ret = 1;
                });
            }
            _ => {
                self.held[4] += bytes;
                let args = [0, 0, bytes, MOVED_KNOWN];
                self.calls.call(HookId::RefillDelayedRefs, 0, args, |_| {});
            }
        }
    }

    fn read(&mut self) {
        let [global, trans, chunk, delayed, refs, temp] = self.held;
        let all = global + trans + delayed + refs + temp;
        reading(&mut self.calls.stream, LEVELS_AUDIT, [global, trans, chunk, delayed, refs], all);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// What left one reserve arrived in another one or was used, so the rows of the reserves add up without a rest.
    #[test]
    fn the_matrix_adds_up(
        before in prop::collection::vec(any::<(u8, u8, u8)>(), 0..40),
        acts in prop::collection::vec(any::<(u8, u8, u8)>(), 1..120),
    ) {
        let mut model = Model { calls: Calls::new(), held: [0; 6] };
        before.into_iter().for_each(|(what, which, units)| model.act(what, which, units));
        let first = model.held;
        model.read();
        acts.into_iter().for_each(|(what, which, units)| model.act(what, which, units));
        model.read();
        let draws = ledger(&model.calls.stream).summary(0).filesystems.remove(0).draws;
        let Some(draws) = draws else { return Ok(()) };
        for (at, row) in draws.rows.iter().enumerate() {
            prop_assert_eq!((row.first, row.last, row.not_attributed), (first[at], model.held[at], 0), "{:?}", row);
        }
        prop_assert_eq!(draws.rows.len(), 5);
        let [out, into]: [u64; 2] = [
            draws.cells.iter().filter(|cell| cell.from == Reserve::Space).map(|cell| cell.moved.bytes).sum(),
            draws.cells.iter().filter(|cell| cell.from != Reserve::Space
                && matches!(cell.to, Reserve::Space | Reserve::Blocks | Reserve::Tickets)).map(|cell| cell.moved.bytes).sum(),
        ];
        prop_assert_eq!(out - into, model.held.iter().sum::<u64>());
    }
}

#[test]
fn on_tracepoints_the_global_reserve_shows_its_draws_and_level() {
    let mut stream = Stream::born();
    let header = stream.header(FS);
    stream.push(Draw {
        header,
        root: CSUM_TREE,
        bytes: N,
        global: Rsv { size: 8 * M, reserved: 2 * M },
        payer: RsvType::DelayedRefs as u32,
        flags: BLOCK_FALLBACK,
        stack: 9,
    });
    let header = stream.header(FS);
    let (payer, flags) = (RsvType::DelayedRefs as u32, BLOCK_FALLBACK);
    stream.push(Block { header, root: CSUM_TREE, bytes: N, payer, flags, ..Block::default() });
    stream.reserve(257, M).release(257, M);
    let mut ledger = Ledger::new(Setup::default());
    stream.records.iter().for_each(|record| ledger.apply(record));
    let draws = ledger.summary(0).filesystems.remove(0).draws.expect("nothing moved");
    assert!(!draws.by_calls);
    assert_eq!(
        cells(&draws),
        [
            (Reserve::Space, Reserve::Inodes, MoveKind::Reserve, None, M),
            (Reserve::Global, Reserve::Blocks, MoveKind::FallBack, Some(Reserve::DelayedRefs), N),
        ]
    );
    assert_eq!((draws.global[0].kind, draws.global[0].stack.id), (MoveKind::FallBack, 9));
    assert_eq!(draws.global_lowest.map(|(level, _)| level.reserved), Some(2 * M));
    assert_eq!(draws.unknown_releases.bytes, M);
}

/// Readings of `bytes_may_use`, with a task at work before those of `busy`.
fn grows(levels: &[u64], busy: &[usize]) -> usize {
    let mut stream = Stream::born();
    stream.task_seen(100, 100, "dd");
    for (at, level) in levels.iter().enumerate() {
        if busy.contains(&at) {
            stream.by(100).reserve(257, M).release(257, M);
        }
        reading(&mut stream, LEVELS_AUDIT, [M, 0, 0, 0, 0], M + level);
    }
    let mut ledger = Ledger::new(Setup::default());
    stream.records.iter().for_each(|record| ledger.apply(record));
    ledger.finish();
    let summary = ledger.summary(0);
    assert_eq!(ledger.findings(), []);
    summary.filesystems[0].draws.as_ref().map_or(0, |draws| draws.idle_growth.len())
}

#[test]
fn a_pool_that_only_grows_while_no_task_works_is_a_hint() {
    assert_eq!(grows(&[0, M, 2 * M, 3 * M], &[]), 1);
    assert_eq!(grows(&[0, M, M, 2 * M, 3 * M], &[]), 1, "it may stand still");
    assert_eq!(grows(&[0, M, 2 * M, 3 * M], &[2]), 0, "a task explains one of the rises");
    assert_eq!(grows(&[0, M, 2 * M, 3 * M, 2 * M], &[]), 0, "it fell");
    assert_eq!(grows(&[0, M, 0, M, 2 * M, 3 * M], &[1, 2]), 0, "it fell while a task worked");
    assert_eq!(grows(&[0, M, 2 * M], &[]), 0, "too few");
}

/// A reclaim worker commits again and again while a task waits; each time the task is granted more.
#[test]
fn a_task_that_waits_while_workers_commit_is_at_work() {
    let mut stream = Stream::born();
    stream.task_seen(9, 9, "kworker/u8:0");
    for at in 0..10 {
        stream.by(9).reserve(257, M);
        reading(&mut stream, LEVELS_COMMIT, [M, 0, 0, 0, 0], at * M);
    }
    for at in 10..20 {
        stream.by(9).ticket(METADATA, M, 0, 0);
        reading(&mut stream, LEVELS_AUDIT, [M, 0, 0, 0, 0], at * M);
    }
    let mut ledger = Ledger::new(Setup::default());
    stream.records.iter().for_each(|record| ledger.apply(record));
    let draws = ledger.summary(0).filesystems.remove(0).draws.expect("nothing moved");
    assert_eq!(draws.idle_growth, []);
}

#[test]
fn no_pool_of_a_real_stream_grows_while_idle() {
    for recorded in RECORDED.iter() {
        for fs in recorded.run(&recorded.records).summary(0).filesystems {
            let grew = fs.draws.map(|draws| draws.idle_growth).unwrap_or_default();
            assert_eq!(grew, [], "{}", recorded.name);
        }
    }
}

/// Of a real stream on tracepoints, every tree block is in the matrix.
#[test]
fn every_tree_block_of_a_real_stream_is_in_the_matrix() {
    let recorded = recorded::recorded("parallel");
    let blocks = recorded.records.iter().filter_map(|record| match record {
        probe_record::record::Record::Block(block) => Some(block.bytes),
        _ => None,
    });
    let summary = recorded.run(&recorded.records).summary(0);
    let cells = summary.filesystems.iter().filter_map(|fs| fs.draws.as_ref()).flat_map(|draws| &draws.cells);
    let booked: u64 = cells.filter(|cell| cell.to == Reserve::Blocks).map(|cell| cell.moved.bytes).sum();
    assert!(booked > 0);
    assert_eq!(booked, blocks.sum::<u64>());
}
