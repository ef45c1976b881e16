//! `bundle`: what is in it, what a reader makes of it, and that no name comes into one with `--redact`.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail by panicking")]
use std::{
    collections::BTreeMap,
    io::Read as _,
    path::Path,
    process::{Command, Output, Stdio},
};

use probe_common::{
    failure::{LINE_TEXT, LogLine},
    fs::FsSeen,
    header::Header,
    inode::Name,
    suite::{NOTE_TEXT, NoteKind, SIGN_TEXT, SignKind, TestNote, TestSign},
    task::{Marker, TaskSeen},
    wait::{ThreadFound, Waiting},
};
use probe_record::{
    batch::RecordBatch,
    file::{RecordingReader, RecordingWriter, WriterOptions},
    record::Record,
    session::{FsPlace, SessionEnd, SessionHeader},
};
use tempfile::TempDir;

const RECORDINGS: [&str; 4] = ["failures", "lossy", "functions", "audited"];

fn probe(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_btrfs-probe"))
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// Like [`probe`], and it has to end with that status; standard output.
fn done(folder: &Path, arguments: &[&str], status: i32) -> String {
    let output = probe(folder, arguments);
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(status), "{arguments:?}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

/// Files of a bundle by name.
fn files(bundle: &Path) -> BTreeMap<String, Vec<u8>> {
    let packed = std::fs::File::open(bundle).unwrap();
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(packed));
    let read = |entry: std::io::Result<tar::Entry<'_, _>>| {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().to_str().unwrap().to_owned();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        (name.strip_prefix("btrfs-probe-bundle/").unwrap().to_owned(), content)
    };
    archive.entries().unwrap().map(read).collect()
}

/// All bytes of a recording, unpacked.
fn unpacked(recording: &[u8]) -> Vec<u8> {
    let mut reader = RecordingReader::from_read(Path::new("recording"), recording).unwrap();
    let mut bytes = serde_json::to_vec(reader.header()).unwrap();
    let mut batch = RecordBatch::new();
    while reader.next_batch(&mut batch) {
        bytes.extend_from_slice(batch.bytes());
    }
    bytes.extend(serde_json::to_vec(&probe_record::stream::Source::end(&reader)).unwrap());
    bytes
}

fn text<const N: usize>(said: &str) -> [u8; N] {
    let mut field = [0; N];
    field[..said.len()].copy_from_slice(said.as_bytes());
    field
}

/// A recording with a name in each place that can have one; all have `zq` in them.
fn secret_recording(path: &Path, kernel: &str) {
    let place = FsPlace {
        uuid: "c4d4f263-8194-4b89-ac9e-9ab1fb9052cc".to_owned(),
        devices: vec!["mapper/zq-home".to_owned(), "zq1".to_owned()],
        mounts: vec!["/srv/zq mount".to_owned()],
    };
    let mut session = SessionHeader {
        command: ["tar", "xf", "/srv/zq/tax.tar"].map(str::to_owned).to_vec(),
        filesystems: vec![place.clone()],
        ..SessionHeader::default()
    };
    session.kernel.release = kernel.to_owned();
    session.options.insert("fs".to_owned(), "/srv/zq".to_owned());
    session.options.insert("keep".to_owned(), "60s".to_owned());
    let header = Header { fs: 1, tid: 7, time: 1_000, ..Header::default() };
    let mut components = [[0; 48]; 4];
    components[0] = text("zq file");
    components[1] = text("zq-folder");
    let line = "BTRFS warning (device zq1): qgroup 0/257 has unreleased space, type 0 rsv 4096";
    let stranger = "BTRFS warning (device zq1): checksum error on dev /dev/zq1 (path: zq-folder/zq file)";
    let log = |said: &str| LogLine {
        header,
        length: said.len() as u32,
        reserved: 0,
        text: text::<LINE_TEXT>(said),
    };
    let note = |kind: NoteKind, said| TestNote {
        header,
        what: kind as u32,
        test: 1,
        run: 7,
        status: 0,
        text: text::<NOTE_TEXT>(said),
    };
    let sign = |kind: SignKind, said| TestSign {
        header,
        what: kind as u32,
        pid: 7,
        status: 0,
        reserved: 0,
        text: text::<SIGN_TEXT>(said),
    };
    let records: Vec<Record> = vec![
        FsSeen { header, fsid: [7; 16], s_id: text("zq1"), ..FsSeen::default() }.into(),
        TaskSeen { header, pid: 7, comm: text("zq-program"), ..TaskSeen::default() }.into(),
        TaskSeen { header, pid: 8, comm: text("kworker/zq"), ..TaskSeen::default() }.into(),
        Name { header, root: 5, ino: 257, components }.into(),
        log(line).into(),
        log(stranger).into(),
        Waiting { header, comm: text("zq-waits"), tid: 9, ..Waiting::default() }.into(),
        ThreadFound { header, comm: text("zq-found"), tid: 9, ..ThreadFound::default() }.into(),
        note(NoteKind::Begin, "zq/001").into(),
        note(NoteKind::Section, "zq-section").into(),
        note(NoteKind::Devices, "zq1 mapper/zq-home").into(),
        note(NoteKind::Results, "/home/zq/results").into(),
        note(NoteKind::Scope, "zq.scope").into(),
        note(NoteKind::Result, "notrun\nzq is missing").into(),
        sign(SignKind::Exec, "/home/zq/tests/001").into(),
        sign(SignKind::Console, "run fstests zq/001").into(),
        Marker { header, kind: 5, reserved: 0, text: text("zq/001") }.into(),
    ];
    let mut writer = RecordingWriter::create(path, &session, &WriterOptions::default()).unwrap();
    for record in records {
        writer.push(record.bytes());
    }
    writer.finish(SessionEnd { filesystems: vec![place], ..SessionEnd::default() }).unwrap();
}

