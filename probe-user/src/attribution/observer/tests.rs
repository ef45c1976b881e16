//! Signs to notes, over a /proc of our own.
#![allow(clippy::unwrap_used, reason = "a test may panic")]
use std::{cell::RefCell, fs};

use probe_common::suite::SIGN_TEXT;
use tempfile::TempDir;

use super::*;

/// A root with processes in it.
struct Machine {
    root: TempDir,
}

const CHECK: u32 = 100;

impl Machine {
    fn new() -> Self {
        let machine = Self { root: tempfile::tempdir().unwrap() };
        machine.process(CHECK, "check", 1, "");
        machine
    }

    fn process(&self, pid: u32, comm: &str, parent: u32, environment: &str) {
        let folder = self.root.path().join("proc").join(pid.to_string());
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("stat"), format!("{pid} ({comm}) S {parent} 0 0\n")).unwrap();
        fs::write(folder.join("environ"), environment.replace(' ', "\0")).unwrap();
        fs::write(folder.join("cgroup"), "0::/system.slice/fs269.scope\n").unwrap();
    }

    fn script(&self, pid: u32, name: &str) {
        self.script_below(CHECK, pid, name);
    }

    fn script_below(&self, parent: u32, pid: u32, name: &str) {
        let results = self.root.path().join("results");
        let environment = format!(
            "seqnum={name} TEST_DEV=/dev/loop30 RESULT_BASE={0} RESULT_DIR={0}/generic",
            results.display()
        );
        fs::create_dir_all(results.join("generic")).unwrap();
        self.process(pid, name.rsplit('/').next().unwrap(), parent, &environment);
    }

    /// Nothing runs any more.
    fn all_gone(&self) {
        fs::remove_dir_all(self.root.path().join("proc")).unwrap();
    }

    fn gone(&self, pid: u32) {
        fs::remove_dir_all(self.root.path().join("proc").join(pid.to_string())).unwrap();
    }
}

fn sign(what: SignKind, time: u64, pid: u32, status: u32, text: &str) -> TestSign {
    let header = Header { time, ..Header::default() };
    let mut sign = TestSign { header, what: what as u32, pid, status, reserved: 0, text: [0; SIGN_TEXT] };
    sign.text[..text.len()].copy_from_slice(text.as_bytes());
    sign
}

