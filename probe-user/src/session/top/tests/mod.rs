//! The screen on recorded streams of a real kernel.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop at the first surprise")]
mod agree;
mod bounds;
mod docs;
mod drawing;
mod filtered;
mod pages;
mod streams;
mod suites;
mod travel;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use probe_common::inode::{COUNTERS_VALID, MOMENT_DESTROY};
use probe_record::{
    batch::RecordBatch,
    file::{RecordingReader, RecordingWriter, WriterOptions},
    record::Record,
    stream::Source as _,
};
use ratatui::{
    Terminal,
    backend::TestBackend,
    buffer::Buffer,
    crossterm::event::{KeyCode, KeyEvent, KeyModifiers},
};

use super::{super::plan::FilterPlan, player::Player};
use crate::{
    session::selected::Recording,
    tui::{
        palette::{Palette, Theme},
        picture::Picture,
        requests::ReplayOrder,
        state::{App, Effect},
        view,
    },
};

const PALETTE: Palette = Palette { theme: Theme::Plain, unicode: true };

/// Path of a recording, from the folder of the package, where tests run: so it reads the same everywhere.
fn recording(name: &str) -> PathBuf {
    let bundled = matches!(name, "demo" | "broken");
    let folder = if bundled { "assets" } else { "testdata/recordings" };
    format!("{folder}/{name}.rsv").into()
}

/// A recording under the hands of somebody.
struct Stage {
    player: Player,
    app: App,
}

impl Stage {
    fn open(path: &Path) -> Self {
        Self::open_with(path, &FilterPlan::default())
    }

    fn open_with(path: &Path, filter: &FilterPlan) -> Self {
        let recording = Recording::new(path, filter).unwrap();
        let mut player = Player::new(recording).unwrap();
        player.wait_for_length();
        player.order(ReplayOrder::Pause).unwrap();
        Self { player, app: App::new(PALETTE, Duration::from_secs(1), true) }
    }

    /// Goes so many records on or back, and looks.
    fn step(&mut self, by: i64) {
        self.order(ReplayOrder::Step(by));
    }

    fn order(&mut self, order: ReplayOrder) {
        self.player.order(order).unwrap();
        while self.player.run(Duration::from_secs(60)).unwrap() {}
        self.look();
    }

    fn look(&mut self) {
        let wish = self.app.wish();
        self.player.look_into(wish.focus);
        let mut picture = self.player.picture(&wish, Vec::new());
        // On a slow machine the walk of the key before puts the next one off.
        while self.player.maker().stale(&wish) {
            picture = self.player.picture(&wish, Vec::new());
        }
        self.app.take(Arc::new(picture));
    }

    /// Goes to the end. The picture there.
    fn end(&mut self) -> Arc<Picture> {
        self.step(i64::MAX);
        self.app.picture.clone().unwrap()
    }

    /// Presses keys; what they ask for is done.
    fn keys(&mut self, keys: &str) {
        for c in keys.chars() {
            let code = if c == '\n' { KeyCode::Enter } else { KeyCode::Char(c) };
            for effect in self.app.press(&KeyEvent::new(code, KeyModifiers::NONE)) {
                match effect {
                    Effect::Wish => self.look(),
                    Effect::Replay(order) => self.order(order),
                    Effect::Quit | Effect::Suspend | Effect::Redraw => {}
                }
            }
        }
    }

    /// The screen at a size.
    fn screen(&mut self, width: u16, height: u16) -> String {
        drawing::text(&self.draw(width, height))
    }

    fn draw(&mut self, width: u16, height: u16) -> Buffer {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        let mut hits = None;
        terminal.draw(|frame| hits = Some(view::draw(frame.buffer_mut(), &self.app))).unwrap();
        self.app.hits = hits.unwrap();
        terminal.backend().buffer().clone()
    }
}

/// A recording in which some inodes are destroyed while they hold something: `leaks` says which destroys, by number. What they
/// hold goes round: bytes of the block_rsv, extents, checksums.
fn with_leaks(name: &str, leaks: &[usize], folder: &Path) -> PathBuf {
    let mut reader = RecordingReader::open(&recording(name)).unwrap();
    let path = folder.join("altered.rsv");
    let mut writer = RecordingWriter::create(&path, reader.header(), &WriterOptions::default()).unwrap();
    let mut batch = RecordBatch::new();
    let mut destroys = 0;
    while reader.next_batch(&mut batch) {
        let mut altered = RecordBatch::new();
        let mut undecodable = 0;
        for record in batch.decoded(&mut undecodable).collect::<Vec<_>>() {
            let record = match record {
                Record::InodeState(mut state)
                    if state.moment == MOMENT_DESTROY && state.counters.flags & COUNTERS_VALID != 0 =>
                {
                    match leaks.iter().position(|leak| *leak == destroys).map(|nth| nth % 3) {
                        Some(0) => state.counters.reserved = 131_072,
                        Some(1) => state.counters.outstanding_extents = 3,
                        Some(_) => state.counters.csum_bytes = 8192,
                        None => {}
                    }
                    destroys += 1;
                    Record::from(state)
                }
                other => other,
            };
            altered.push_record(&record);
        }
        writer.push_batch(&mut altered);
        writer.push_symbols(&reader.take_symbols());
    }
    writer.finish(reader.end().cloned().unwrap_or_default()).unwrap();
    assert!(leaks.iter().all(|leak| *leak < destroys), "{destroys}");
    path
}
