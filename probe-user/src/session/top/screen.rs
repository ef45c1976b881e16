//! The terminal: taken over completely, and restored completely, whatever ends the screen.
use std::{
    io::{IsTerminal as _, Stdout, Write as _, stdin, stdout},
    panic,
    sync::{
        Once,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::{Context as _, bail};
use ratatui::{
    Terminal,
    backend::CrosstermBackend,
    crossterm::{
        cursor::{Hide, Show},
        execute,
        style::{Print, ResetColor},
        terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode},
    },
    layout::{Position, Rect},
};

/// Reports clicks and the wheel, with coordinates of any size; not movements, which would come by the hundred.
const MOUSE_ON: &str = "\x1b[?1000h\x1b[?1006h";
const MOUSE_OFF: &str = "\x1b[?1006l\x1b[?1000l";

/// The terminal is ours.
static UP: AtomicBool = AtomicBool::new(false);
static HOOK: Once = Once::new();

/// Whether there is a terminal that a screen can be drawn on.
///
/// # Errors
/// One sentence.
pub fn check() -> anyhow::Result<()> {
    if !(stdin().is_terminal() && stdout().is_terminal()) {
        bail!(
            "the screen needs a terminal for input and output: in a pipe or a script use `btrfs-probe watch` or \
             `btrfs-probe report FILE`"
        );
    }
    if std::env::var("TERM").is_ok_and(|term| term == "dumb") {
        bail!("this terminal cannot place text (TERM=dumb): use `btrfs-probe watch` or another terminal");
    }
    Ok(())
}

/// The terminal while it is ours; given back when dropped.
#[derive(Debug)]
pub struct Screen {
    /// To draw on.
    pub terminal: Terminal<CrosstermBackend<Stdout>>,
}

impl Screen {
    /// Takes the terminal over.
    ///
    /// # Errors
    /// It refuses.
    pub fn enter() -> anyhow::Result<Self> {
        HOOK.call_once(|| {
            let before = panic::take_hook();
            // A panic of any thread: its message must stay readable.
            panic::set_hook(Box::new(move |info| {
                give_back();
                before(info);
            }));
        });
        take_over().context("cannot take the terminal over")?;
        let terminal = Terminal::new(CrosstermBackend::new(stdout())).inspect_err(|_| give_back());
        Ok(Self { terminal: terminal.context("cannot draw on the terminal")? })
    }

    /// Whether the terminal is ours now.
    pub fn is_up() -> bool {
        UP.load(Ordering::SeqCst)
    }

    /// Restores the terminal for a while.
    #[allow(clippy::unused_self, reason = "only who has the screen may give it back")]
    pub fn suspend(&mut self) {
        give_back();
    }

    /// Takes it over again and forgets what was on it.
    ///
    /// # Errors
    /// It refuses.
    pub fn resume(&mut self) -> anyhow::Result<()> {
        take_over().context("cannot take the terminal over again")?;
        self.redraw()
    }

    /// Forgets what is on the terminal: the next drawing draws all of it.
    ///
    /// Not `Terminal::clear`, which asks the terminal where the cursor is: the answer would go to the thread that reads
    /// the keys.
    ///
    /// # Errors
    /// It refuses.
    pub fn redraw(&mut self) -> anyhow::Result<()> {
        let size = self.terminal.size().context("cannot tell the size of the terminal")?;
        self.terminal.resize(Rect::from((Position::ORIGIN, size))).context("cannot draw on the terminal")
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

fn take_over() -> std::io::Result<()> {
    enable_raw_mode()?;
    UP.store(true, Ordering::SeqCst);
    execute!(stdout(), EnterAlternateScreen, Hide, Print(MOUSE_ON)).inspect_err(|_| give_back())
}

/// May be called at any time and more than once.
fn give_back() {
    if !UP.swap(false, Ordering::SeqCst) {
        return;
    }
    // A terminal that is gone cannot be given back.
    let _ = execute!(stdout(), Print(MOUSE_OFF), ResetColor, LeaveAlternateScreen, Show);
    let _ = stdout().flush();
    let _ = disable_raw_mode();
}
