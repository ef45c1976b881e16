//! A terminal of our own: what is on it, and what state a program left it in.
use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Long enough for the verifier on a machine that does other things too.
const PATIENCE: Duration = Duration::from_secs(30);

/// A tmux server with one window, and a shell in it.
#[derive(Debug)]
pub struct Tmux {
    socket: String,
}

/// What a program can leave behind on a terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TerminalState {
    /// `stty -a`, but for its size.
    pub modes: String,
    /// The alternate screen is shown.
    pub alternate: String,
    /// The cursor is shown.
    pub cursor: String,
    /// Somebody asks for the mouse.
    pub mouse: String,
}

impl Tmux {
    /// A shell on a terminal of this size; `None` (after saying so) without tmux.
    pub fn start(columns: u16, lines: u16) -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        if Command::new("tmux").arg("-V").output().is_err() {
            eprintln!("SKIPPED: tmux is not installed: run `cargo xtask setup` as root");
            return None;
        }
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let tmux = Self { socket: format!("btrfs-probe-test-{}-{number}", std::process::id()) };
        let size = [columns.to_string(), lines.to_string()];
        // A shell that edits no lines, so that the modes of its terminal are always the same.
        tmux.run(&[
            "-f",
            "/dev/null",
            "new-session",
            "-d",
            "-x",
            &size[0],
            "-y",
            &size[1],
            "env -i PATH=$PATH TERM=tmux-256color LANG=C.UTF-8 PS1='$ ' dash -i",
        ]);
        tmux.run(&["set-option", "-g", "status", "off"]);
        tmux.resize(columns, lines);
        tmux.wait_for("$");
        Some(tmux)
    }

    fn run<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Output {
        let output = Command::new("tmux")
            .arg("-L")
            .arg(&self.socket)
            .args(arguments)
            .env("LC_ALL", "C.UTF-8")
            .env_remove("TMUX")
            .output()
            .expect("tmux runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output
    }

    fn ask(&self, format: &str) -> String {
        String::from_utf8_lossy(&self.run(&["display-message", "-p", format]).stdout).trim().to_owned()
    }

    /// Another size of the terminal.
    pub fn resize(&self, columns: u16, lines: u16) {
        self.run(&["resize-window", "-x", &columns.to_string(), "-y", &lines.to_string()]);
    }

    /// Types a text.
    pub fn type_text(&self, text: &str) {
        self.run(&["send-keys", "-l", text]);
    }

    /// Presses a key by its name in tmux.
    pub fn key(&self, name: &str) {
        self.run(&["send-keys", name]);
    }

    /// Types a command and the key that runs it.
    pub fn command(&self, text: &str) {
        self.type_text(text);
        self.key("Enter");
    }

    /// A click of a button at a place (counted from 1), as a terminal reports it.
    pub fn run_mouse(&self, button: u16, column: u16, line: u16) {
        self.type_text(&format!("\x1b[<{button};{column};{line}M"));
    }

    /// What is on the screen.
    pub fn screen(&self) -> String {
        String::from_utf8(self.run(&["capture-pane", "-p"]).stdout).expect("UTF-8")
    }

    /// Waits until a text is on the screen, which is returned.
    pub fn wait_for(&self, text: &str) -> String {
        self.wait_until(text, |screen| screen.contains(text))
    }

    /// Waits until the screen is as it should be, which is returned.
    pub fn wait_until(&self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        let begun = Instant::now();
        loop {
            let mut screen = self.screen();
            if wanted(&screen) {
                // tmux may have been asked between two writes of one picture: it has to be there when that is over.
                std::thread::sleep(Duration::from_millis(60));
                screen = self.screen();
                if wanted(&screen) {
                    return screen;
                }
            }
            assert!(begun.elapsed() < PATIENCE, "`{what}` never came:\n{screen}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The terminal's modes.
    pub fn state(&self) -> TerminalState {
        let tty = self.ask("#{pane_tty}");
        let output = Command::new("stty").args(["-F", &tty, "-a"]).output().expect("stty");
        let modes = String::from_utf8_lossy(&output.stdout).into_owned();
        // The first line has the size.
        let modes = modes.split_once('\n').map(|(_, rest)| rest.to_owned()).unwrap_or_default();
        TerminalState {
            modes,
            alternate: self.ask("#{alternate_on}"),
            cursor: self.ask("#{cursor_flag}"),
            mouse: self.ask("#{mouse_any_flag}#{mouse_sgr_flag}"),
        }
    }

    /// The process that the shell runs now.
    pub fn child(&self) -> i32 {
        let shell = self.ask("#{pane_pid}");
        let path = format!("/proc/{shell}/task/{shell}/children");
        let children = std::fs::read_to_string(&path).expect("children of the shell");
        children.split_whitespace().next_back().and_then(|pid| pid.parse().ok()).expect("a child")
    }

    /// Waits until the terminal is as it was.
    pub fn wait_for_state(&self, wanted: &TerminalState) {
        let begun = Instant::now();
        loop {
            let state = self.state();
            if state == *wanted {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "{state:?} is not {wanted:?}\n{}", self.screen());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        // The shell and what runs in it get SIGHUP.
        let _ = Command::new("tmux").args(["-L", &self.socket, "kill-server"]).output();
    }
}

/// A path as it is typed into a shell.
pub fn quoted(path: &Path) -> String {
    format!("'{}'", path.display())
}
