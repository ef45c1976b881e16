//! The sentence of each cause.
use std::fmt::Write as _;

use super::{super::cause::Cause, explain, usage};

const MIB: i64 = 1 << 20;

/// A dump by `btrfs_dump_space_info()` of 6.12, behind a failed ticket. Figures in MiB.
struct Dump {
    kind: &'static str,
    full: bool,
    request: i64,
    total: i64,
    used: i64,
    pinned: i64,
    may_use: i64,
    readonly: i64,
    zone_unusable: i64,
    /// size, reserved
    global: (i64, i64),
    delayed_refs: i64,
}

const METADATA: Dump = Dump {
    kind: "METADATA",
    full: true,
    request: 4,
    total: 64,
    used: 40,
    pinned: 0,
    may_use: 22,
    readonly: 0,
    zone_unusable: 0,
    global: (16, 16),
    delayed_refs: 0,
};

impl Dump {
    fn text(&self) -> String {
        let free = self.total - self.used - self.pinned - self.may_use - self.readonly - self.zone_unusable;
        let not = if self.full { "" } else { "not " };
        let mut text = String::new();
        let mut say =
            |message: String| writeln!(text, "[  12.345678] BTRFS info (device vda): {message}").unwrap();
        for again in [false, true] {
            if !again {
                say("cannot satisfy tickets, dumping space info".to_owned());
            }
            say(format!("space_info {} (sub-group id 0) has {} free, is {not}full", self.kind, free * MIB));
            say(format!(
                "space_info total={}, used={}, pinned={}, reserved=0, may_use={}, readonly={} zone_unusable={}",
                self.total * MIB,
                self.used * MIB,
                self.pinned * MIB,
                self.may_use * MIB,
                self.readonly * MIB,
                self.zone_unusable * MIB
            ));
            if !again {
                say(format!("failing ticket with {} bytes", self.request * MIB));
            }
        }
        say(format!("global_block_rsv: size {} reserved {}", self.global.0 * MIB, self.global.1 * MIB));
        say("trans_block_rsv: size 0 reserved 0".to_owned());
        say("chunk_block_rsv: size 0 reserved 0".to_owned());
        say("delayed_block_rsv: size 0 reserved 0".to_owned());
        say(format!("delayed_refs_rsv: size {0} reserved {0}", self.delayed_refs * MIB));
        text
    }
}

fn texts() -> Vec<(&'static str, Cause, String)> {
    let progs = |metadata: &str, devices: &[i64]| {
        usage(
            &[
                ("Data", "single", 800 * MIB, 100 * MIB),
                ("Metadata", metadata, 64 * MIB, 40 * MIB),
                ("System", "DUP", 8 * MIB, 16384),
            ],
            devices,
        )
    };
    let abort = "BTRFS: Transaction aborted (error -28)\nBTRFS info (device vda: state A): dumping space info:\n\
                 BTRFS info (device vda: state A): space_info DATA has 104857600 free, is full\n\
                 BTRFS info (device vda: state A): space_info total=209715200, used=104857600, pinned=0, reserved=0, may_use=0, readonly=0 zone_unusable=0\n\
                 BTRFS info (device vda: state A): space_info METADATA has 0 free, is full\n\
                 BTRFS info (device vda: state A): space_info total=8388608, used=6815744, pinned=0, reserved=524288, may_use=1048576, readonly=0 zone_unusable=0\n\
                 BTRFS info (device vda: state A): global_block_rsv: size 5767168 reserved 1048576\n\
                 BTRFS info (device vda: state EA): forced readonly\n"
        .to_owned();
    vec![
        (
            "a dump and usage, data has free space",
            Cause::DataOnlyFreeSpace,
            METADATA.text() + &progs("single", &[MIB]),
        ),
        ("usage alone", Cause::DataOnlyFreeSpace, usage(&[("Data", "single", 800 * MIB, 9), ("Metadata", "DUP", 8 * MIB, 6 * MIB)], &[MIB])),
        (
            "the kernel counts devices",
            Cause::NoRoomForAChunk,
            "BTRFS debug (device vda): btrfs_create_chunk: not enough devices with free space: have=1 minimum required=2\n".to_owned()
                + &METADATA.text(),
        ),
        ("a dump alone says that no chunk was found", Cause::NoRoomForAChunk, METADATA.text()),
        (
            "data is full",
            Cause::NoRoomForAChunk,
            Dump { kind: "DATA", request: 1, total: 800, used: 800, may_use: 0, ..METADATA }.text(),
        ),
        (
            "usage alone, one of two devices is full",
            Cause::NoRoomForAChunk,
            usage(&[("Data", "RAID1", 800 * MIB, 800 * MIB), ("Metadata", "RAID1", 64 * MIB, MIB)], &[MIB, 500 * MIB]),
        ),
        ("an abort used up the global reserve", Cause::GlobalReserveDrained, abort),
        (
            "delayed refs hold may_use",
            Cause::DelayedRefsReserve,
            Dump { may_use: 24, delayed_refs: 8, ..METADATA }.text(),
        ),
        ("pinned", Cause::PinnedUntilCommit, Dump { used: 20, pinned: 22, ..METADATA }.text()),
        (
            "an error number",
            Cause::QgroupLimit,
            "[1.0] BTRFS: error (device vda: state A) in btrfs_create_pending_snapshots:1: errno=-122 Quota exceeded\n".to_owned(),
        ),
        (
            "not full, and little is unallocated",
            Cause::OvercommitRefused,
            Dump { full: false, ..METADATA }.text() + &progs("DUP", &[16 * MIB]),
        ),
        (
            "zones",
            Cause::ZoneUnusable,
            Dump { kind: "DATA", total: 800, used: 300, may_use: 0, zone_unusable: 500, ..METADATA }.text(),
        ),
        (
            "readonly",
            Cause::ReadonlyBlockGroups,
            Dump { used: 10, readonly: 32, ..METADATA }.text()
                + "BTRFS info (device vda): block group 1 has 33554432 bytes, 0 used 0 pinned 0 reserved 0 zone_unusable [readonly]\n\
                   BTRFS info (device vda): block group 2 has 33554432 bytes, 9 used 0 pinned 0 reserved 0 zone_unusable \n",
        ),
    ]
}