fn contains(bytes: &[u8], secret: &str) -> bool {
    bytes.windows(secret.len()).any(|window| window == secret.as_bytes())
}

/// What is said of the machine comes into a bundle with a session of its kernel only.
fn this_kernel() -> String {
    nix::sys::utsname::uname().unwrap().release().to_string_lossy().into_owned()
}

#[test]
fn no_name_comes_into_a_bundle_without_names() {
    let folder = TempDir::new().unwrap();
    secret_recording(&folder.path().join("zq.rsv"), &this_kernel());
    // Before: all of them are there, or the test would prove nothing.
    let before = unpacked(&std::fs::read(folder.path().join("zq.rsv")).unwrap());
    for secret in [
        "zq-home",
        "zq mount",
        "tax.tar",
        "zq1",
        "zq file",
        "zq-program",
        "kworker/zq",
        "zq-found",
        "zq.scope",
    ] {
        assert!(contains(&before, secret), "{secret}");
    }
    done(folder.path(), &["report", "zq.rsv", "--format", "json=zq.json", "-q"], 4);
    assert!(contains(&std::fs::read(folder.path().join("zq.json")).unwrap(), "zq"));

    done(folder.path(), &["bundle", "--redact", "zq.rsv", "zq.json", "-o", "out.tar.gz"], 0);
    let files = files(&folder.path().join("out.tar.gz"));
    let host = nix::sys::utsname::uname().unwrap().nodename().to_string_lossy().into_owned();
    let mut looked = 0;
    for (name, content) in &files {
        let content = if name.ends_with(".rsv") { unpacked(content) } else { content.clone() };
        looked += content.len();
        for secret in ["zq", "ZQ", "tax.tar", "/srv"] {
            assert!(!contains(&content, secret), "{secret} is in {name}");
        }
        assert!(host.len() < 6 || !contains(&content, &host), "{host} is in {name}");
    }
    assert!(looked > 5_000 && files.contains_key("versions.txt"), "{:?}", files.keys());
    // The same name is the same pseudonym in the recording and in the report that came alone.
    let mounts = |number: usize| {
        let report: serde_json::Value =
            serde_json::from_slice(&files[&format!("session-{number}/report.json")]).unwrap();
        report["filesystems"][0].clone()
    };
    assert_eq!(mounts(1), mounts(2));
}

#[test]
fn a_recording_without_names_is_judged_alike() {
    let folder = TempDir::new().unwrap();
    for name in RECORDINGS {
        let recording = format!("{}/testdata/recordings/{name}.rsv", env!("CARGO_MANIFEST_DIR"));
        done(folder.path(), &["bundle", "--redact", &recording, "-o", "b.tar.gz"], 0);
        let report = |file: &str| -> serde_json::Value {
            let output = probe(folder.path(), &["report", file, "--format", "json"]);
            serde_json::from_slice(&output.stdout).unwrap()
        };
        let (before, after) = (report(&recording), report("b.tar.gz"));
        assert_ne!(before, after);
        for part in ["verdict", "loss", "statistics", "failed_reservations", "hooks", "duration_ns", "kernel"]
        {
            assert_eq!(before[part], after[part], "{name}: {part}");
        }
        let count = |report: &serde_json::Value, part: &str| report[part].as_array().unwrap().len();
        for part in ["findings", "failures", "kernel_lines", "kernel_warnings", "inodes", "filesystems"] {
            assert_eq!(count(&before, part), count(&after, part), "{name}: {part}");
        }
    }
}

