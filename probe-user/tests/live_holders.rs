//! Who holds the pools: rows that add up to what the kernel says, and the inode that is dirty by its number.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail by panicking")]
mod support;

use std::{fs::File, io::Write, os::unix::fs::MetadataExt, path::Path};

use probe_workload::loopfs::{LoopFs, LoopFsOptions};
use serde_json::Value;
use support::{
    probe::{self, RING, assert_silent, list, lives, number},
    tmux::{Tmux, quoted},
};

const MIB: u64 = 1 << 20;
/// What the test makes dirty, bytes.
const DIRTY: u64 = 9 * MIB;

fn filesystem() -> LoopFs {
    LoopFs::create_mounted(LoopFsOptions::new(256 * MIB).single()).unwrap()
}

/// Writes so much to a new file, and does not wait for it to reach the device. Its inode number.
fn dirty(path: &Path) -> u64 {
    let mut file = File::create(path).unwrap();
    file.write_all(&vec![0x5a; DIRTY as usize]).unwrap();
    file.metadata().unwrap().ino()
}

/// Bytes of the rows of a space_info and of what is not attributed.
fn assert_adds_up(space: &Value) {
    let rows: i64 = list(&space["holders"]).iter().map(|holder| number(&holder["bytes"])).sum();
    assert_eq!(rows + number(&space["not_attributed"]), number(&space["bytes_may_use"]), "{space}");
}

fn holder<'a>(space: &'a Value, name: &str) -> &'a Value {
    list(&space["holders"])
        .iter()
        .find(|holder| holder["holder"] == name)
        .unwrap_or_else(|| panic!("{space}"))
}

#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn the_report_names_the_inode_that_holds_the_data() {
    let Some(_alone) = support::live() else { return };
    let fs = filesystem();
    let uuid = fs.fsid().to_string();
    let session = probe::attached(&["watch", "--fs", &uuid, "--ring-size", RING]);
    let ino = dirty(&fs.path().join("dirty"));
    let done = session.interrupt();
    assert_silent(done.report());
    let holders = &lives(done.report(), &uuid)[0]["holders"];
    assert_eq!(holders["dirty_data"], "read", "{holders}");
    let spaces = &holders["spaces"];
    for name in ["data", "metadata", "system"] {
        assert_adds_up(&spaces[name]);
    }
    let data = holder(&spaces["data"], "inode.delalloc_bytes");
    assert_eq!((number(&data["bytes"]), number(&data["inode"])), (DIRTY as i64, ino as i64), "{holders}");
    assert_eq!(number(&spaces["data"]["not_attributed"]), 0, "{holders}");
    let metadata = holder(&spaces["metadata"], "inode.meta_rsv");
    assert_eq!(number(&metadata["inode"]), ino as i64, "{holders}");
    assert!(number(&holder(&spaces["metadata"], "fs.global_rsv")["bytes"]) > 0, "{holders}");
    assert_eq!(number(&spaces["metadata"]["not_attributed"]), 0, "{holders}");
}

/// A look between two audits, as the screen takes it each time.
#[test]
#[ignore = "needs root: run by cargo xtask test"]
fn the_screen_names_the_inode_that_holds_the_data() {
    let Some(_alone) = support::live() else { return };
    let Some(tmux) = Tmux::start(80, 24) else { return };
    let fs = filesystem();
    let program = quoted(&probe::program());
    tmux.command(&format!("{program} top --refresh 250ms --ring-size {RING} --fs {}", quoted(fs.path())));
    tmux.wait_for("live +");
    let ino = dirty(&fs.path().join("dirty"));
    tmux.type_text("2");
    let wanted = format!("9M  dirty data of inode {ino}, subvolume 5");
    let screen = tmux.wait_until("the inode that holds the data", |screen| screen.contains(&wanted));
    assert!(screen.contains("who holds space.data: 9M of may_use"), "{screen}");
    assert!(screen.contains("        0  in flight or not attributed"), "{screen}");
    tmux.type_text("q");
}
