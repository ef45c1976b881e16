//! Whatever the stream and the terminal are, the screen is drawn, in time and in bounded memory.
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use probe_common::{
    header::Header,
    inode::{COUNTERS_VALID, Counters, DELALLOC_RESERVE, DELALLOC_ROOT_KNOWN, Delalloc, Name},
    task::TaskSeen,
};
use probe_record::{record::Record, session::SessionHeader};

use super::{PALETTE, Stage, recording};
use crate::{
    session::top::picture_maker::{Extras, PictureMaker},
    tui::{requests::Wish, state::App},
};

#[test]
fn no_size_breaks_any_page() {
    let mut stage = Stage::open(&recording("demo"));
    stage.step(25_000);
    for keys in ["1", "\n", "2", "\n", "3", "4", "5", "6", "\n", "2d", "2", "?", "?1/path~"] {
        stage.keys(keys);
        for (width, height) in [
            (1, 1),
            (59, 14),
            (60, 15),
            (61, 16),
            (77, 15),
            (100, 20),
            (149, 30),
            (150, 31),
            (333, 90),
            (60, 200),
        ] {
            let screen = stage.screen(width, height);
            assert_eq!(screen.lines().count(), usize::from(height));
            for line in screen.lines() {
                assert!(crate::format::escape::width(line) <= usize::from(width), "{line}");
            }
        }
    }
}

#[test]
fn every_moment_of_every_recording_can_be_drawn() {
    for name in ["born", "midlife", "enospc", "edquot", "failures", "paths", "twins", "lossy", "audited"] {
        let mut stage = Stage::open(&recording(name));
        loop {
            stage.step(701);
            for keys in ["1", "\n", "2", "d", "2", "3", "4", "5", "6", "\n", "1"] {
                stage.keys(keys);
                stage.screen(80, 24);
            }
            if stage.app.picture.as_ref().unwrap().replay.as_ref().unwrap().ended {
                break;
            }
        }
    }
}

fn reserve(ino: u64, bytes: u64) -> Record {
    let counters = Counters { reserved: bytes, size: bytes, flags: COUNTERS_VALID, ..Counters::default() };
    let header = Header { fs: 257, tid: 77, time: 1_000_000_000 + ino, ..Header::default() };
    Record::from(Delalloc {
        header,
        root: 5,
        ino,
        bytes,
        counters,
        flags: DELALLOC_RESERVE | DELALLOC_ROOT_KNOWN,
        ..Delalloc::default()
    })
}

fn maker() -> PictureMaker {
    PictureMaker::new(Arc::new(SessionHeader::default()), None)
}

/// File names and thread names are whatever bytes somebody chose.
#[test]
fn a_terminal_escape_in_a_name_is_shown_and_not_obeyed() {
    let mut maker = maker();
    maker.apply(&reserve(300, 4096));
    let mut components = [[0; 48]; 4];
    components[0][..14].copy_from_slice(b"\x1b[2J\x1b]0;x\x07\xe2\x80\xaeb");
    let header = Header { fs: 257, ..Header::default() };
    maker.apply(&Record::from(Name { header, root: 5, ino: 300, components }));
    let mut comm = [0; 16];
    comm[..6].copy_from_slice(b"\x1b[31m\n");
    let header = Header { tid: 77, ..Header::default() };
    maker.apply(&Record::from(TaskSeen { header, pid: 77, reserved: 0, comm }));
    let mut app = App::new(PALETTE, Duration::from_secs(1), false);
    app.take(Arc::new(maker.picture(&app.wish(), Extras::default())));
    let mut buffer = ratatui::buffer::Buffer::empty(ratatui::layout::Rect::new(0, 0, 200, 30));
    let _ = crate::tui::view::draw(&mut buffer, &app);
    let text: String = buffer.content().iter().map(|cell| cell.symbol()).collect();
    assert!(text.contains("\\x1b[2J\\x1b]0;x\\x07\\u{202e}b"), "{text}");
    assert!(text.contains("\\x1b[31m\\n"), "{text}");
    assert!(!text.contains(|c: char| c.is_control() || c == '\u{202e}'), "{text:?}");
}

#[test]
fn a_million_inodes_are_counted_and_the_biggest_are_shown() {
    // Unoptimised code gets a tenth of it.
    let inodes: u64 = if cfg!(debug_assertions) { 100_000 } else { 1_000_000 };
    let mut maker = maker();
    for ino in 0..inodes {
        // The biggest are spread over all of them.
        maker.apply(&reserve(256 + ino, 4096 * (1 + ino * 7919 % inodes)));
    }
    let wish = Wish::default();
    let begun = Instant::now();
    let picture = maker.picture(&wish, Extras::default());
    let took = begun.elapsed();
    let view = &picture.inodes;
    assert_eq!((view.known, view.matched, view.rows.len()), (inodes, inodes, wish.rows));
    assert_eq!(view.rest.inodes, inodes - wish.rows as u64);
    let wanted: Vec<i64> = (0..wish.rows as u64).map(|at| 4096 * (inodes - at) as i64).collect();
    let got: Vec<i64> = view.rows.iter().map(|row| row.meta_rsv).collect();
    assert_eq!(got, wanted);
    assert_eq!(view.bytes, 4096 * (inodes * (inodes + 1) / 2) as i64);
    assert_eq!(view.rest.bytes + got.iter().sum::<i64>(), view.bytes);
    // The next pictures do without a walk until it has its share of the time again.
    let begun = Instant::now();
    for _ in 0..5 {
        maker.picture(&wish, Extras::default());
    }
    let more = begun.elapsed();
    assert!(more < took * 5, "{inodes} inodes: five pictures took {more:?} after {took:?}");
    assert!(took < Duration::from_secs(5), "{took:?}");
}
