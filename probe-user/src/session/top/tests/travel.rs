//! Time in a recording: what is shown at a moment does not depend on the way to it.
use std::{sync::Arc, time::Duration};

use probe_ledger::Verdict;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::{Stage, recording, with_leaks};
use crate::tui::{picture::Picture, requests::ReplayOrder};

const PAGES: [&str; 5] = ["1", "2", "3", "4", "5"];

fn all_pages(stage: &mut Stage) -> Vec<String> {
    let mut screens = Vec::new();
    for page in PAGES {
        stage.keys(page);
        stage.look();
        screens.push(stage.screen(120, 40));
    }
    screens
}

#[test]
fn going_back_shows_what_was_shown_before() {
    let mut stage = Stage::open(&recording("enospc"));
    stage.step(3000);
    let before = all_pages(&mut stage);
    stage.step(2000);
    assert_ne!(all_pages(&mut stage), before);
    stage.step(-2000);
    assert_eq!(all_pages(&mut stage), before);
    stage.step(i64::MAX);
    let end = stage.app.picture.as_ref().unwrap().replay.clone().unwrap();
    assert!(end.ended);
    assert_eq!(Some(end.applied), end.records);
    stage.step(3000 - end.applied as i64);
    assert_eq!(all_pages(&mut stage), before);
}

#[test]
fn one_step_is_one_record() {
    let mut stage = Stage::open(&recording("born"));
    let applied = |stage: &Stage| stage.app.picture.as_ref().unwrap().replay.as_ref().unwrap().applied;
    stage.keys("...");
    assert_eq!(applied(&stage), 3);
    stage.keys(",");
    assert_eq!(applied(&stage), 2);
    stage.keys(",,,,");
    assert_eq!(applied(&stage), 0);
}

#[test]
fn findings_are_found_forth_and_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut stage = Stage::open(&with_leaks("paths", &[2, 5, 9], folder.path()));
    let state = |stage: &Stage| {
        let picture = stage.app.picture.as_ref().unwrap();
        (picture.findings.len(), picture.replay.as_ref().unwrap().applied)
    };
    let mut met = Vec::new();
    for wanted in 1..=3 {
        stage.keys("n");
        assert_eq!(state(&stage).0, wanted);
        met.push(state(&stage).1);
    }
    assert!(met.is_sorted() && met[0] < met[2], "{met:?}");
    for wanted in [2, 1] {
        stage.keys("N");
        assert_eq!(state(&stage), (wanted, met[wanted - 1]));
    }
    stage.keys("N");
    assert_eq!(state(&stage), (0, 0));
}

#[test]
fn jumps_go_by_twentieths_and_stop_at_both_ends() {
    let mut stage = Stage::open(&recording("demo"));
    let now = |stage: &Stage| stage.app.picture.as_ref().unwrap().now_ns;
    stage.step(1);
    let mut times = vec![now(&stage)];
    for _ in 0..25 {
        stage.order(ReplayOrder::Jump(1));
        times.push(now(&stage));
    }
    assert!(times.is_sorted(), "{times:?}");
    assert!(stage.app.picture.as_ref().unwrap().replay.as_ref().unwrap().ended);
    let end = now(&stage);
    stage.order(ReplayOrder::Jump(-1));
    let back = now(&stage);
    assert!(back < end && back > end / 2, "{back} {end}");
    for _ in 0..25 {
        stage.order(ReplayOrder::Jump(-1));
    }
    assert!(now(&stage) <= times[0]);
}

/// An inode that is open is followed through all of the past, whenever it was opened.
#[test]
fn an_open_inode_has_its_whole_past() {
    let mut stage = Stage::open(&recording("twins"));
    stage.step(i64::MAX);
    stage.step(-200);
    stage.keys("1\n");
    let of = |stage: &Stage| stage.app.picture.as_ref().unwrap().focus.as_ref().unwrap().records.len();
    let remembered = of(&stage);
    stage.keys(",.");
    assert!(of(&stage) >= remembered && of(&stage) > 0, "{} {remembered}", of(&stage));
}

/// Presses a key and lets the books go a little of the way; what would be drawn then.
fn under_way(stage: &mut Stage, order: ReplayOrder) -> Picture {
    stage.player.order(order).unwrap();
    assert!(stage.player.run(Duration::ZERO).unwrap(), "it is there at once");
    let wish = stage.app.wish();
    stage.player.picture(&wish, Vec::new())
}

/// Books that go back are begun anew: for up to a second the screen showed `inconclusive` and no inode, which was true of no
/// moment.
#[test]
fn on_the_way_back_there_is_no_verdict_of_half_made_books() {
    let mut stage = Stage::open(&recording("demo"));
    stage.step(30_000);
    let before = stage.app.picture.clone().unwrap();
    assert_eq!(before.verdict, Some(Verdict::Clean));
    assert!(before.inodes.known > 0);
    let mut last = 0;
    let mut picture = under_way(&mut stage, ReplayOrder::Step(-1));
    loop {
        let replay = picture.replay.clone().unwrap();
        let percent = replay.rebuilding.unwrap();
        assert!(percent >= last, "{percent} after {last}");
        last = percent;
        // It is the picture before, and says so.
        assert_eq!((picture.now_ns, picture.records), (before.now_ns, before.records));
        assert_eq!(picture.inodes, before.inodes);
        assert_eq!((replay.applied, replay.seeking, replay.last), (30_000, None, None));
        stage.app.take(Arc::new(picture.clone()));
        for (width, height) in [(80, 24), (200, 60)] {
            for page in ["1", "3", "5"] {
                stage
                    .app
                    .press(&KeyEvent::new(KeyCode::Char(page.chars().next().unwrap()), KeyModifiers::NONE));
                let screen = stage.screen(width, height);
                let head = screen.lines().next().unwrap();
                assert!(head.contains(&format!("rebuilding {percent} %, still showing +1.1 s")), "{head}");
                assert!(!head.contains("clean") && !head.contains("inconclusive"), "{head}");
            }
        }
        if !stage.player.run(Duration::ZERO).unwrap() {
            break;
        }
        let wish = stage.app.wish();
        picture = stage.player.picture(&wish, Vec::new());
    }
    assert!(last > 50, "{last}");
    // The first picture there is right in all its parts.
    let wish = stage.app.wish();
    let there = stage.player.picture(&wish, Vec::new());
    assert_eq!(there.replay.clone().unwrap().rebuilding, None);
    assert_eq!((there.records, there.verdict), (29_999, Some(Verdict::Clean)));
    assert_eq!(there.inodes.as_of_ns, there.now_ns);
    assert!(there.inodes.known > 0);
}

