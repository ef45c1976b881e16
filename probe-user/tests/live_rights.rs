//! Where the tool cannot work: one sentence, status 1, nothing attached.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail by panicking")]
mod support;

use std::{
    ffi::CString,
    os::unix::{
        fs::{PermissionsExt, chown},
        process::CommandExt,
    },
    path::PathBuf,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use nix::{
    mount::{MntFlags, MsFlags, mount, umount2},
    sched::{CloneFlags, unshare},
    sys::signal::Signal,
};
use probe_user::kernel::rights::{Need, Rights};
use probe_workload::mounts;
use support::probe::{self, Done};
use tempfile::TempDir;

/// `nobody` of most systems.
const NOBODY: u32 = 65534;

/// A copy of the program, and a folder to write to, for a user who may not look into our target folder.
struct Elsewhere {
    folder: TempDir,
    program: PathBuf,
}

impl Elsewhere {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o777)).unwrap();
        let program = folder.path().join("btrfs-probe");
        std::fs::copy(probe::program(), &program).unwrap();
        std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
        Self { folder, program }
    }

    /// Runs it as a user without rights. Changing the user id drops all capabilities.
    fn run(&self, arguments: &[&str]) -> Done {
        let output = Command::new(&self.program)
            .args(arguments)
            .current_dir(self.folder.path())
            .uid(NOBODY)
            .gid(NOBODY)
            .output()
            .unwrap();
        Done {
            code: output.status.code().unwrap(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
            report: None,
        }
    }
}

#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn without_rights_it_says_which_and_touches_nothing() {
    let Some(_alone) = support::live() else { return };
    let elsewhere = Elsewhere::new();
    let marker = elsewhere.folder.path().join("ran");
    let touch = marker.to_str().unwrap();
    for arguments in [
        &["run", "--", "touch", touch][..],
        &["watch", "--duration", "1s"][..],
        &["record", "-o", "r.rsv", "--duration", "1s"][..],
    ] {
        let done = elsewhere.run(arguments);
        let sentence = done.one_sentence();
        assert!(sentence.contains("root") && sentence.contains("CAP_BPF"), "{sentence}");
        assert_eq!(done.stdout, "");
    }
    assert!(!marker.exists() && !elsewhere.folder.path().join("r.rsv").exists());
}

#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn doctor_without_rights_says_what_is_missing() {
    let Some(_alone) = support::live() else { return };
    let elsewhere = Elsewhere::new();
    let done = elsewhere.run(&["doctor"]);
    assert_eq!((done.code, done.stderr.as_str()), (1, ""));
    assert!(done.stdout.contains("CAP_BPF"), "{}", done.stdout);
    let done = elsewhere.run(&["doctor", "--json"]);
    assert_eq!(done.code, 1);
    assert!(serde_json::from_str::<serde_json::Value>(&done.stdout).unwrap().is_object());
}

#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn doctor_with_rights_finds_every_required_hook() {
    let Some(_alone) = support::live() else { return };
    let done = probe::run(&["doctor"]);
    assert_eq!(done.code, 0, "{}", done.stdout);
}

#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn the_demo_without_rights_replays_a_recording_and_says_so() {
    let Some(_alone) = support::live() else { return };
    let elsewhere = Elsewhere::new();
    let done = elsewhere.run(&["demo", "--format", "json"]);
    assert!(done.stderr.contains("recording"), "{}", done.stderr);
    let report: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
    probe::assert_silent(&report);
    assert_eq!((done.code, report["verdict"].as_str()), (0, Some("clean")), "{}", report["verdict_reasons"]);
    assert!(probe::number(&report["statistics"]["links"]) > 10_000);
}

