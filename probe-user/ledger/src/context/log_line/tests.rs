//! Lines as 6.1, 6.12 and 7.3 print them (`fs/btrfs/`), and some in words that another version could use.
#![allow(clippy::panic, reason = "a test may stop at the first surprise")]
use super::*;
use crate::context::log_line::{Level, Line, Said, Topic};

fn said(line: &str) -> Said<'_> {
    match parse(line) {
        Some(Line::Said(said)) => said,
        other => panic!("{line}: {other:?}"),
    }
}

fn topic(line: &str) -> Option<Topic> {
    complaint(said(line).text).map(|complaint| complaint.topic)
}

#[test]
fn a_line_names_its_level_and_its_device() {
    let line = said("BTRFS warning (device sdb): qgroup 0/5 has unreleased space, type 0 rsv 28672");
    assert_eq!((line.level, line.device), (Some(Level(4)), Some("sdb")));
    assert_eq!(line.text, "qgroup 0/5 has unreleased space, type 0 rsv 28672");
    assert!(!line.after_error);
    let line = said("BTRFS error (device dm-0 state EA): qgroup reserved space leaked\n");
    assert_eq!((line.level, line.device, line.after_error), (Some(Level(3)), Some("dm-0"), true));
    assert_eq!(line.text, "qgroup reserved space leaked");
    // 6.1 has a colon before the state; the device was taken to be `dm-0:`.
    let on_6_1 = said("BTRFS error (device dm-0: state EA): qgroup reserved space leaked\n");
    assert_eq!((on_6_1.device, on_6_1.after_error), (Some("dm-0"), true));
    // A state that does not show an error.
    let line = said("BTRFS info (device cciss/c0d0p1 state M): at unmount delalloc count 4096");
    assert_eq!((line.device, line.after_error), (Some("cciss/c0d0p1"), false));
    // `__btrfs_handle_fs_error()`
    let line =
        said("BTRFS: error (device loop0 state A) in btrfs_commit_transaction:2466: errno=-5 IO failure");
    assert_eq!((line.level, line.device, line.after_error), (Some(Level(3)), Some("loop0"), true));
}

#[test]
fn a_line_may_name_no_filesystem() {
    for (line, text) in [
        ("BTRFS critical (device <unknown>): panic in f:1: x", "panic in f:1: x"),
        ("BTRFS error: state leak: start 0 end 4095 state 32", "state leak: start 0 end 4095 state 32"),
        ("BTRFS: state leak: start 0 end 4095 state 32", "state leak: start 0 end 4095 state 32"),
        (
            "qgroup 257 data reserved space underflow, have 0 to free 4096",
            "qgroup 257 data reserved space underflow, have 0 to free 4096",
        ),
    ] {
        assert_eq!((said(line).device, said(line).text), (None, text), "{line}");
    }
    for other in ["EXT4-fs (sda1): mounted", "", "run fstests btrfs/001 at x", "usb 1-1: new device"] {
        assert_eq!(parse(other), None, "{other}");
    }
}

#[test]
fn lines_that_were_held_back_are_counted() {
    assert_eq!(parse("_btrfs_printk: 17 callbacks suppressed"), Some(Line::HeldBack(17)));
    assert_eq!(parse("btrfs_printk: 3 callbacks suppressed"), Some(Line::HeldBack(3)));
    // The rate limit of one place, which had printed the same ten times.
    assert_eq!(parse("btrfs_print_data_csum_error: 3 callbacks suppressed"), None);
}

#[test]
fn complaints_about_reservations_are_known() {
    let warning = |text: &str| format!("BTRFS warning (device sdb): {text}");
    for text in [
        "qgroup 0/5 has unreleased space, type 0 rsv 28672",
        "qgroup 0/18446744073709551615 has unreleased space, type 2 rsv 16384",
        "leaking qgroup reserved space, ino: 257, start: 0, end: 4095",
        "qgroup reserved space leaked",
        "to be deleted qgroup 0/257 has non-zero numbers, data 4096 meta prealloc 0 meta pertrans 0",
        "qgroup 1/100 meta prealloc reserved space underflow, have 0 to free 16384",
        // Not printed by any kernel so far.
        "root 5 inode 257 leaked qgroup reserved space 4096",
        "qgroup 0/5 rsv underflowed by 4096",
        "qgroup 0/5 still holds reserved space of 4096",
    ] {
        assert_eq!(topic(&warning(text)), Some(Topic::Qgroups), "{text}");
    }
    for text in ["at unmount delalloc count 4096", "at unmount dio bytes count 4096"] {
        assert_eq!(topic(&warning(text)), Some(Topic::Data), "{text}");
    }
    for text in [
        "metadata reservation failed for delayed dir item deltiona, should have been reserved",
        "metadata reservation failed for delayed dir item deletion, index: 2, root: 5, inode: 256, error: -ENOSPC",
        // Not printed by any kernel so far.
        "block group 1048576 still has 4096 bytes reserved",
        "space_info metadata bytes_may_use underflow, have 0 to free 4096",
        "delayed_refs_rsv leaked 16384 bytes",
        "chunk metadata reservation leak of 393216",
    ] {
        assert_eq!(topic(&warning(text)), Some(Topic::Pools), "{text}");
    }
    assert_eq!(topic("qgroup 257 data reserved space underflow, have 0 to free 4096"), Some(Topic::Qgroups));
    let of_inode = |text| complaint(text).is_some_and(|complaint| complaint.of_inode);
    assert!(of_inode("leaking qgroup reserved space, ino: 257, start: 0, end: 4095"));
    assert!(!of_inode("qgroup 0/5 has unreleased space, type 0 rsv 28672"));
}

