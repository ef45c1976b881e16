//! The thread that follows the stream and makes the pictures.
use std::{
    path::Path,
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, TryRecvError, sync_channel},
    },
    time::{Duration, Instant},
};

use probe_record::{
    batch::RecordBatch,
    stream::{BatchReceiver, Source as _, SourceState},
};
use tokio::sync::watch;

use super::{
    super::plan::{CapturePlan, FilterPlan},
    costs::{self, Meter},
    messages,
    picture_maker::{Extras, PictureMaker},
    player::Player,
};
use crate::{
    capture::LiveCapture,
    kernel::rights::{Need, Rights},
    session::{
        bring_up::{bring_up, places},
        live, names, rights,
    },
    tui::{
        picture::Picture,
        requests::{ReplayOrder, Wish},
    },
};

/// What the screen tells this thread.
#[derive(Clone, Debug)]
pub enum Command {
    /// What pictures should show from now on.
    Wish(Wish),
    /// What the replay should do.
    Replay(ReplayOrder),
}

/// Where pictures go.
type Pictures = watch::Sender<Option<Arc<Picture>>>;

/// Longest wait for records before commands are read: a key takes effect within this time.
const WAIT: Duration = Duration::from_millis(10);
/// How often the mount table is read.
const PLACES_EVERY: Duration = Duration::from_secs(5);
/// While the books are rebuilt to go back, the screen says so only after this time: most are ready by then.
const REBUILT_SOON: Duration = Duration::from_millis(50);
/// Time between two pictures during a rebuild.
const PROGRESS_EVERY: Duration = Duration::from_millis(100);
/// Lines of the log that a picture carries.
const MESSAGES: usize = 20;

/// Attaches and follows until the screen is gone.
///
/// # Errors
/// Nothing can be attached; one sentence.
pub fn live(
    capture: CapturePlan,
    filter: &FilterPlan,
    verbosity: u8,
    inbox: &Receiver<Command>,
    pictures: &Pictures,
) -> anyhow::Result<()> {
    let root = Path::new("/");
    let symbols = names::Symbols::of(root);
    let attached = bring_up(root, capture, filter, &symbols, verbosity)?;
    let (signs, tests) =
        if capture.fstests { Some(std::sync::mpsc::channel()).unzip() } else { (None, None) };
    let ring = rights::of_ring(&attached.probe, true);
    let kept = Rights::of(if capture.fstests { &[Need::Tests] } else { &[] });
    let (capture, receiver) = live::start(attached, symbols.namer(), capture.ring_bytes, signs, ring)?;
    kept.keep();
    let observer = tests.map(|tests| live::observe(&capture, tests, kept)).transpose()?;
    follow(&capture, receiver, inbox, pictures);
    // Its notes have no consumer any more, so it does not wait.
    drop(observer);
    // The stream has no consumer any more: the capture notices that and detaches the hooks.
    drop(capture);
    Ok(())
}

fn follow(capture: &LiveCapture, mut source: BatchReceiver, inbox: &Receiver<Command>, pictures: &Pictures) {
    let mut maker = PictureMaker::new(Arc::new(source.header().clone()), None);
    let mut wish = Wish::default();
    let mut batch = RecordBatch::new();
    let mut meter = Meter::default();
    let (answer, gauges) = sync_channel(1);
    let (mut drawn, mut looked): (Option<Instant>, Option<Instant>) = (None, None);
    loop {
        match source.next(&mut batch, WAIT) {
            SourceState::Batch => maker.take(&mut source, &batch),
            SourceState::Idle => {}
            SourceState::End => return,
        }
        let mut asked = false;
        loop {
            match inbox.try_recv() {
                Ok(Command::Wish(new)) => {
                    asked |= new != wish;
                    wish = new;
                }
                Ok(Command::Replay(_)) => {}
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => return,
            }
        }
        maker.look_into(wish.focus);
        let tick = drawn.is_none_or(|drawn| drawn.elapsed() >= wish.refresh);
        if !tick && !asked && !maker.owes(&wish) {
            continue;
        }
        let mut extras = Extras { messages: messages::last(MESSAGES), ..Extras::default() };
        if tick {
            drawn = Some(Instant::now());
            extras.cpu_permille = meter.read();
            extras.memory = costs::memory();
            extras.gauges = gauges.try_recv().ok();
            capture.levels();
            capture.gauges(wish.program_time, answer.clone());
            if looked.is_none_or(|looked| looked.elapsed() >= PLACES_EVERY) {
                looked = Some(Instant::now());
                extras.places = Some(places(Path::new("/")));
            }
        }
        if pictures.send(Some(Arc::new(maker.picture(&wish, extras)))).is_err() {
            return;
        }
    }
}

/// Plays a recording until the screen is gone.
///
/// # Errors
/// The recording cannot be opened again to go back in it.
pub fn replay(mut player: Player, inbox: &Receiver<Command>, pictures: &Pictures) -> anyhow::Result<()> {
    let mut wish = Wish::default();
    let mut drawn: Option<Instant> = None;
    loop {
        let busy = player.run(WAIT)?;
        let mut asked = false;
        let mut next = if busy { Duration::ZERO } else { WAIT };
        loop {
            match inbox.recv_timeout(next) {
                Ok(Command::Wish(new)) => {
                    asked |= new != wish;
                    player.look_into(new.focus);
                    wish = new;
                }
                Ok(Command::Replay(order)) => {
                    player.order(order)?;
                    asked = true;
                }
                Err(RecvTimeoutError::Timeout) => break,
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
            next = Duration::ZERO;
        }
        let arrived = player.take_arrival();
        let since = |time: Duration| drawn.is_none_or(|drawn| drawn.elapsed() >= time);
        let shows = match player.rebuilding() {
            Some(rebuilding) => rebuilding >= REBUILT_SOON && since(PROGRESS_EVERY),
            None => asked || arrived || player.maker().owes(&wish) || since(wish.refresh),
        };
        if shows {
            drawn = Some(Instant::now());
            let picture = player.picture(&wish, messages::last(MESSAGES));
            if pictures.send(Some(Arc::new(picture))).is_err() {
                return Ok(());
            }
        }
    }
}
