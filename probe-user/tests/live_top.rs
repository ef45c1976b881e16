//! The screen on a terminal: what it shows of a live filesystem under load, and how it leaves the terminal.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail by panicking")]
mod support;

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use support::load;
use support::probe::{self, RING};
use support::tmux::{Tmux, quoted};

/// The command that starts the screen on all filesystems.
fn top(arguments: &str) -> String {
    format!("{} top --refresh 250ms {arguments}; echo \"left with $?\"", quoted(&probe::program()))
}

fn live_top() -> String {
    top(&format!("--ring-size {RING}"))
}

fn recorded_top() -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/demo.rsv");
    top(&format!("--replay {}", quoted(&file)))
}

/// Every line of a whole screen has its place: head, tabs, footer.
fn assert_whole(screen: &str) {
    let screen = screen.trim_end();
    assert!(is_whole(screen, screen.lines().count()), "{screen}");
}

/// Head, pages, and the line of keys as the last of so many.
fn is_whole(screen: &str, lines: usize) -> bool {
    let shown: Vec<&str> = screen.lines().collect();
    shown.len() == lines
        && shown[0].starts_with("btrfs-probe ")
        && shown[1].contains("1 Inodes")
        && shown[1].contains("5 Health")
        && shown[1].contains("6 Failures")
        && shown[lines - 1].starts_with("? help")
}

/// The screen at the end of the recording.
fn wait_for_end(tmux: &Tmux) -> String {
    tmux.wait_until("the end", |screen| screen.contains(" +1.8 of 1.8 s ") && screen.contains("  end"))
}

#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn it_shows_a_live_filesystem_and_answers_to_keys() {
    let Some(_alone) = support::live() else { return };
    let Some(tmux) = Tmux::start(80, 24) else { return };
    let fs = load::filesystem(512);
    let before = tmux.state();
    load::beside(&[fs.path()], || {
        tmux.command(&top(&format!("--ring-size {RING} --fs {}", quoted(fs.path()))));
        // Open at once, long before the hooks are on.
        tmux.wait_for("Attaching to the kernel");
        let screen = tmux.wait_until("inodes that hold something", |screen| {
            screen.contains("live +")
                && screen.contains("META_RSV")
                && screen.contains(" file") | screen.contains("w0/")
        });
        assert_whole(&screen);
        assert!(screen.contains("lost 0"), "{screen}");
        assert_eq!(tmux.state().alternate, "1");

        // Every page.
        tmux.type_text("2");
        let screen = tmux.wait_until("pools with levels", |screen| {
            screen.contains("space.metadata")
                && screen.contains("fs.global_rsv")
                && screen.contains("inode.meta_rsv")
        });
        assert_whole(&screen);
        assert!(screen.contains(&fs.fsid().to_string()), "{screen}");
        tmux.type_text("3");
        assert_whole(&tmux.wait_for("No rule was broken so far."));
        tmux.type_text("4");
        assert_whole(&tmux.wait_for("There is no test and no command"));
        tmux.type_text("5");
        assert_whole(&tmux.wait_for("this tool"));
        // Run time is measured while this page is shown.
        tmux.wait_for("of one CPU in the kernel");

        // A filter, as it is typed; what matches is shown, what does not is not.
        tmux.type_text("1/path~w0/f subvol>0");
        // Files that stay, so that the first of the rows can be entered.
        let rows = |screen: &str| -> Vec<String> {
            let rows = screen.lines().skip(4).filter(|line| line.starts_with("  ") && line.contains(" 2"));
            rows.map(str::to_owned).collect()
        };
        let screen = tmux.wait_until("a filtered list", |screen| {
            screen.contains("match path~w0/f subvol>0") && !rows(screen).is_empty()
        });
        for row in rows(&screen) {
            assert!(row.contains("w0/f"), "{row}\n{screen}");
        }
        tmux.key("Enter");

        // Into one inode and out.
        tmux.key("Enter");
        let screen = tmux.wait_until("one inode", |screen| {
            screen.contains("who reserved")
                && screen.contains("inode.meta_rsv:")
                && screen.contains("kernel: reserved")
        });
        assert_whole(&screen);
        tmux.type_text("a");
        tmux.wait_for("inode.delalloc_bytes:");
        tmux.key("Escape");
        tmux.wait_for("META_RSV");
        tmux.key("Escape");
        tmux.wait_until("no filter", |screen| !screen.contains("match"));

        // The help, made of the table of keys.
        tmux.type_text("?");
        tmux.wait_for("Everywhere");
        tmux.type_text("G");
        tmux.wait_for("before an amount");
        tmux.type_text("?");

        // Pause stands still.
        tmux.type_text(" ");
        let screen = tmux.wait_for("PAUSED");
        std::thread::sleep(Duration::from_millis(700));
        assert_eq!(tmux.screen(), screen);
        tmux.type_text(" ");
        tmux.wait_for("live +");

        // Any size.
        for (columns, lines) in [(200, 60), (60, 15), (120, 40), (80, 24)] {
            tmux.resize(columns, lines);
            tmux.wait_until("a whole screen of this size", |screen| {
                let heads = screen.lines().filter(|line| line.starts_with("btrfs-probe ")).count();
                heads == 1 && is_whole(screen, usize::from(lines))
            });
        }
        tmux.resize(50, 10);
        tmux.wait_for("Please make it at least 60 by 15");
        tmux.resize(80, 24);
        tmux.wait_for("META_RSV");

        tmux.type_text("q");
        tmux.wait_for("left with 0");
    });
    tmux.wait_for_state(&before);
}

