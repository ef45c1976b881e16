//! What keys do to the state.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
use std::{collections::BTreeMap, sync::Arc, time::Duration};

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use ratatui::layout::Rect;

use super::{App, Effect};
use crate::{
    report::model::{FailedReservationTotals, Failure, FailureKind},
    tui::{
        columns::column_of,
        drawing::Hit,
        filter::{Word, parse},
        keys::Scope,
        page::Page,
        palette::{Palette, Theme},
        picture::{
            FailureRow, FailuresView, HealthView, InodeDetail, InodeId, InodeRow, InodesView, Picture,
            SessionView,
        },
        requests::{InodeSort, ReplayOrder},
    },
};

const PALETTE: Palette = Palette { theme: Theme::Plain, unicode: false };

/// A picture with inodes of these numbers, each holding its number in bytes.
fn picture(inodes: &[u64]) -> Arc<Picture> {
    let row = |ino: &u64| InodeRow {
        id: InodeId { fs: 1, root: 5, ino: *ino },
        meta_rsv: *ino as i64,
        exact: true,
        path: Some(format!("dir/file{ino}")),
        ..InodeRow::default()
    };
    Arc::new(Picture {
        session: Arc::new(SessionView::default()),
        now_ns: 0,
        verdict: None,
        reasons: Arc::default(),
        loss: BTreeMap::new(),
        records: 0,
        record_rate: 0,
        failed: FailedReservationTotals::default(),
        inodes: Arc::new(InodesView { rows: inodes.iter().map(row).collect(), ..InodesView::default() }),
        focus: None,
        filesystems: Arc::default(),
        findings: Arc::default(),
        found: 0,
        failures: Arc::default(),
        windows: Arc::default(),
        health: Arc::new(HealthView::default()),
        replay: None,
    })
}

fn app(inodes: &[u64]) -> App {
    let mut app = App::new(PALETTE, Duration::from_secs(1), false);
    app.take(picture(inodes));
    app.hits.page(10);
    app
}

fn key(code: KeyCode) -> KeyEvent {
    KeyEvent::new(code, KeyModifiers::NONE)
}

fn press(app: &mut App, keys: &str) -> Vec<Effect> {
    keys.chars().flat_map(|c| app.press(&key(KeyCode::Char(c)))).collect()
}

fn listed(app: &App) -> Vec<u64> {
    app.inode_rows().iter().map(|row| row.id.ino).collect()
}

#[test]
fn the_biggest_holder_comes_first_and_r_turns_it_round() {
    let mut app = app(&[257, 300, 260]);
    assert_eq!(listed(&app), [300, 260, 257]);
    assert_eq!(press(&mut app, "r"), [Effect::Wish]);
    assert_eq!(listed(&app), [257, 260, 300]);
    assert!(!app.wish().sort.descending);
}

#[test]
fn the_selection_stays_with_its_inode() {
    let mut app = app(&[257, 300, 260]);
    press(&mut app, "j");
    assert_eq!(app.chosen.unwrap().ino, 260);
    app.take(picture(&[400, 257, 300, 350, 260]));
    assert_eq!(app.inode_rows()[app.inodes.selected].id.ino, 260);
    // At the top one looks at whoever is there.
    press(&mut app, "g");
    app.take(picture(&[500, 257]));
    assert_eq!((app.inodes.selected, app.chosen), (0, None));
    // One that is gone cannot be selected.
    press(&mut app, "j");
    app.take(picture(&[1]));
    assert_eq!((app.inodes.selected, app.chosen), (0, None));
}

#[test]
fn a_filter_is_in_force_as_it_is_typed_and_escape_takes_it_back() {
    let mut app = app(&[257, 300, 260]);
    press(&mut app, "/ino>258");
    assert_eq!(listed(&app), [300, 260]);
    assert_eq!(app.wish().filter, parse("ino>258").unwrap());
    // Half a word of the language changes nothing, and half a comparison neither.
    for typed in " path~".chars() {
        press(&mut app, &typed.to_string());
        assert_eq!(listed(&app), [300, 260], "{typed}");
    }
    assert!(app.prompt.as_ref().unwrap().error.is_some());
    press(&mut app, "300");
    assert_eq!(listed(&app), [300]);
    assert_eq!(app.press(&key(KeyCode::Esc)), [Effect::Wish]);
    assert_eq!(listed(&app).len(), 3);
    press(&mut app, "/300");
    app.press(&key(KeyCode::Enter));
    assert_eq!((app.filter_text.as_str(), listed(&app)), ("300", vec![300]));
    assert_eq!(app.press(&key(KeyCode::Esc)), [Effect::Wish]);
    assert_eq!((app.filter_text.as_str(), listed(&app).len()), ("", 3));
}

