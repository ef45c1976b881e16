//! What was judged, and the sentence where nothing was.
#![allow(clippy::unwrap_used, reason = "a test may panic")]
use probe_common::{
    chain::Chain,
    fs::{AuditMark, FsEnd, FsSeen, Levels, SysfsLevels},
    header::Header,
    inode::{Delalloc, InodeState},
};

use super::*;

const A: u32 = 256;
const B: u32 = 257;

fn fsid(of: u32) -> Fsid {
    Fsid([of as u8 + 0xa0; 16])
}

fn at(fs: u32) -> Header {
    Header { fs, time: 5, ..Header::default() }
}

fn seen(fs: u32) -> Record {
    FsSeen { header: at(fs), fsid: fsid(fs).0, ..FsSeen::default() }.into()
}

fn chain(fs: u32) -> Record {
    Chain { header: at(fs), ..Chain::default() }.into()
}

fn delalloc(root: u64, ino: u64) -> Record {
    Delalloc { header: at(A), root, ino, ..Delalloc::default() }.into()
}

fn header(options: &[(&str, &str)], mounted: &[u32]) -> SessionHeader {
    let place = |fs: &u32| FsPlace {
        uuid: fsid(*fs).to_string(),
        devices: vec!["loop0".to_owned()],
        mounts: vec![format!("/mnt/{fs}")],
    };
    SessionHeader {
        options: options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        filesystems: mounted.iter().map(place).collect(),
        ..SessionHeader::default()
    }
}

fn doubts(header: &SessionHeader, records: &[Record]) -> Vec<String> {
    let mut followed = Followed::new(header);
    records.iter().for_each(|record| followed.note(record));
    followed.doubts(header, None)
}

/// With `--fs` for each of these.
fn by_fs(filesystems: &[u32]) -> String {
    filesystems.iter().map(|fs| fsid(*fs).to_string()).collect::<Vec<_>>().join(&NEXT.to_string())
}

#[test]
fn a_session_without_any_btrfs_judged_nothing() {
    let sentence = "No btrfs was mounted while we watched: mount one before the session ends.";
    assert_eq!(doubts(&header(&[], &[]), &[]), [sentence]);
    // One that came and reserved something is enough.
    assert_eq!(doubts(&header(&[], &[]), &[seen(A), chain(A)]), [""; 0]);
}

#[test]
fn a_session_in_which_nothing_happened_judged_nothing() {
    let mounted = header(&[], &[A]);
    let sentence = format!(
        "Nothing happened on any btrfs while we watched, so nothing was judged: let something write to one ({} on /mnt/256).",
        fsid(A)
    );
    assert_eq!(doubts(&mounted, &[]), [sentence.as_str()]);
    // What the tool asks for itself is nothing that happened.
    let own: [Record; 5] = [
        AuditMark { header: at(A), ..AuditMark::default() }.into(),
        Levels { header: at(A), why: LEVELS_AUDIT, ..Levels::default() }.into(),
        InodeState { header: at(A), moment: MOMENT_AUDIT, ..InodeState::default() }.into(),
        SysfsLevels { header: at(A), ..SysfsLevels::default() }.into(),
        seen(A),
    ];
    assert_eq!(doubts(&mounted, &own), [sentence.as_str()]);
    assert_eq!(doubts(&mounted, &[&own[..], &[chain(A)]].concat()), [""; 0]);
}

#[test]
fn one_that_was_not_asked_for_may_be_idle() {
    assert_eq!(doubts(&header(&[], &[A, B]), &[seen(A), chain(A)]), [""; 0]);
}

#[test]
fn a_filesystem_that_never_came_was_not_judged() {
    let wanted = by_fs(&[B]);
    let sentence = format!(
        "No filesystem matched --fs {}: it was not mounted while we watched; mount it, or name one that was ({} on /mnt/256).",
        fsid(B),
        fsid(A)
    );
    assert_eq!(doubts(&header(&[(ONLY_FILESYSTEMS, &wanted)], &[A]), &[]), [sentence.as_str()]);
    // Nor is it by what happened elsewhere.
    assert_eq!(
        doubts(&header(&[(ONLY_FILESYSTEMS, &wanted)], &[A]), &[seen(A), chain(A)]),
        [sentence.as_str()]
    );
    let sentence = format!(
        "No filesystem matched --fs {}: no btrfs was mounted while we watched; mount it before the session ends.",
        fsid(B)
    );
    assert_eq!(doubts(&header(&[(ONLY_FILESYSTEMS, &wanted)], &[]), &[]), [sentence.as_str()]);
}

