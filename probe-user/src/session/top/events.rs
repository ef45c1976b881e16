//! Waits for keys, signals and pictures, and draws.
use std::sync::{Arc, mpsc::Sender};

use anyhow::Context as _;
use nix::{
    libc,
    sys::signal::{Signal, raise},
};
use ratatui::crossterm::event::{self, Event, KeyEventKind};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{mpsc, watch},
};

use super::{books::Command, screen::Screen};
use crate::tui::{
    picture::Picture,
    state::{App, Effect},
    view,
};

/// What ended the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// A key or a signal.
    Left,
    /// The thread that makes the pictures is gone.
    NoMorePictures,
    /// A panic took the terminal away.
    Abandoned,
}

/// Events on their way from the terminal.
const ROOM: usize = 256;

/// Runs until the user leaves, then restores the terminal.
///
/// # Errors
/// Signals cannot be caught, or the terminal refuses to be drawn on.
pub fn run(
    app: &mut App,
    screen: Screen,
    pictures: watch::Receiver<Option<Arc<Picture>>>,
    commands: &Sender<Command>,
) -> anyhow::Result<Ended> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot set up signal handling")?;
    // Not shut down with the runtime: it waits for a key that may never come.
    let (sender, input) = mpsc::channel(ROOM);
    std::thread::Builder::new()
        .name("probe-keys".to_owned())
        .spawn(move || {
            while let Ok(event) = event::read() {
                if sender.blocking_send(event).is_err() {
                    break;
                }
            }
        })
        .context("cannot make a thread")?;
    let mut looper = Loop { app, screen, commands };
    runtime.block_on(looper.run(input, pictures))
}

struct Loop<'a> {
    app: &'a mut App,
    screen: Screen,
    commands: &'a Sender<Command>,
}

impl Loop<'_> {
    async fn run(
        &mut self,
        mut input: mpsc::Receiver<Event>,
        mut pictures: watch::Receiver<Option<Arc<Picture>>>,
    ) -> anyhow::Result<Ended> {
        let caught = |kind| signal(kind).context("cannot set up signal handling");
        let mut terminate = caught(SignalKind::terminate())?;
        let mut interrupt = caught(SignalKind::interrupt())?;
        let mut hangup = caught(SignalKind::hangup())?;
        let mut stop = caught(SignalKind::from_raw(libc::SIGTSTP))?;
        let mut go_on = caught(SignalKind::from_raw(libc::SIGCONT))?;
        let mut quit = caught(SignalKind::quit())?;
        let _ = self.commands.send(Command::Wish(self.app.wish()));
        loop {
            if !Screen::is_up() {
                return Ok(Ended::Abandoned);
            }
            self.draw()?;
            tokio::select! {
                // Keys first: a user who types under load wants to see the effect.
                biased;
                event = input.recv() => match event {
                    Some(event) => {
                        let mut left = self.take(&event)?;
                        // Draws once for all that was typed meanwhile.
                        while let Ok(event) = input.try_recv() {
                            left |= self.take(&event)?;
                        }
                        if left {
                            return Ok(Ended::Left);
                        }
                    }
                    // The terminal is gone.
                    None => return Ok(Ended::Left),
                },
                _ = terminate.recv() => return Ok(Ended::Left),
                _ = interrupt.recv() => return Ok(Ended::Left),
                _ = hangup.recv() => return Ok(Ended::Left),
                _ = quit.recv() => return Ok(Ended::Left),
                _ = stop.recv() => self.suspend()?,
                // SIGSTOP came without notice, so what is on the terminal now is not ours.
                _ = go_on.recv() => self.screen.resume()?,
                changed = pictures.changed() => {
                    if changed.is_err() {
                        return Ok(Ended::NoMorePictures);
                    }
                    let picture = pictures.borrow_and_update().clone();
                    if let Some(picture) = picture {
                        self.app.take(picture);
                    }
                }
            }
        }
    }

    fn draw(&mut self) -> anyhow::Result<()> {
        let app = &mut *self.app;
        let mut hits = None;
        self.screen
            .terminal
            .draw(|frame| hits = Some(view::draw(frame.buffer_mut(), app)))
            .context("cannot draw on the terminal")?;
        app.hits = hits.unwrap_or_default();
        Ok(())
    }

    /// An event of the terminal; true if it was the wish to leave.
    fn take(&mut self, event: &Event) -> anyhow::Result<bool> {
        let effects = match event {
            Event::Key(key) if key.kind != KeyEventKind::Release => self.app.press(key),
            Event::Mouse(mouse) => self.app.mouse(*mouse),
            _ => Vec::new(),
        };
        for effect in effects {
            match effect {
                // If that thread is gone, the end of its pictures shows it.
                Effect::Wish => drop(self.commands.send(Command::Wish(self.app.wish()))),
                Effect::Replay(order) => drop(self.commands.send(Command::Replay(order))),
                Effect::Redraw => self.screen.redraw()?,
                Effect::Suspend => self.suspend()?,
                Effect::Quit => return Ok(true),
            }
        }
        Ok(false)
    }

    /// What Ctrl-Z does to a program that has not taken the terminal over.
    fn suspend(&mut self) -> anyhow::Result<()> {
        self.screen.suspend();
        // SIGTSTP is ours now; this one is nobody's.
        raise(Signal::SIGSTOP).context("cannot stop")?;
        self.screen.resume()
    }
}