#[test]
fn keys_are_letters_while_a_filter_is_typed() {
    let mut app = app(&[257]);
    // A space alone changes no filter.
    assert_eq!(press(&mut app, "/q5 ?"), [Effect::Wish; 3]);
    assert_eq!(app.prompt.as_ref().unwrap().text, "q5 ?");
    assert_eq!((app.page, app.help), (Page::Inodes, None));
    app.press(&KeyEvent::new(KeyCode::Char('w'), KeyModifiers::CONTROL));
    assert_eq!(app.prompt.as_ref().unwrap().text, "q5 ");
    app.press(&key(KeyCode::Home));
    press(&mut app, "ä");
    app.press(&key(KeyCode::Right));
    app.press(&key(KeyCode::Backspace));
    assert_eq!(app.prompt.as_ref().unwrap().text, "ä5 ");
}

#[test]
fn an_inode_opens_and_closes() {
    let mut app = app(&[257, 300]);
    assert_eq!(app.press(&key(KeyCode::Enter)), [Effect::Wish]);
    assert_eq!(app.wish().focus.unwrap().ino, 300);
    assert!(app.scopes().contains(&Scope::Inode) && !app.scopes().contains(&Scope::Table));
    press(&mut app, "aaa");
    assert_eq!(app.open_inode.as_ref().unwrap().account, 3);
    assert_eq!(app.press(&key(KeyCode::Esc)), [Effect::Wish]);
    assert_eq!(app.wish().focus, None);
}

#[test]
fn pages_turn_by_number_and_round_by_tab() {
    let mut app = app(&[257]);
    press(&mut app, "5");
    assert!(app.page == Page::Health && app.wish().program_time);
    app.press(&key(KeyCode::Tab));
    app.press(&key(KeyCode::Tab));
    assert!(app.page == Page::Inodes && !app.wish().program_time);
    app.press(&key(KeyCode::BackTab));
    assert_eq!(app.page, Page::Failures);
}

/// A picture with failures that came last at these moments.
fn failing(moments: &[u64]) -> Arc<Picture> {
    let row = |(number, last): (usize, &u64)| FailureRow {
        number: u32::try_from(number).unwrap(),
        fs: 1,
        device: "loop0".into(),
        failure: Failure {
            filesystem: None,
            kind: if number == 2 { FailureKind::NoWait } else { FailureKind::Ticket },
            error: -28,
            errno: "ENOSPC".to_owned(),
            space_info: Some("metadata".to_owned()),
            qgroup: None,
            count: 1,
            with_state: 0,
            largest_bytes: 4096,
            first_seen_ns: 0,
            last_seen_ns: *last,
            tasks: Vec::new(),
            other_tasks: 0,
            instances: Vec::new(),
        },
    };
    let rows = moments.iter().enumerate().map(row).collect();
    let failures = Arc::new(FailuresView { rows, left_out: 0 });
    Arc::new(Picture { failures, ..Picture::clone(&picture(&[])) })
}

#[test]
fn the_selection_stays_with_its_failure_and_opens_it() {
    let mut app = app(&[]);
    app.take(failing(&[10, 30, 40]));
    press(&mut app, "6");
    let numbers = |app: &App| app.failure_rows().iter().map(|row| row.number).collect::<Vec<_>>();
    assert_eq!(numbers(&app), [1, 0, 2], "the last comes first, but for one that has another way");
    press(&mut app, "j");
    assert_eq!(app.chosen_failure, Some(0));
    app.take(failing(&[50, 30, 40]));
    assert_eq!((numbers(&app), app.failures.selected), (vec![0, 1, 2], 0));
    app.press(&key(KeyCode::Enter));
    assert_eq!(app.open_failure, Some((0, 0)));
    assert!(!app.scopes().contains(&Scope::Table));
    app.press(&key(KeyCode::Esc));
    assert_eq!(app.open_failure, None);
    // At the top one looks at what comes last.
    press(&mut app, "g");
    app.take(failing(&[50, 60, 40]));
    assert_eq!((app.failures.selected, app.chosen_failure), (0, None));
    // Who may not wait has another way.
    assert_eq!(failing(&[1, 2, 99]).failures.last().unwrap().number, 1);
    // There may be nothing to open.
    app.take(picture(&[]));
    app.press(&key(KeyCode::Enter));
    assert_eq!(app.open_failure, None);
}

#[test]
fn draws_are_shown_over_the_pools_and_left() {
    let mut app = app(&[]);
    press(&mut app, "2d");
    assert_eq!(app.pool_draws, Some(0));
    app.hits.text(100, 10);
    press(&mut app, "G");
    assert_eq!((app.pool_draws, app.pools.selected), (Some(90), 0));
    // The chart is below: it is not switched unseen.
    app.press(&key(KeyCode::Enter));
    assert!(!app.pool_chart);
    app.press(&key(KeyCode::Esc));
    assert_eq!(app.pool_draws, None);
    press(&mut app, "d2");
    assert_eq!(app.pool_draws, None);
    // From the page Failures too.
    press(&mut app, "d6d");
    assert_eq!((app.page, app.pool_draws), (Page::Pools, Some(0)));
}