/// Writes until there is no room.
fn fill(folder: &Path) {
    let mut file = File::create(folder.join("large")).unwrap();
    let block = vec![0x5a; 4 << 20];
    loop {
        match file.write_all(&block).and_then(|()| file.sync_data()) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::StorageFull => return,
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn it_says_why_there_is_no_space_and_who_draws_on_what() {
    let Some(_alone) = support::live() else { return };
    let Some(tmux) = Tmux::start(80, 24) else { return };
    let fs = load::filesystem(256);
    tmux.command(&top(&format!("--ring-size {RING} --fs {}", quoted(fs.path()))));
    tmux.wait_for("live +");
    tmux.type_text("6");
    assert_whole(&tmux.wait_for("No reservation failed so far"));
    fill(fs.path());
    let screen = tmux.wait_until("a row with its reason and the draws", |screen| {
        screen.contains("no-room-for-a-chunk") && screen.contains("space_info > ")
    });
    assert_whole(&screen);
    for part in ["6 Failures (", "failed: ", "ticket", "ENOSPC", "Data is full", "helps: ", "draws on "] {
        assert!(screen.contains(part), "{part} in {screen}");
    }
    // The first line of every page tells of it.
    tmux.type_text("1");
    let screen = tmux.wait_for("META_RSV");
    let first = screen.lines().next().unwrap();
    assert!(first.contains("  ENOSPC ") && first.contains(" ago"), "{screen}");
    tmux.type_text("6");
    tmux.wait_for("failed: ");
    tmux.key("Enter");
    let screen = tmux.wait_until("one failure", |screen| screen.contains("filesystem   "));
    for part in
        [fs.fsid().to_string().as_str(), "happened", "btrfs-probe explain no-room-for-a-chunk", "stack"]
    {
        assert!(screen.contains(part), "{part} in {screen}");
    }
    tmux.type_text("d");
    tmux.wait_for("bytes that moved, most first");
    tmux.key("Escape");
    tmux.wait_for("space.metadata");
    tmux.type_text("q");
    tmux.wait_for("left with 0");
}

#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn signals_end_it_and_the_terminal_is_as_it_was() {
    let Some(_alone) = support::live() else { return };
    let _fs = load::filesystem(256);
    for wanted in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT] {
        let Some(tmux) = Tmux::start(80, 24) else { return };
        let before = tmux.state();
        tmux.command(&live_top());
        tmux.wait_for("live +");
        assert_ne!(tmux.state(), before);
        kill(Pid::from_raw(tmux.child()), wanted).unwrap();
        let screen = tmux.wait_for("left with 0");
        assert!(!screen.contains("1 Inodes"), "{wanted}: {screen}");
        tmux.wait_for_state(&before);
    }
}

#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn it_can_be_stopped_and_comes_back() {
    let Some(_alone) = support::live() else { return };
    let Some(tmux) = Tmux::start(80, 24) else { return };
    let before = tmux.state();
    tmux.command(&recorded_top());
    wait_for_end(&tmux);
    let inside = tmux.state();
    let stop: [&dyn Fn(); 2] =
        [&|| kill(Pid::from_raw(tmux.child()), Signal::SIGTSTP).unwrap(), &|| tmux.key("C-z")];
    for (times, stop) in (1..).zip(stop) {
        stop();
        tmux.wait_for_state(&before);
        tmux.wait_until("the shell's word", |screen| screen.matches("Stopped").count() == times);
        tmux.command("fg");
        tmux.wait_for("replay +");
        tmux.wait_for_state(&inside);
        assert_whole(&wait_for_end(&tmux));
    }
    tmux.type_text("q");
    tmux.wait_for_state(&before);
}

#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn a_recording_is_played_stopped_and_stepped_through() {
    let Some(_alone) = support::live() else { return };
    let Some(tmux) = Tmux::start(100, 30) else { return };
    tmux.command(&recorded_top());
    // At its own pace to its end, and back to where something is held.
    wait_for_end(&tmux);
    tmux.type_text(" [[[[[[[[");
    tmux.wait_for("META_RSV");
    tmux.type_text("0");
    tmux.type_text("...");
    tmux.wait_for("#3 ");
    tmux.type_text(",");
    tmux.wait_for("#2 ");
    // There is no finding in it: the next one is its end.
    tmux.type_text("n");
    wait_for_end(&tmux);
    // The wheel and the mouse: the tab of the page Health.
    tmux.run_mouse(0, 48, 2);
    tmux.wait_for("hooks attached");
    tmux.type_text("q");
    tmux.wait_for("left with 0");
}

/// Lines of the log neither tear the screen nor get lost.
#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn log_lines_wait_until_the_screen_is_gone() {
    let Some(_alone) = support::live() else { return };
    let Some(tmux) = Tmux::start(80, 24) else { return };
    tmux.command(&top("-v"));
    let screen = tmux.wait_for("live +");
    assert_whole(&screen);
    assert!(!screen.contains("[INFO]") && !screen.contains("INFO "), "{screen}");
    tmux.type_text("q");
    let screen = tmux.wait_for("left with 0");
    assert!(screen.contains("instructions verified"), "{screen}");
}

#[test]
#[ignore = "needs tmux: run by cargo xtask test"]
fn a_panic_of_any_thread_gives_the_terminal_back() {
    let Some(tmux) = Tmux::start(80, 24) else { return };
    let before = tmux.state();
    for (thread, message) in [("main", "a defect here"), ("other", "a defect elsewhere")] {
        tmux.command(&format!(
            "{} {thread}; echo \"left {thread}\"",
            quoted(&support::example("screen_panic"))
        ));
        tmux.wait_until("the alternate screen", |_| {
            tmux.state().alternate == "1" || tmux.screen().contains("defect")
        });
        let screen = tmux.wait_for(&format!("left {thread}\n"));
        assert!(screen.contains(message), "{screen}");
        tmux.wait_for_state(&before);
    }
}