/// Runs `watch` in a mount namespace where the kernel's types are `content`.
fn with_types(content: &[u8]) -> Done {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("vmlinux");
    std::fs::write(&file, content).unwrap();
    let file = CString::new(file.to_str().unwrap()).unwrap();
    // Copies of mounts keep a filesystem alive that others unmount: they go at once.
    let btrfs: Vec<CString> = mounts::current()
        .unwrap()
        .into_iter()
        .filter(|mount| mount.fstype == "btrfs")
        .map(|mount| CString::new(mount.point.to_str().unwrap()).unwrap())
        .collect();
    probe::start_with(&["watch", "--duration", "1s"], |command| {
        let change = move || {
            unshare(CloneFlags::CLONE_NEWNS)?;
            mount(None::<&str>, c"/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)?;
            for point in &btrfs {
                umount2(point.as_c_str(), MntFlags::MNT_DETACH)?;
            }
            let types = c"/sys/kernel/btf/vmlinux";
            mount(Some(file.as_c_str()), types, None::<&str>, MsFlags::MS_BIND, None::<&str>)?;
            Ok(())
        };
        // SAFETY: system calls only, on strings made before the fork.
        unsafe { command.pre_exec(change) };
    })
    .finish()
}

#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn types_that_cannot_be_read_are_one_sentence() {
    let Some(_alone) = support::live() else { return };
    let whole = std::fs::read("/sys/kernel/btf/vmlinux").unwrap();
    let cut = &whole[..whole.len() / 2];
    let mut wrong = whole[..4096].to_vec();
    wrong[0] ^= 0xff;
    for (what, content) in
        [("empty", &[][..]), ("cut off", cut), ("no BTF", &wrong), ("only a header", &whole[..24])]
    {
        let done = with_types(content);
        let sentence = done.one_sentence();
        assert!(sentence.contains("BTF") || sentence.contains("types"), "{what}: {sentence}");
    }
}

#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn a_filesystem_that_is_not_there_is_one_sentence() {
    let Some(_alone) = support::live() else { return };
    let _fs = support::load::filesystem(256);
    for given in ["/no/such/place", "/proc", "/dev/null"] {
        let done = probe::run(&["watch", "--duration", "1s", "--fs", given]);
        let sentence = done.one_sentence();
        assert!(sentence.contains("--fs") && sentence.contains(given), "{sentence}");
        assert!(sentence.contains("mounted are"), "it says what could be named: {sentence}");
    }
}

/// What a thread of `/proc/PID/task` says of itself: its name and the mask behind a word.
fn masks(pid: u32, word: &str) -> Vec<(String, u64)> {
    std::fs::read_dir(format!("/proc/{pid}/task"))
        .unwrap()
        .flatten()
        .filter_map(|task| std::fs::read_to_string(task.path().join("status")).ok())
        .map(|status| {
            let of = |word: &str| status.lines().find_map(|line| line.strip_prefix(word)).unwrap().trim();
            (of("Name:").to_owned(), u64::from_str_radix(of(word), 16).unwrap())
        })
        .collect()
}

fn own_mask(word: &str) -> u64 {
    masks(std::process::id(), word)[0].1
}