/// What `body` makes the book tell: kind, test, text.
fn told(
    machine: &Machine,
    body: impl FnOnce(&mut Book<'_, &dyn Fn(TestNote)>),
) -> Vec<(NoteKind, u32, String)> {
    let notes = RefCell::new(Vec::new());
    let note = |note: TestNote| {
        let kind = NoteKind::ALL.into_iter().find(|kind| *kind as u32 == note.what).unwrap();
        notes.borrow_mut().push((kind, note.test, text_of(&note.text)));
    };
    let note: &dyn Fn(TestNote) = &note;
    let mut book = Book::new(&note, machine.root.path());
    body(&mut book);
    machine.all_gone();
    book.close();
    notes.into_inner()
}

fn only(notes: &[(NoteKind, u32, String)], kinds: &[NoteKind]) -> Vec<(NoteKind, u32, String)> {
    notes.iter().filter(|(kind, ..)| kinds.contains(kind)).cloned().collect()
}

const FRAME: [NoteKind; 3] = [NoteKind::Begin, NoteKind::Result, NoteKind::End];

#[test]
fn an_announcement_and_its_script_are_one_test() {
    let machine = Machine::new();
    machine.script(200, "generic/269");
    let notes = told(&machine, |book| {
        book.sign(&sign(SignKind::Console, 10, CHECK, 0, "run fstests generic/269 at 2026-11-22 06:16:57"));
        book.sign(&sign(SignKind::Exec, 11, 200, 0, "./tests/generic/269"));
        book.sign(&sign(SignKind::Exit, 12, 200, 0, ""));
    });
    let text = |kind: NoteKind| notes.iter().find(|note| note.0 == kind).unwrap().2.clone();
    assert_eq!(notes.iter().filter(|note| note.0 == NoteKind::Begin).count(), 1, "{notes:?}");
    assert_eq!(text(NoteKind::Begin), "generic/269");
    assert_eq!(text(NoteKind::Devices), "loop30");
    assert_eq!(text(NoteKind::Scope), "fs269.scope");
    assert!(text(NoteKind::Results).ends_with("/results/generic"));
    assert_eq!(text(NoteKind::Result), "pass");
    assert_eq!(notes.last().unwrap().0, NoteKind::End);
}

/// As by xfstests-bld (`bash ./check`), and with what isolates each test between the two.
#[test]
fn a_check_that_a_shell_reads_is_the_run() {
    let begun = |announced: bool| {
        let machine = Machine::new();
        machine.process(CHECK, "bash", 1, "");
        fs::write(
            machine.root.path().join(format!("proc/{CHECK}/cmdline")),
            "bash\0-x\0./check\0-g\0quick\0",
        )
        .unwrap();
        let notes = told(&machine, |book| {
            for (number, name) in ["generic/001", "generic/002"].iter().enumerate() {
                let (time, pid) = (100 * (number as u64 + 1), 200 + 10 * number as u32);
                machine.process(pid + 1, "nsexec", CHECK, "");
                machine.script_below(pid + 1, pid, name);
                if announced {
                    let text = format!("run fstests {name} at 2026-11-22 06:16:57");
                    book.sign(&sign(SignKind::Console, time, CHECK, 0, &text));
                }
                book.sign(&sign(SignKind::Exec, time + 1, pid, 0, &format!("./tests/{name}")));
            }
        });
        only(&notes, &[NoteKind::Begin, NoteKind::End])
            .into_iter()
            .map(|(_, test, text)| (test, text))
            .collect()
    };
    let both: Vec<(u32, String)> =
        [(1, "generic/001"), (1, "generic/001"), (2, "generic/002"), (2, "generic/002")]
            .map(|(test, name)| (test, name.to_owned()))
            .to_vec();
    for announced in [true, false] {
        let begun: Vec<(u32, String)> = begun(announced);
        assert_eq!(begun, both, "announced: {announced}");
    }
}

/// Both announced, and neither is known by its name.
#[test]
fn two_runs_of_the_same_test_keep_their_own_scripts() {
    let machine = Machine::new();
    for run in [CHECK, CHECK + 1] {
        machine.process(run, "busybox", 1, "");
        machine.process(run + 50, "nsexec", run, "");
        machine.script_below(run + 50, run + 100, "generic/001");
    }
    let notes = told(&machine, |book| {
        for run in [CHECK, CHECK + 1] {
            let text = "run fstests generic/001 at 2026-11-22 06:16:57";
            book.sign(&sign(SignKind::Console, 10, run, 0, text));
        }
        for run in [CHECK + 1, CHECK] {
            book.sign(&sign(SignKind::Exec, 11, run + 100, 0, "./tests/generic/001"));
        }
    });
    assert_eq!(notes.iter().filter(|note| note.0 == NoteKind::Begin).count(), 2, "{notes:?}");
    let devices: Vec<u32> =
        notes.iter().filter(|note| note.0 == NoteKind::Devices).map(|note| note.1).collect();
    assert_eq!(devices, [2, 1], "{notes:?}");
}

/// A script of its own with the name around the suite's, and a shell that was told what to do in one word.
#[test]
fn a_wrapper_called_check_is_not_the_run() {
    let begun = |comm: &str, line: &str| {
        let machine = Machine::new();
        machine.process(50, comm, 1, "");
        machine.process(CHECK, "check", 50, "");
        let words = |pid: u32, line: &str| {
            fs::write(machine.root.path().join(format!("proc/{pid}/cmdline")), line).unwrap();
        };
        words(50, line);
        words(CHECK, "/bin/bash\0./check\0-g\0quick\0");
        machine.script(200, "generic/269");
        let notes = told(&machine, |book| {
            book.sign(&sign(SignKind::Exec, 9, 200, 0, "./tests/generic/269"));
            book.sign(&sign(
                SignKind::Console,
                100,
                CHECK,
                0,
                "run fstests generic/270 at 2026-11-22 06:16:57",
            ));
        });
        only(&notes, &[NoteKind::Begin, NoteKind::End]).into_iter().map(|note| note.0).collect::<Vec<_>>()
    };
    for (comm, line) in [("check", "/bin/sh\0/root/check\0"), ("bash", "bash\0-lc\0cd /x; ./check\0")] {
        let frame = [NoteKind::Begin, NoteKind::End, NoteKind::Begin, NoteKind::End];
        assert_eq!(begun(comm, line), frame, "{line}");
    }
}

/// Whatever the program is called that runs `check`'s text.
#[test]
fn an_announcement_by_an_ancestor_is_that_of_the_script() {
    let machine = Machine::new();
    machine.process(CHECK, "busybox", 1, "");
    machine.process(150, "nsexec", CHECK, "");
    machine.script_below(150, 200, "generic/269");
    let notes = told(&machine, |book| {
        book.sign(&sign(SignKind::Console, 10, CHECK, 0, "run fstests generic/269 at 2026-11-22 06:16:57"));
        book.sign(&sign(SignKind::Exec, 11, 200, 0, "./tests/generic/269"));
    });
    assert_eq!(notes.iter().filter(|note| note.0 == NoteKind::Begin).count(), 1, "{notes:?}");
    assert!(notes.iter().any(|note| note.0 == NoteKind::Devices), "{notes:?}");
}

#[test]
fn the_next_test_of_a_run_ends_the_one_before() {
    let machine = Machine::new();
    let notes = told(&machine, |book| {
        for (number, name) in ["generic/001", "generic/002"].iter().enumerate() {
            let pid = 200 + number as u32;
            machine.script(pid, name);
            book.sign(&sign(SignKind::Exec, 10 * pid as u64, pid, 0, &format!("./tests/{name}")));
            book.sign(&sign(SignKind::Exit, 10 * pid as u64 + 5, pid, (1 << 8) * number as u32, ""));
        }
    });
    let expected = [
        (NoteKind::Begin, 1, "generic/001"),
        (NoteKind::Result, 1, "pass"),
        (NoteKind::End, 1, "generic/001"),
        (NoteKind::Begin, 2, "generic/002"),
        (NoteKind::Result, 2, "fail\nexit status 1"),
        (NoteKind::End, 2, "generic/002"),
    ];
    let expected: Vec<_> =
        expected.iter().map(|(kind, test, text)| (*kind, *test, (*text).to_owned())).collect();
    assert_eq!(only(&notes, &FRAME), expected);
}

#[test]
fn two_runs_side_by_side_keep_their_own_tests() {
    let machine = Machine::new();
    machine.process(101, "check", 1, "");
    let notes = told(&machine, |book| {
        book.sign(&sign(SignKind::Console, 10, CHECK, 0, "run fstests generic/001 at x"));
        book.sign(&sign(SignKind::Console, 11, 101, 0, "run fstests btrfs/001 at x"));
        book.sign(&sign(SignKind::Console, 12, CHECK, 0, "run fstests generic/002 at x"));
    });
    let ends: Vec<_> = only(&notes, &[NoteKind::End]).into_iter().map(|note| note.2).collect();
    // The first ends when its own run goes on; the others are open until the end.
    assert_eq!(ends, ["generic/001", "generic/002", "btrfs/001"]);
}

#[test]
fn a_script_that_is_gone_already_has_the_folder_of_the_one_before() {
    let machine = Machine::new();
    machine.script(200, "generic/001");
    let notes = told(&machine, |book| {
        book.sign(&sign(SignKind::Console, 10, CHECK, 0, "run fstests generic/001 at x"));
        book.sign(&sign(SignKind::Exec, 11, 200, 0, "./tests/generic/001"));
        book.sign(&sign(SignKind::Exit, 12, 200, 0, ""));
        fs::create_dir_all(machine.root.path().join("results/btrfs")).unwrap();
        fs::write(machine.root.path().join("results/btrfs/002.notrun"), "no such thing\n").unwrap();
        book.sign(&sign(SignKind::Console, 20, CHECK, 0, "run fstests btrfs/002 at x"));
        book.sign(&sign(SignKind::Exec, 21, 300, 0, "./tests/btrfs/002"));
        book.sign(&sign(SignKind::Exit, 22, 300, 0, ""));
    });
    assert!(notes.contains(&(NoteKind::Result, 2, "notrun\nno such thing".to_owned())), "{notes:?}");
    assert_eq!(only(&notes, &[NoteKind::Begin]).len(), 2);
}

/// Its environment is read in parts, and the process may go between two.
#[test]
fn a_script_that_goes_while_it_is_looked_at_has_the_rest_from_the_one_before() {
    let machine = Machine::new();
    machine.script(200, "generic/001");
    let notes = told(&machine, |book| {
        book.sign(&sign(SignKind::Exec, 11, 200, 0, "./tests/generic/001"));
        machine.process(300, "002", CHECK, "seqnum=generic/002");
        fs::write(machine.root.path().join("results/generic/002.notrun"), "no such thing\n").unwrap();
        book.sign(&sign(SignKind::Exec, 21, 300, 0, "./tests/generic/002"));
        book.sign(&sign(SignKind::Exit, 22, 300, 0, ""));
    });
    assert!(notes.contains(&(NoteKind::Result, 2, "notrun\nno such thing".to_owned())), "{notes:?}");
    assert!(notes.contains(&(NoteKind::Devices, 2, "loop30".to_owned())), "{notes:?}");
}

#[test]
fn a_run_that_is_killed_ends_its_test() {
    let machine = Machine::new();
    machine.script(200, "generic/001");
    let notes = told(&machine, |book| {
        book.sign(&sign(SignKind::Exec, 11, 200, 0, "./tests/generic/001"));
        machine.gone(200);
        machine.gone(CHECK);
        book.check_processes();
        assert!(book.open.is_empty());
    });
    assert_eq!(only(&notes, &FRAME).len(), 2, "a begin and an end, and no result: {notes:?}");
}

#[test]
fn what_still_runs_when_we_go_has_no_end() {
    let machine = Machine::new();
    machine.script(200, "generic/001");
    let notes = told(&machine, |book| {
        book.sign(&sign(SignKind::Exec, 11, 200, 0, "./tests/generic/001"));
        book.close();
    });
    assert_eq!(only(&notes, &FRAME).len(), 1, "a begin and nothing else: {notes:?}");
}

/// It is too quick to be checked at and was not announced: the only run there is has it.
#[test]
fn a_script_that_shows_nothing_is_of_the_only_run() {
    let machine = Machine::new();
    machine.script(200, "generic/001");
    let notes = told(&machine, |book| {
        book.sign(&sign(SignKind::Exec, 11, 200, 0, "./tests/generic/001"));
        book.sign(&sign(SignKind::Exec, 21, 300, 0, "./tests/generic/002"));
        assert_eq!(book.open.keys().copied().collect::<Vec<_>>(), [CHECK]);
    });
    assert!(notes.contains(&(NoteKind::Devices, 2, "loop30".to_owned())), "{notes:?}");
    assert_eq!(only(&notes, &[NoteKind::End])[0].1, 1, "the first has ended: {notes:?}");
}

/// generic/556 has no `#!`: it is announced, and no program is executed.
#[test]
fn a_script_that_is_never_executed_has_the_result_that_lies_in_its_folder() {
    let machine = Machine::new();
    machine.script(200, "generic/001");
    let notes = told(&machine, |book| {
        book.sign(&sign(SignKind::Console, 10, CHECK, 0, "run fstests generic/001 at 2026-01-01 00:00:00"));
        book.sign(&sign(SignKind::Exec, 11, 200, 0, "./tests/generic/001"));
        book.sign(&sign(SignKind::Exit, 12, 200, 0, ""));
        book.sign(&sign(SignKind::Console, 20, CHECK, 0, "run fstests generic/556 at 2026-01-01 00:00:02"));
        fs::write(machine.root.path().join("results/generic/556.notrun"), "no casefold here\n").unwrap();
        book.sign(&sign(SignKind::Console, 30, CHECK, 0, "run fstests generic/557 at 2026-01-01 00:00:03"));
    });
    assert!(notes.contains(&(NoteKind::Devices, 2, "loop30".to_owned())), "{notes:?}");
    assert!(notes.contains(&(NoteKind::Result, 2, "notrun\nno casefold here".to_owned())), "{notes:?}");
}

/// `check` was killed; its test hangs on, and what happens meanwhile is still of it.
#[test]
fn a_script_that_outlives_its_run_is_still_the_test() {
    let machine = Machine::new();
    machine.script(200, "generic/001");
    told(&machine, |book| {
        book.sign(&sign(SignKind::Exec, 11, 200, 0, "./tests/generic/001"));
        machine.gone(CHECK);
        book.check_processes();
        assert_eq!(book.open.len(), 1);
        machine.gone(200);
        book.check_processes();
        assert!(book.open.is_empty());
    });
}

#[test]
fn a_script_that_runs_already_is_met() {
    let machine = Machine::new();
    machine.script(200, "generic/476");
    // A sub-shell of it.
    machine.process(201, "476", 200, "seqnum=generic/476");
    let followed = RefCell::new(Vec::new());
    let notes = told(&machine, |book| book.begun_before(&|pid| followed.borrow_mut().push(pid)));
    assert_eq!(followed.into_inner(), [200]);
    assert_eq!(only(&notes, &FRAME).len(), 2, "{notes:?}");
}

#[test]
fn other_programs_called_by_numbers_are_no_tests() {
    let machine = Machine::new();
    machine.process(200, "100", CHECK, "HOME=/");
    let notes = told(&machine, |book| book.sign(&sign(SignKind::Exec, 11, 200, 0, "/usr/bin/100")));
    assert!(notes.is_empty(), "{notes:?}");
}

/// Hooks go on before anybody looks at what runs, and in the functions tier seconds before.
#[test]
fn signs_that_waited_for_the_first_look_begin_nothing_again() {
    let machine = Machine::new();
    machine.script(201, "generic/002");
    let notes = told(&machine, |book| {
        book.begun_before(&|_| {});
        // The test before, and the one that runs, which may have begun during the look.
        let checked = book.checked;
        for (time, pid, name) in
            [(10, 200, "generic/001"), (10, 201, "generic/002"), (checked, 201, "generic/002")]
        {
            let announced = format!("run fstests {name} at 2026-11-22 06:16:57");
            book.sign(&sign(SignKind::Console, time, CHECK, 0, &announced));
            book.sign(&sign(SignKind::Exec, time, pid, 0, &format!("./tests/{name}")));
        }
        // Of another suite, whose script is gone.
        book.sign(&sign(SignKind::Exec, 10, 300, 0, "./tests/btrfs/001"));
        machine.gone(201);
        machine.script(202, "generic/003");
        book.sign(&sign(SignKind::Exit, now(), 201, 0, ""));
        book.sign(&sign(SignKind::Exec, now(), 202, 0, "./tests/generic/003"));
    });
    let expected = [
        (NoteKind::Begin, 1, "generic/002"),
        (NoteKind::Result, 1, "pass"),
        (NoteKind::End, 1, "generic/002"),
        (NoteKind::Begin, 2, "generic/003"),
        (NoteKind::End, 2, "generic/003"),
    ];
    let expected: Vec<_> =
        expected.iter().map(|(kind, test, text)| (*kind, *test, (*text).to_owned())).collect();
    assert_eq!(only(&notes, &FRAME), expected);
}
