//! Draws: known data, and what the reports say of them.
use probe_common::{
    fs::Rsv,
    shortage::{FAILURE_TICKET, FailureState, SpaceState},
};
use probe_ledger::{
    DrawCell, FsDraws, GlobalDraw, IdleGrowth, MoveKind, Moved, Mover, Reserve, ReserveRow, Shortage,
    ShortageEvent, ShortageKind, ShortageState, StackRef, TaskRef, Verdict,
};

use super::data::{self, START};
use crate::report::{
    build::Policy,
    model::VerdictName,
    text::{self, Detail, Look},
};

const fn moved(count: u64, bytes: u64) -> Moved {
    Moved { count, bytes }
}

/// An unlink that fell back to the global reserve, a commit that used it, and what else moved.
pub(super) fn draws() -> FsDraws {
    let none = StackRef { id: 0, representative: false };
    let cell = |from, to, kind, moved: Moved| DrawCell {
        from,
        to,
        kind,
        instead_of: None,
        moved,
        roots: Vec::new(),
        other_roots: Moved::default(),
        movers: vec![Mover { caller: 0xffff_ffff_8123_4567, stack: none, moved }],
        other_movers: Moved::default(),
    };
    let blocks = DrawCell {
        instead_of: Some(Reserve::Trans),
        roots: vec![(5, moved(18, 294_912))],
        ..cell(Reserve::Global, Reserve::Blocks, MoveKind::FallBack, moved(18, 294_912))
    };
    FsDraws {
        by_calls: true,
        cells: vec![
            cell(Reserve::Trans, Reserve::DelayedRefs, MoveKind::Surplus, moved(412, 54_001_664)),
            blocks,
        ],
        unknown_releases: Moved::default(),
        rows: vec![ReserveRow {
            reserve: Reserve::Global,
            first: 3_670_016,
            came: 0,
            went: 294_912,
            last: 3_391_488,
            not_attributed: 16_384,
        }],
        global: vec![GlobalDraw {
            kind: MoveKind::FallBack,
            root: 5,
            stack: StackRef { id: 2, representative: false },
            moved: moved(18, 294_912),
            since_full: moved(18, 294_912),
            seen: (START + 2_000_000_000, START + 3_000_000_000),
            tasks: vec![(TaskRef { tid: 4242, pid: 4242, comm: "rm".to_owned() }, moved(18, 294_912))],
            other_tasks: Moved::default(),
        }],
        global_beyond: Moved::default(),
        global_lowest: Some((Rsv { size: 3_670_016, reserved: 3_375_104 }, START + 3_000_000_000)),
        idle_growth: vec![IdleGrowth { space: 4, intervals: 5, bytes: 655_360 }],
    }
}

#[test]
fn a_hint_changes_no_verdict() {
    let report = data::clean();
    let draws = report.filesystems[0].draws.as_ref().unwrap();
    assert_eq!(draws.idle_growth.len(), 1);
    assert_eq!(report.verdict, VerdictName(Verdict::Clean));
    let text = text::render(&report, Look::PLAIN, Detail::Normal);
    assert!(text.contains("hint: bytes_may_use of metadata grew by 640K in 5 intervals"), "{text}");
}

#[test]
fn draws_in_place_of_another_reserve_are_shown_and_the_matrix_is_a_detail() {
    let report = data::clean();
    let shown = |detail| text::render(&report, Look::PLAIN, detail);
    let (normal, full) = (shown(Detail::Normal), shown(Detail::Full));
    for text in [&normal, &full] {
        assert!(text.contains("The global reserve was drawn on; at its lowest"), "{text}");
        assert!(text.contains("fall-back  5"), "{text}");
    }
    assert!(full.contains("fall-back for trans.rsv") && full.contains("+ not attributed"), "{full}");
    assert!(!normal.contains("+ not attributed"), "{normal}");
}

/// A ticket that failed when the global reserve held 1 MiB of its 5.5 MiB.
fn failed() -> Shortage {
    let mut state = FailureState {
        why: FAILURE_TICKET,
        error: -28,
        bytes: 3_932_160,
        space_flags: 4,
        ..FailureState::default()
    };
    state.rsvs[0] = Rsv { size: 5_767_168, reserved: 1 << 20 };
    state.space[0] =
        SpaceState { flags: 4, total: 8 << 20, used: 5 << 20, may_use: 1 << 20, ..SpaceState::default() };
    let state = Some(Box::new(ShortageState { state, devices: None, decided: false, holders: None }));
    let first = ShortageEvent {
        time: START + 4_000_000_000,
        bytes: 3_932_160,
        state,
        drained_by: draws().global,
        ..ShortageEvent::default()
    };
    Shortage {
        fs: 1,
        fsid: data::FSID,
        device: "vdb".to_owned(),
        kind: ShortageKind::Ticket,
        error: -28,
        object: 4,
        count: 1,
        with_state: 1,
        largest_bytes: 3_932_160,
        seen: (first.time, first.time),
        tasks: Vec::new(),
        other_tasks: 0,
        first,
        largest: None,
        last: None,
    }
}

#[test]
fn a_failure_on_a_drained_global_reserve_names_who_drained_it() {
    let mut summary = data::summary(Verdict::Clean, &[]);
    summary.shortages = (vec![failed()], 0);
    let report = data::report_of(&summary, &[], &data::facts(), &Policy::default());
    let instance = &report.failures[0].instances[0];
    let why = instance.why.as_ref().unwrap();
    assert_eq!(why.causes.first().map(String::as_str), Some("global-reserve-drained"));
    assert!(why.sentence.contains("has 1 MiB of its 5.50 MiB left"), "{}", why.sentence);
    let by =
        "Since the global reserve was last seen full, it was drawn on most: 288 KiB by rm (thread 4242) in ";
    assert!(why.sentence.contains(by), "{}", why.sentence);
    assert_eq!(instance.drained_by[0].bytes_since_full, 294_912);
}