/// Asserts that no thread of a session of `watch` has more than the table allows, and that the thread of the ring has what it needs.
fn assert_given_up(session: &probe::Session, ring: &[Need], others: &[Need]) {
    let (ring, others) = (Rights::of(ring).bits(), Rights::of(others).bits());
    // The line that says that it is attached comes before the last thread has given up its own.
    let begun = Instant::now();
    loop {
        let threads = masks(session.pid(), "CapPrm:");
        let wanted = |name: &str| if name == "probe-ring" { ring } else { others } & own_mask("CapPrm:");
        if threads.len() > 1 && threads.iter().all(|(name, mask)| *mask == wanted(name)) {
            assert_eq!(threads, masks(session.pid(), "CapEff:"));
            return;
        }
        assert!(begun.elapsed() < support::deadline(10), "ring {ring:x}, others {others:x}: {threads:x?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Root could do anything for as long as a session of days ran.
#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn a_session_gives_up_the_rights_that_it_does_not_need() {
    let Some(_alone) = support::live() else { return };
    let fs = support::load::filesystem(256);
    // Of a user who lets nobody else in.
    let folder = tempfile::tempdir().unwrap();
    chown(folder.path(), Some(NOBODY), Some(NOBODY)).unwrap();
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o700)).unwrap();
    let place = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (metrics, folded) = (place("m.prom"), format!("folded={}", place("r.folded")));
    let keep = ["--keep", "10s", "--dump-to", folder.path().to_str().unwrap()];
    let ring = [Need::Hooks, Need::Places];
    let session = probe::attached(
        &[&["watch", "--tier", "tracepoints", "--metrics", &metrics, "--format", &folded][..], &keep]
            .concat(),
    );
    assert_given_up(&session, &ring, &[Need::Files]);
    session.signal(Signal::SIGUSR1);
    let dumped = || {
        std::fs::read_dir(folder.path())
            .unwrap()
            .flatten()
            .any(|entry| entry.path().extension().is_some_and(|end| end == "rsv"))
    };
    let begun = Instant::now();
    while !dumped() {
        assert!(begun.elapsed() < support::deadline(20));
        std::thread::sleep(Duration::from_millis(50));
    }
    std::fs::write(fs.path().join("file"), [7; 1 << 20]).unwrap();
    fs.sync().unwrap();
    let done = session.interrupt();
    probe::assert_clean(&done);
    assert!(
        std::fs::read_to_string(&metrics).unwrap().len() > 100 && folder.path().join("r.folded").is_file(),
        "{done:?}"
    );
    assert!(!done.stderr.contains("rights"), "{}", done.stderr);
    // With nothing to write, nothing but the ring's thread has a right.
    let mut session = probe::start_with(&["watch"], |command| {
        *command = Command::new(probe::program());
        command.args(["watch", "--tier", "tracepoints"]).stdout(Stdio::null()).stderr(Stdio::piped());
    });
    session.wait_for("attached,");
    assert_given_up(&session, &ring, &[]);
    session.signal(Signal::SIGTERM);
    let done = session.finish();
    // Nothing happened.
    assert_eq!(done.code, 4, "{done:?}");
}

/// A command of `run` must be able to do what it could without the tool.
#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn a_command_has_the_rights_that_the_user_has() {
    let Some(_alone) = support::live() else { return };
    let _fs = support::load::filesystem(256);
    // In a folder that only rights open.
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("command");
    std::fs::write(
        &program,
        "#!/bin/sh\ncat /proc/self/status\nid -u\nulimit -c\necho ready >&2\nexec sleep 60\n",
    )
    .unwrap();
    std::fs::set_permissions(&program, PermissionsExt::from_mode(0o700)).unwrap();
    chown(&program, Some(NOBODY), Some(NOBODY)).unwrap();
    chown(folder.path(), Some(NOBODY), Some(NOBODY)).unwrap();
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o700)).unwrap();
    let mut session = probe::start(&["run", "--tier", "tracepoints", "--", program.to_str().unwrap()]);
    session.wait_for("ready");
    let in_effect = masks(session.pid(), "CapEff:");
    let (ring, others) = ([Need::Hooks, Need::Places], [Need::Commands, Need::Files]);
    for (name, mask) in in_effect {
        let table = Rights::of(if name == "probe-ring" { &ring } else { &others }).bits();
        assert_eq!(mask, table & own_mask("CapEff:"), "{name}");
    }
    // All but the thread that started it have given the others up for good.
    for (name, mask) in masks(session.pid(), "CapPrm:") {
        assert!(name == "probe-waiter" || mask.count_ones() <= 8, "{name}: {mask:x}");
    }
    session.signal(Signal::SIGTERM);
    let done = session.finish();
    assert_eq!(done.code, 143, "{}", done.stderr);
    for word in ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:", "NoNewPrivs:"] {
        let line = |text: &str| text.lines().find(|line| line.starts_with(word)).unwrap().to_owned();
        assert_eq!(line(&done.stdout), line(&std::fs::read_to_string("/proc/self/status").unwrap()));
    }
}
