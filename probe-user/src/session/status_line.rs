//! The status line: the last line on the terminal of standard error. It is taken off before anything else is written there, and put
//! back behind it. Where standard error is no terminal, there is none.
use std::{
    env,
    io::{self, IsTerminal as _, Write},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use unicode_width::UnicodeWidthStr as _;

/// To the first column, and nothing from there on.
const CLEAR: &str = "\r\x1b[2K";

/// No escape sequence may be written.
static PLAIN: AtomicBool = AtomicBool::new(false);

/// From now on nothing but text is written: the line is taken off by blanks.
pub fn without_escapes() {
    PLAIN.store(true, Ordering::Relaxed);
}

/// What takes the line off.
fn clear(shown: &str, plain: bool) -> String {
    if plain { format!("\r{:1$}\r", "", shown.width()) } else { CLEAR.to_owned() }
}

/// What is on the terminal now; empty if nothing is. All that is written there holds it.
static SHOWN: Mutex<String> = Mutex::new(String::new());

fn shown() -> MutexGuard<'static, String> {
    SHOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether standard error can show it.
#[must_use]
pub fn is_possible() -> bool {
    io::stderr().is_terminal() && env::var_os("TERM").is_some_and(|term| term != "dumb")
}

/// Columns that it may take. The last one stays free: in it some terminals begin another line.
#[must_use]
pub fn columns() -> usize {
    let columns = terminal_size::terminal_size_of(io::stderr()).map_or(80, |(width, _)| width.0);
    usize::from(columns).saturating_sub(1)
}

/// Shows this line, or none.
pub fn set(line: &str) {
    let mut shown = shown();
    if *shown == line {
        return;
    }
    let clear = clear(&shown, PLAIN.load(Ordering::Relaxed));
    line.clone_into(&mut shown);
    // A terminal that went away does not end the capture.
    let _ = io::stderr().write_all(format!("{clear}{line}").as_bytes());
}

/// Writes to standard error above the status line. The text ends with a newline.
pub fn say(text: &str) {
    let shown = shown();
    let _ = write_above(&mut io::stderr(), &shown, text.as_bytes());
}

fn write_above(to: &mut impl Write, shown: &str, text: &[u8]) -> io::Result<()> {
    if shown.is_empty() {
        return to.write_all(text);
    }
    // In one piece, so that it does not flicker.
    let clear = clear(shown, PLAIN.load(Ordering::Relaxed));
    let whole = [clear.as_bytes(), text, shown.as_bytes()].concat();
    to.write_all(&whole)
}

/// Does what writes to standard output, which may be the same terminal.
pub fn beside<T>(write: impl FnOnce() -> T) -> T {
    let shown = shown();
    if !shown.is_empty() && io::stdout().is_terminal() {
        let _ = io::stderr().write_all(clear(&shown, PLAIN.load(Ordering::Relaxed)).as_bytes());
        let done = write();
        let _ = io::stderr().write_all(shown.as_bytes());
        return done;
    }
    write()
}

/// Standard error for the log: each line above the status line.
#[derive(Clone, Copy, Debug)]
pub struct AboveStatusLine;

impl Write for AboveStatusLine {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let shown = shown();
        write_above(&mut io::stderr(), &shown, bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::*;

    #[test]
    fn what_is_written_comes_above_it() {
        let write = |shown: &str| {
            let mut written = Vec::new();
            write_above(&mut written, shown, b"a finding\n").unwrap();
            String::from_utf8(written).unwrap()
        };
        assert_eq!(write(""), "a finding\n");
        assert_eq!(write("clean so far"), "\r\x1b[2Ka finding\nclean so far");
    }

    #[test]
    fn without_escapes_blanks_take_it_off() {
        assert_eq!(clear("clean so far", true), "\r            \r");
        assert_eq!(clear("", true), "\r\r");
    }
}