#[test]
fn what_btrfs_says_every_day_is_no_complaint() {
    for line in [
        "BTRFS: device label leak-of-reserved-space devid 1 transid 6 /dev/loop0 (7:0) scanned by mount (123)",
        "BTRFS info (device loop0): first mount of filesystem 5c6d0ee7-3e0b-4f2e-9d0b-111111111111",
        "BTRFS info (device loop0): using crc32c (crc32c-intel) checksum algorithm",
        "BTRFS info (device loop0): using free-space-tree",
        "BTRFS info (device loop0): checking UUID tree",
        "BTRFS info (device loop0): enabling ssd optimizations",
        "BTRFS info (device loop0): last unmount of filesystem 5c6d0ee7-3e0b-4f2e-9d0b-111111111111",
        "BTRFS info (device loop0 state M): force clearing of disk cache",
        "BTRFS info (device loop0 state E): forced readonly",
        "BTRFS info (device loop0): qgroup scan completed (inconsistency flag cleared)",
        "BTRFS warning (device loop0): qgroup rescan init failed, qgroup is not enabled",
        "BTRFS warning (device loop0): qgroup marked inconsistent, qgroup info item update error -2",
        "BTRFS warning (device loop0): to be deleted qgroup 0/257 has non-zero numbers, rfer 16384 rfer_cmpr 16384 excl 16384 excl_cmpr 16384",
        "BTRFS warning (device loop0): squota underflow qg 0/257 excl 0 num_bytes 4096",
        // A dump of the pools.
        "BTRFS info (device loop0): space_info METADATA (sub-group id 0) has 0 free, is full",
        "BTRFS info (device loop0): space_info total=8388608, used=16384, pinned=0, reserved=0, may_use=0, readonly=0 zone_unusable=0",
        "BTRFS info (device loop0): global_block_rsv: size 3670016 reserved 3670016",
        "BTRFS info (device loop0): delayed_refs_rsv: size 0 reserved 0",
        "BTRFS info (device loop0): block group 13631488 has 8388608 bytes, 0 used 0 pinned 0 reserved 0 delalloc 0 super 0 zone_unusable (8388608 bytes available) ",
        "BTRFS info (device loop0): 8388608 bytes available across all block groups",
        "BTRFS: block rsv 1 returned -28",
        "BTRFS: Transaction aborted (error -28)",
        "BTRFS warning (device loop0 state A): Skipping commit of aborted transaction.",
        "BTRFS warning (device loop0): csum failed root 5 ino 257 off 0 csum 0x8941f998 expected csum 0x93413794 mirror 1",
        "BTRFS error (device loop0): bdev /dev/loop0 errs: wr 1, rd 0, flush 0, corrupt 0, gen 0",
        "BTRFS error (device loop0): failed to run delalloc range, root=5 ino=257 folio=0 submit_bitmap=0 start=0 len=4096: -28",
        "BTRFS info (device loop0): reclaiming chunk 13631488 with 3% used 0% reserved 0% unusable",
        "BTRFS error (device loop0): devid 1 physical 0 len 4096 inside the reserved space",
        // These leaks are memory.
        "BTRFS: buffer leak start 30408704 len 16384 refs 1 bflags 529 owner 5",
        "BTRFS: state leak: start 0 end 4095 state 32 in tree 1 refs 1",
        "BTRFS error (device loop0): leaked root 5-0 refcount 1",
        "BTRFS warning (device loop0): full stripe lock at 65536 refcount underflow",
        "BTRFS error (device loop0): send: path ref buffer underflow for key (257 12 256)",
    ] {
        assert_eq!(topic(line), None, "{line}");
    }
}

#[test]
fn numbers_do_not_make_another_complaint() {
    let text = "qgroup 0/5 has unreleased space, type 0 rsv 28672";
    assert_eq!(shape(text), "qgroup #/# has unreleased space, type # rsv #");
    assert_eq!(shape(text), shape("qgroup 1/100 has unreleased space, type 2 rsv 4096"));
}