#[test]
fn a_frozen_picture_stands_still_but_shows_what_is_opened() {
    let mut app = app(&[257]);
    press(&mut app, " ");
    app.take(picture(&[257, 300]));
    assert_eq!(listed(&app), [257]);
    app.press(&key(KeyCode::Enter));
    let id = app.open_inode.as_ref().unwrap().id;
    let detail = InodeDetail {
        row: None,
        id,
        as_of_ns: 7,
        histories: Default::default(),
        span_ns: 0,
        origins: Vec::new(),
        reserved: Vec::new(),
        records: Vec::new(),
    };
    let mut next = Picture::clone(&picture(&[1]));
    next.focus = Some(Arc::new(detail));
    app.take(Arc::new(next));
    assert_eq!(app.picture.as_ref().unwrap().focus.as_ref().unwrap().as_of_ns, 7);
    assert_eq!(app.picture.as_ref().unwrap().inodes.rows[0].id.ino, 257);
    press(&mut app, " ");
    app.take(picture(&[9]));
    assert_eq!(app.picture.as_ref().unwrap().inodes.rows[0].id.ino, 9);
}

#[test]
fn replay_keys_are_orders_and_mean_nothing_live() {
    let mut live = app(&[257]);
    assert_eq!(press(&mut live, ".,nN<>[]0"), []);
    let mut replay = App { replay: true, ..app(&[257]) };
    let orders: Vec<Effect> = press(&mut replay, " .,nN><][0");
    assert_eq!(
        orders,
        [
            ReplayOrder::Pause,
            ReplayOrder::Step(1),
            ReplayOrder::Step(-1),
            ReplayOrder::Finding(true),
            ReplayOrder::Finding(false),
            ReplayOrder::Speed(true),
            ReplayOrder::Speed(false),
            ReplayOrder::Jump(1),
            ReplayOrder::Jump(-1),
            ReplayOrder::Restart,
        ]
        .map(Effect::Replay)
    );
    assert!(!replay.frozen);
}

#[test]
fn clicks_turn_pages_sort_select_and_open() {
    let click = |app: &mut App, column, row| {
        let kind = MouseEventKind::Down(MouseButton::Left);
        app.mouse(MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE })
    };
    let mut app = app(&[257, 300, 260]);
    let size = column_of(InodeSort { word: Word::RsvSize, descending: true });
    app.hits.add(Rect::new(0, 1, 10, 1), Hit::Tab(Page::Pools));
    app.hits.add(Rect::new(0, 2, 10, 1), Hit::Sort(size));
    app.hits.add(Rect::new(0, 5, 10, 1), Hit::Row(2));
    assert_eq!(click(&mut app, 3, 9), []);
    click(&mut app, 3, 5);
    assert_eq!((app.inodes.selected, app.open_inode.is_some()), (2, false));
    click(&mut app, 3, 5);
    assert_eq!(app.open_inode.take().unwrap().id.ino, 257);
    click(&mut app, 3, 2);
    assert_eq!(app.wish().sort, InodeSort { word: Word::RsvSize, descending: true });
    click(&mut app, 3, 2);
    assert!(!app.wish().sort.descending);
    click(&mut app, 3, 1);
    assert_eq!(app.page, Page::Pools);
    let wheel = |app: &mut App, kind| {
        app.mouse(MouseEvent { kind, column: 0, row: 0, modifiers: KeyModifiers::NONE })
    };
    app.page = Page::Inodes;
    app.inodes.selected = 0;
    wheel(&mut app, MouseEventKind::ScrollDown);
    assert_eq!(app.inodes.selected, 2);
    wheel(&mut app, MouseEventKind::ScrollUp);
    assert_eq!(app.inodes.selected, 0);
}

#[test]
fn refresh_goes_through_its_steps_and_stops_at_their_ends() {
    let mut app = app(&[]);
    press(&mut app, "+");
    assert_eq!(app.wish().refresh, Duration::from_millis(500));
    press(&mut app, "+++++++");
    assert_eq!(app.wish().refresh, Duration::from_millis(100));
    press(&mut app, "---------");
    assert_eq!(app.wish().refresh, Duration::from_secs(10));
}

#[test]
fn quit_suspend_and_redraw_are_for_others_to_do() {
    let mut app = app(&[]);
    assert_eq!(press(&mut app, "q"), [Effect::Quit]);
    let ctrl = |app: &mut App, c| app.press(&KeyEvent::new(KeyCode::Char(c), KeyModifiers::CONTROL));
    assert_eq!(ctrl(&mut app, 'c'), [Effect::Quit]);
    assert_eq!(ctrl(&mut app, 'z'), [Effect::Suspend]);
    assert_eq!(ctrl(&mut app, 'l'), [Effect::Redraw]);
    assert_eq!(press(&mut app, "?"), []);
    assert_eq!(app.help, Some(0));
    app.hits.text(100, 10);
    press(&mut app, "G");
    assert_eq!(app.help, Some(90));
    app.press(&key(KeyCode::Esc));
    assert_eq!(app.help, None);
}
