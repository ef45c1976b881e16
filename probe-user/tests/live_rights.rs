//! Where the tool cannot work: one sentence, status 1, nothing attached.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail by panicking")]
mod support;

use std::{
    ffi::CString,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::PathBuf,
    process::Command,
};

use nix::{
    mount::{MntFlags, MsFlags, mount, umount2},
    sched::{CloneFlags, unshare},
};
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
