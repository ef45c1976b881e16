//! `top`: the screen on a live session or on a recording.
//!
//! Two threads. One follows the stream, keeps books and watch, and makes a picture when it is time for one; it never
//! waits for the screen. The other waits for keys, signals and pictures, and draws; it never waits for the books.
//! Between them go wishes one way and the newest picture the other.
mod books;
mod costs;
mod events;
mod messages;
mod picture_maker;
mod player;
mod screen;
#[cfg(test)]
mod tests;
mod walk;

use std::{io::Write as _, path::Path, sync::mpsc::channel, time::Duration};

use anyhow::{anyhow, bail};
use probe_ledger::Verdict;
use tokio::sync::watch;

pub(in crate::session) use self::costs::memory;
use self::{events::Ended, player::Player};
pub use self::{messages::LogSink, screen::Screen};
use super::{
    bring_up,
    exit::ExitStatus,
    live::spawn,
    plan::{TopPlan, TopSource},
    selected::Recording,
};
use crate::{kernel::rights::Rights, tui::state::App};

/// Time for the other thread to detach the hooks after the screen is gone.
const PATIENCE: Duration = Duration::from_secs(5);

/// Shows the screen until somebody leaves it.
///
/// # Errors
/// No terminal, no rights, nothing to attach, or not a recording; one sentence each.
pub fn top(plan: &TopPlan) -> anyhow::Result<ExitStatus> {
    screen::check()?;
    let (commands, inbox) = channel();
    let (pictures, newest) = watch::channel(None);
    let mut app = App::new(plan.palette, plan.refresh, matches!(plan.source, TopSource::Recording { .. }));
    let books = match &plan.source {
        TopSource::Live { capture, filter } => {
            bring_up::check(Path::new("/"))?;
            "Attaching to the kernel: its verifier reads every program first.".clone_into(&mut app.waiting);
            let (capture, filter, verbosity) = (*capture, filter.clone(), plan.verbosity);
            let books =
                spawn("probe-books", move || books::live(capture, &filter, verbosity, &inbox, &pictures))?;
            // The screen needs none.
            Rights::of(&[]).keep();
            books
        }
        TopSource::Recording { file, filter } => {
            // If the recording cannot be read at all, say so before the screen opens.
            let player = Player::new(Recording::new(file, filter)?)?;
            "Reading the recording.".clone_into(&mut app.waiting);
            spawn("probe-books", move || books::replay(player, &inbox, &pictures))?
        }
    };
    let screen = Screen::enter()?;
    let ended = events::run(&mut app, screen, newest, &commands);
    drop(commands);
    // What was logged while the screen was up.
    let _ = std::io::stderr().write_all(messages::take().as_bytes());
    let ended = ended?;
    let begun = std::time::Instant::now();
    while !books.is_finished() && begun.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(5));
    }
    if books.is_finished() {
        books.join().map_err(|_| anyhow!("the books ended by a defect; please report what it said"))??;
    }
    if ended == Ended::Abandoned {
        bail!("the screen ended by a defect; please report what it said");
    }
    // The screen gives no verdict, but its exit status tells of findings.
    let found = app.picture.as_ref().is_some_and(|picture| picture.verdict == Some(Verdict::Findings));
    Ok(if found { ExitStatus::Findings } else { ExitStatus::Clean })
}