#[test]
fn a_bundle_is_read_like_its_recording() {
    let folder = TempDir::new().unwrap();
    let recording = format!("{}/testdata/recordings/born.rsv", env!("CARGO_MANIFEST_DIR"));
    done(folder.path(), &["bundle", &recording, "-o", "b.tar.gz"], 0);
    let packed = files(&folder.path().join("b.tar.gz"));
    assert_eq!(packed["session-1/recording.rsv"], std::fs::read(&recording).unwrap());
    let of = |file: &str, more: &[&str]| done(folder.path(), &[&["report", file][..], more].concat(), 0);
    assert_eq!(of(&recording, &[]), of("b.tar.gz", &[]));
    let one = ["--fs", "895ca7b3-6a21-46bb-bb2c-a2de33693e7b"];
    assert_eq!(of(&recording, &one), of("b.tar.gz", &one));
    // Without the recording the report is what is there, and with neither nothing.
    done(folder.path(), &["bundle", "--no-recording", &recording, "-o", "c.tar.gz"], 0);
    assert!(of("c.tar.gz", &[]).contains("6,590 changes of counters"));
    let refused =
        probe(folder.path(), &["report", "c.tar.gz", "--fs", "895ca7b3-6a21-46bb-bb2c-a2de33693e7b"]);
    assert_eq!(refused.status.code(), Some(2));
    done(folder.path(), &["bundle", "-o", "d.tar.gz"], 0);
    let output = probe(folder.path(), &["report", "d.tar.gz"]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("has neither a recording nor a report"), "{said}");
    // Larger than was allowed.
    done(folder.path(), &["bundle", "--max-recording", "1K", &recording, "-o", "e.tar.gz"], 0);
    let manifest: serde_json::Value =
        serde_json::from_slice(&files(&folder.path().join("e.tar.gz"))["MANIFEST.json"]).unwrap();
    let file = |name: &str| {
        manifest["files"].as_array().unwrap().iter().find(|file| file["name"] == name).unwrap().clone()
    };
    assert_eq!(file("session-1/recording.rsv")["included"], false);
    let why = file("session-1/recording.rsv")["why"].as_str().unwrap().to_owned();
    assert!(why.contains("more than the 1 KiB of --max-recording"), "{why}");
}

#[test]
fn what_it_reads_is_not_replaced_and_what_is_nothing_is_refused() {
    let folder = TempDir::new().unwrap();
    let recording = format!("{}/testdata/recordings/born.rsv", env!("CARGO_MANIFEST_DIR"));
    std::fs::copy(&recording, folder.path().join("a.rsv")).unwrap();
    std::fs::write(folder.path().join("text"), "hello\n").unwrap();
    std::fs::write(folder.path().join("cut.gz"), b"\x1f\x8b\x08\x00").unwrap();
    for (arguments, status, said) in [
        (
            &["bundle", "a.rsv", "-o", "a.rsv"][..],
            2,
            "a bundle would go to a.rsv, which is the recording a.rsv",
        ),
        (&["bundle", "text", "-o", "b"], 1, "text is neither a recording, nor a JSON report, nor a bundle"),
        (&["bundle", "gone", "-o", "b"], 1, "cannot read gone: No such file"),
        (&["bundle", "cut.gz", "-o", "b"], 1, "cannot read cut.gz: it is no bundle, or a damaged one"),
        (&["report", "cut.gz"], 1, "cannot read cut.gz: it is no bundle, or a damaged one"),
        (&["explain", "cut.gz"], 1, "cannot read cut.gz: it is no bundle, or a damaged one"),
        (&["bundle", "-o", "no/such/folder"], 1, "cannot write to no/such/folder"),
        (&["bundle", "a.rsv", "-o", "/dev/full"], 1, "cannot write to /dev/full: the disk is full"),
    ] {
        let output = probe(folder.path(), arguments);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {error}");
        assert!(error.contains(said), "{arguments:?}: {error}");
    }
    let left: Vec<_> =
        std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 3, "{left:?}");
}

#[test]
fn the_log_in_a_bundle_is_explained() {
    use probe_user::bundle::{archive, name};
    let folder = TempDir::new().unwrap();
    let log = format!("{}/testdata/explain/", env!("CARGO_MANIFEST_DIR"));
    let mut logs: Vec<_> = std::fs::read_dir(log).unwrap().map(|entry| entry.unwrap().path()).collect();
    logs.sort();
    let log = logs
        .into_iter()
        .find(|log| std::fs::read_to_string(log).is_ok_and(|text| text.contains("space_info total=")))
        .unwrap();
    let entries = vec![archive::Entry::new(name::LOG, "the log", std::fs::read(&log).unwrap())];
    let manifest = archive::manifest(&entries, String::new(), false);
    let mut packed = Vec::new();
    archive::write(&mut packed, &manifest, entries, 0).unwrap();
    std::fs::write(folder.path().join("b.tar.gz"), packed).unwrap();
    let of_bundle = probe(folder.path(), &["explain", "b.tar.gz"]);
    let of_log = probe(folder.path(), &["explain", log.to_str().unwrap()]);
    assert_eq!((of_bundle.status.code(), of_bundle.stdout), (of_log.status.code(), of_log.stdout));
}