#[test]
fn each_cause_has_its_sentence() {
    let mut all = String::new();
    for (name, cause, text) in texts() {
        let explanation = explain(&text);
        assert_eq!(explanation.filesystems.len(), 1, "{name}");
        let filesystem = &explanation.filesystems[0];
        assert_eq!(
            filesystem.causes.first().map(String::as_str),
            Some(cause.name()),
            "{name}: {filesystem:#?}"
        );
        assert_eq!(filesystem.impossible, Vec::<String>::new(), "{name}");
        writeln!(all, "{} ({name}):\n  {}", filesystem.causes.join(", "), filesystem.sentence).unwrap();
    }
    // The kernel's text does not say that others wait: only the state that is read in a live session does.
    for cause in Cause::ALL.into_iter().filter(|cause| *cause != Cause::WaitingReservations) {
        assert!(texts().iter().any(|(_, of, _)| *of == cause), "{} has no text", cause.name());
    }
    insta::assert_snapshot!("sentences", all);
}

#[test]
fn what_would_fit_and_figures_without_shortage_have_no_cause() {
    let fits = Dump { request: 1, full: false, ..METADATA }.text();
    let roomy =
        usage(&[("Data", "single", 800 * MIB, MIB), ("Metadata", "DUP", 64 * MIB, MIB)], &[500 * MIB]);
    let pieces = "BTRFS error (device vda): allocation failed flags 12, wanted 4096 tree-log 0, relocation: 0\n\
                  BTRFS info (device vda): space_info DATA+METADATA has 8323072 free, is full\n\
                  BTRFS info (device vda): space_info total=11534336, used=1114112, pinned=0, reserved=0, may_use=2097152, readonly=0 zone_unusable=0\n\
                  BTRFS info (device vda): global_block_rsv: size 1441792 reserved 1441792\n"
        .to_owned();
    assert!(explain(&pieces).filesystems[0].sentence.contains("found no extent of 4 KiB"));
    for text in [fits, roomy, pieces] {
        let explanation = explain(&text);
        assert_eq!(explanation.filesystems[0].causes, Vec::<String>::new(), "{text}");
        assert!(!explanation.is_explained());
    }
    assert!(explain("nothing of this kind\n").filesystems.is_empty());
}

#[test]
fn impossible_figures_are_marked() {
    let impossible = |text: String| explain(&text).filesystems[0].impossible.join(" ");
    let over = Dump { used: 40, pinned: 30, may_use: 0, global: (0, 0), ..METADATA }.text();
    assert!(
        impossible(over)
            .contains("used, pinned and reserved are 70 MiB together, more than the total of 64 MiB")
    );
    let below = Dump { may_use: -1, global: (0, 0), ..METADATA }.text();
    assert!(impossible(below).contains("may_use is below zero"));
    let reserves = Dump { may_use: 10, ..METADATA }.text();
    assert!(impossible(reserves).contains("the block_rsvs hold 16 MiB, more than the 10 MiB"));
    let unmount = format!(
        "WARNING: CPU: 0 PID: 1 at fs/btrfs/block-group.c:1 btrfs_free_block_groups+0x1/0x2\n{}",
        "BTRFS info (device vda): space_info DATA has 4096 free, is not full\n\
         BTRFS info (device vda): space_info total=8192, used=0, pinned=0, reserved=0, may_use=4096, readonly=0 zone_unusable=0\n"
    );
    assert!(impossible(unmount).contains("4 KiB are left in may_use at the unmount"));
    let readonly = "BTRFS info (device vda): space_info 1 has 18446744073709543424 free, is full\n\
                    BTRFS info (device vda): space_info total=8192, used=8192, pinned=0, reserved=0, may_use=8192, readonly=0\n";
    assert_eq!(impossible(readonly.to_owned()), "", "overcommit is no bug");
}

#[test]
fn every_page_has_its_cause() {
    let folder = format!("{}/../docs/enospc", env!("CARGO_MANIFEST_DIR"));
    let mut pages: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap().replace(".md", ""))
        .filter(|page| page != "README")
        .collect();
    pages.sort();
    let mut causes: Vec<&str> = Cause::ALL.into_iter().map(Cause::name).collect();
    causes.sort_unstable();
    assert_eq!(pages, causes);
}