#[test]
fn a_filter_that_means_nothing_leaves_nothing_clean() {
    for filter in ["/mnt/x", "garbage"] {
        let wanted = header(&[(ONLY_FILESYSTEMS, filter)], &[]);
        let sentence = format!(
            "No filesystem matched --fs {filter}: it was not mounted while we watched; mount it, or name one that was ({}).",
            fsid(A)
        );
        assert_eq!(doubts(&wanted, &[seen(A), chain(A)]), [sentence]);
    }
}

#[test]
fn each_filesystem_that_was_asked_for_has_to_be_judged() {
    let both = header(&[(ONLY_FILESYSTEMS, &by_fs(&[A, B]))], &[A, B]);
    let idle = |fs: u32| {
        format!(
            "Nothing happened on --fs {} (mounted on /mnt/{fs}) while we watched, so nothing was judged: let something write to it.",
            fsid(fs)
        )
    };
    assert_eq!(doubts(&both, &[]), [idle(A), idle(B)]);
    assert_eq!(doubts(&both, &[seen(B), chain(B)]), [idle(A)]);
    let end = FsEnd { header: at(A), ..FsEnd::default() }.into();
    assert_eq!(doubts(&both, &[seen(A), seen(B), chain(A), chain(B), end]), [""; 0]);
    // The first record of a filesystem may come before its name.
    assert_eq!(doubts(&both, &[chain(A), seen(A), chain(A), seen(B), chain(B)]), [""; 0]);
}

#[test]
fn of_those_that_one_filter_means_one_is_enough() {
    let any = format!("{}{OR}{}", fsid(A), fsid(B));
    assert_eq!(doubts(&header(&[(ONLY_FILESYSTEMS, &any)], &[A]), &[seen(A), seen(B), chain(B)]), [""; 0]);
    assert_eq!(doubts(&header(&[(ONLY_FILESYSTEMS, &any)], &[A]), &[]).len(), 1);
}

#[test]
fn an_inode_that_nothing_reserved_for_was_not_judged() {
    let records = [seen(A), chain(A), delalloc(5, 300), delalloc(0, 301)];
    let with = |options: &[(&str, &str)]| doubts(&header(options, &[A]), &records);
    assert_eq!(
        with(&[(INODE, "257")]),
        ["No reservation matched --inode 257 while we watched: name an inode that something writes to."]
    );
    assert_eq!(
        with(&[(SUBVOL, "256")]),
        ["No reservation matched --subvol 256 while we watched: name a subvolume that something writes to."]
    );
    assert_eq!(
        with(&[(INODE, "300"), (SUBVOL, "256")]),
        [
            "No reservation matched --inode 300 --subvol 256 while we watched: name an inode and its subvolume that \
             something writes to."
        ]
    );
    for matching in
        [&[(INODE, "300")][..], &[(SUBVOL, "5")], &[(INODE, "300"), (SUBVOL, "5")], &[(INODE, "301")]]
    {
        assert_eq!(with(matching), [""; 0], "{matching:?}");
    }
    // Where the filesystem was not judged, that is what to say.
    let fs = by_fs(&[B]);
    assert_eq!(with(&[(ONLY_FILESYSTEMS, &fs), (INODE, "257")]).len(), 1);
    assert!(with(&[(ONLY_FILESYSTEMS, &fs), (INODE, "257")])[0].starts_with("No filesystem matched"));
}

#[test]
fn what_is_mounted_is_listed_up_to_a_few() {
    let many: Vec<u32> = (256..262).collect();
    let text = doubts(&header(&[], &many), &[]).remove(0);
    assert!(text.contains(" on /mnt/259; and 2 more)") && !text.contains("/mnt/260"), "{text}");
}
