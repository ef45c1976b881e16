//! The screen on a part of a recording, and where nothing was judged.
use probe_ledger::Verdict;

use super::{Stage, recording};
use crate::{
    kernel::fsid::Fsid,
    session::plan::{FilterPlan, FsSelector},
    tui::picture::Picture,
};

fn by_fs(uuid: &str) -> FilterPlan {
    let Fsid(fsid) = uuid.parse().unwrap();
    FilterPlan { filesystems: vec![FsSelector::Uuid(fsid)], ..FilterPlan::default() }
}

fn picture(stage: &Stage) -> &Picture {
    stage.app.picture.as_ref().unwrap()
}

/// `top --replay FILE --fs` showed all that was in it.
#[test]
fn a_filter_leaves_its_filesystem_at_every_moment() {
    let mut whole = Stage::open(&recording("demo"));
    whole.step(i64::MAX);
    let [one, other] = &picture(&whole).filesystems[..] else { panic!("the demo has two filesystems") };
    assert_ne!(one.uuid, other.uuid);
    let mut applied = 0;
    for fs in [one, other] {
        let mut stage = Stage::open_with(&recording("demo"), &by_fs(&fs.uuid));
        // To the end, and a step back, which begins anew.
        for by in [i64::MAX, -1] {
            stage.step(by);
            let shown: Vec<_> = picture(&stage).filesystems.iter().map(|fs| fs.uuid.as_str()).collect();
            assert_eq!(shown, [fs.uuid.as_str()]);
            assert_eq!(picture(&stage).verdict, Some(Verdict::Clean), "{:?}", picture(&stage).reasons);
        }
        stage.step(1);
        let replay = picture(&stage).replay.as_ref().unwrap();
        assert_eq!(Some(replay.applied), replay.records, "the length is that of what is played");
        applied += replay.applied;
    }
    let all = picture(&whole).replay.as_ref().unwrap().applied;
    assert!(
        applied > all && applied < all + all / 5,
        "{applied} of {all}: what has no filesystem is in both"
    );
}

/// After so many records; a verdict is made anew now and then, and here at once.
fn after(records: i64, filter: &FilterPlan) -> Stage {
    let mut stage = Stage::open_with(&recording("born"), filter);
    stage.step(records);
    stage
}

/// The first line said `clean so far` where nothing was followed.
#[test]
fn nothing_is_clean_before_something_happened() {
    let all = FilterPlan::default();
    for records in [1, 2, 3, 4, 6, 8, 12, 16, 24, 32] {
        let stage = after(records, &all);
        let (verdict, met) = (picture(&stage).verdict, picture(&stage).filesystems.len());
        assert!(verdict != Some(Verdict::Clean) || met > 0, "of what is it clean after {records} records?");
    }
    assert_eq!(picture(&after(i64::MAX, &all)).verdict, Some(Verdict::Clean));

    let never = "00000000-1111-2222-3333-444444444444";
    // That all hooks are attached is among the first records.
    let mut stage = after(20, &by_fs(never));
    assert_eq!(picture(&stage).verdict, None, "{:?}", picture(&stage).reasons);
    assert!(stage.screen(80, 24).contains("looking"));
    let stage = after(i64::MAX, &by_fs(never));
    assert_eq!(picture(&stage).verdict, Some(Verdict::Inconclusive));
    assert!(picture(&stage).reasons[0].contains(never), "{:?}", picture(&stage).reasons);
}