/// As a finding was there before and is not there yet: the verdict of the moment before is no news of the one after.
#[test]
fn a_place_that_was_gone_to_shows_its_own_verdict_at_once() {
    let mut stage = Stage::open(&recording("lossy"));
    stage.step(200);
    let wish = stage.app.wish();
    stage.player.order(ReplayOrder::Step(i64::MAX)).unwrap();
    while stage.player.run(Duration::from_secs(60)).unwrap() {}
    while stage.player.maker().stale(&wish) {
        stage.player.picture(&wish, Vec::new());
    }
    let picture = stage.player.picture(&wish, Vec::new());
    assert_eq!(picture.verdict, Some(Verdict::Inconclusive));
    assert!(
        picture.reasons.iter().any(|reason| reason.contains("lost in the ring")),
        "{:?}",
        picture.reasons
    );
}

/// Of a stream that has not begun nothing is known: neither that something was missed nor that nothing was.
#[test]
fn before_the_first_record_there_is_no_verdict() {
    let mut stage = Stage::open(&recording("born"));
    stage.step(500);
    stage.order(ReplayOrder::Restart);
    assert_eq!(stage.app.picture.as_ref().unwrap().verdict, None);
    assert!(stage.screen(80, 24).lines().next().unwrap().contains("looking"));
}

/// What is asked for on the way back is meant from there, and not from where the books happen to be.
#[test]
fn orders_on_the_way_back_start_from_where_it_leads() {
    let folder = tempfile::tempdir().unwrap();
    let path = with_leaks("paths", &[2, 5, 9], folder.path());
    let (mut one, mut other) = (Stage::open(&path), Stage::open(&path));
    let place = |stage: &Stage| {
        let picture = stage.app.picture.as_ref().unwrap();
        (picture.replay.as_ref().unwrap().applied, picture.found)
    };
    let (first, second) = (ReplayOrder::Step(-1), ReplayOrder::Finding(true));
    for stage in [&mut one, &mut other] {
        stage.order(second);
        stage.order(second);
    }
    let (met, found) = place(&one);
    assert_eq!(found, 2);
    one.order(first);
    assert_eq!(place(&one), (met - 1, 1));
    one.order(second);
    under_way(&mut other, first);
    other.order(second);
    assert_eq!((place(&one), place(&other)), ((met, 2), (met, 2)));
    // Twentieths, from a record.
    for stage in [&mut one, &mut other] {
        stage.order(ReplayOrder::Step(i64::MAX));
    }
    one.order(first);
    one.order(ReplayOrder::Jump(-3));
    under_way(&mut other, first);
    other.order(ReplayOrder::Jump(-3));
    assert_eq!(place(&one), place(&other));
    // One after the other, in their order.
    let orders = [first, second, first, ReplayOrder::Finding(false), ReplayOrder::Step(2)];
    for order in orders {
        one.order(order);
    }
    under_way(&mut other, orders[0]);
    for order in &orders[1..] {
        other.player.order(*order).unwrap();
    }
    other.order(ReplayOrder::Speed(true));
    assert_eq!(place(&one), place(&other));
    // A pause stops it where it is, which is a moment as good as any other.
    other.order(ReplayOrder::Step(i64::MAX));
    let (applied, _) = place(&other);
    under_way(&mut other, first);
    other.order(ReplayOrder::Pause);
    let picture = other.app.picture.clone().unwrap();
    let replay = picture.replay.as_ref().unwrap();
    assert!(replay.paused && replay.rebuilding.is_none() && replay.applied < applied, "{replay:?}");
    assert_eq!(picture.records, replay.applied);
}

/// The recording of `demo --broken`. A finding is sure, and shown, when the counters of losses were read after it: here all four are
/// at once.
#[test]
fn the_findings_of_the_broken_demo_are_met() {
    let mut stage = Stage::open(&recording("broken"));
    let state = |stage: &Stage| {
        let picture = stage.app.picture.as_ref().unwrap();
        (picture.findings.len(), picture.replay.as_ref().unwrap().applied)
    };
    stage.keys("3");
    let mut met = vec![(0, 0)];
    while state(&stage).0 < 4 {
        stage.keys("n");
        assert!(state(&stage) > *met.last().unwrap(), "{met:?}");
        met.push(state(&stage));
    }
    let screen = stage.screen(120, 40);
    for kind in ["over-release", "leak", "error-path-leak", "wrong-owner"] {
        assert!(screen.contains(kind), "{screen}");
    }
    stage.keys("\n");
    assert!(stage.screen(120, 40).contains("btrfs_delalloc_reserve_metadata"), "{}", stage.screen(120, 40));
    stage.keys("N");
    assert_eq!(state(&stage), met[met.len() - 2]);
}
