//! What is read of a bundle, whoever made it.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
use flate2::{Compression, write::GzEncoder};
use proptest::prelude::*;
use tar::{Builder, Header};

use super::*;
use crate::bundle::{
    archive::{self, Entry},
    name,
};

fn bundle() -> Vec<u8> {
    let entries = vec![
        Entry::new(name::DOCTOR_TEXT, "", "ok"),
        Entry::missing(name::CONFIG, "", "none"),
        Entry::new(name::recording(1), "", vec![7; 3000]),
        Entry::new(name::LOG, "", "a line\n"),
    ];
    let manifest = archive::manifest(&entries, String::new(), false);
    let mut packed = Vec::new();
    archive::write(&mut packed, &manifest, entries, 0).unwrap();
    packed
}

fn get(packed: &[u8], name: &str, most: u64) -> Result<Option<Vec<u8>>, BundleError> {
    let mut out = Vec::new();
    Ok(copy(packed, &[name], most, &mut out)?.map(|_| out))
}

/// An archive of one entry, as a stranger may make it.
fn odd(header: &mut Header, name: &[u8], content: &[u8]) -> Vec<u8> {
    let mut archive = Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    header.as_old_mut().name[..name.len()].copy_from_slice(name);
    header.set_cksum();
    archive.append(header, content).unwrap();
    archive.into_inner().unwrap().finish().unwrap()
}

#[test]
fn what_was_written_is_read() {
    let packed = bundle();
    assert_eq!(get(&packed, name::LOG, 100).unwrap().unwrap(), b"a line\n");
    assert_eq!(get(&packed, "session-1/recording.rsv", 3000).unwrap().unwrap(), vec![7; 3000]);
    assert_eq!(get(&packed, name::CONFIG, 100).unwrap(), None);
    let manifest = get(&packed, name::MANIFEST, 1 << 20).unwrap().unwrap();
    let manifest: super::super::manifest::Manifest = serde_json::from_slice(&manifest).unwrap();
    let told: Vec<_> =
        manifest.files.iter().map(|file| (file.name.as_str(), file.included, file.bytes)).collect();
    let expected = [
        (name::DOCTOR_TEXT, true, 2),
        (name::CONFIG, false, 0),
        ("session-1/recording.rsv", true, 3000),
        (name::LOG, true, 7),
    ];
    assert_eq!(told, expected);
}

#[test]
fn names_that_lead_elsewhere_links_and_sizes_are_refused() {
    let mut regular = Header::new_ustar();
    regular.set_size(2);
    for path in
        ["../kernel/log.txt", "/kernel/log.txt", "btrfs-probe-bundle/../kernel/log.txt", "kernel/log.txt"]
    {
        let packed = odd(&mut regular.clone(), path.as_bytes(), b"hi");
        assert_eq!(get(&packed, name::LOG, 10).unwrap(), None, "{path}");
    }
    let place = format!("{FOLDER}/{}", name::LOG);
    let packed = odd(&mut regular.clone(), place.as_bytes(), b"hi");
    assert_eq!(get(&packed, name::LOG, 10).unwrap().unwrap(), b"hi");
    assert!(matches!(get(&packed, name::LOG, 1), Err(BundleError::Large(_))));
    for kind in [EntryType::Symlink, EntryType::Link, EntryType::Char, EntryType::Directory, EntryType::Fifo]
    {
        let mut link = Header::new_ustar();
        link.set_entry_type(kind);
        link.set_link_name("/etc/passwd").unwrap();
        link.set_size(0);
        assert_eq!(get(&odd(&mut link, place.as_bytes(), b""), name::LOG, 10).unwrap(), None, "{kind:?}");
    }
    // It promises more than any disk has, and has nothing.
    let mut huge = Header::new_ustar();
    huge.set_size(u64::MAX / 2);
    assert!(get(&odd(&mut huge.clone(), place.as_bytes(), b""), name::LOG, u64::MAX).is_err());
    assert!(get(&odd(&mut huge, b"other", b""), name::LOG, 10).is_err());
    // A long name of GNU tar is as long as it likes: it is passed over unread.
    let mut long = Header::new_gnu();
    long.set_entry_type(EntryType::GNULongName);
    long.set_size(1 << 20);
    assert_eq!(get(&odd(&mut long, b"././@LongLink", &vec![b'x'; 1 << 20]), name::LOG, 10).unwrap(), None);
}

#[test]
fn a_bundle_that_was_cut_is_told_from_one_without_the_file() {
    let packed = bundle();
    for length in [2, 11, packed.len() / 2] {
        assert!(matches!(get(&packed[..length], name::LOG, 10), Err(BundleError::Damaged(_))), "{length}");
    }
    assert!(matches!(get(b"\x1f\x8bno gzip", name::LOG, 10), Err(BundleError::Damaged(_))));
}

proptest! {
    /// Whatever the bytes are, reading comes to an end, and gives no more than was allowed.
    #[test]
    fn any_bytes(tar in proptest::collection::vec(any::<u8>(), 0..4096)) {
        let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
        packer.write_all(&tar).unwrap();
        let packed = packer.finish().unwrap();
        let found = get(&packed, name::LOG, 100).ok().flatten();
        prop_assert!(found.is_none_or(|found| found.len() <= 100));
        let _ = get(&tar, name::LOG, 100);
    }

    /// A bundle with some bytes altered after it was unpacked.
    #[test]
    fn altered_archives(changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..16)) {
        let mut tar = Vec::new();
        GzDecoder::new(bundle().as_slice()).read_to_end(&mut tar).unwrap();
        for (at, byte) in changes {
            let at = at.index(tar.len());
            tar[at] = byte;
        }
        let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
        packer.write_all(&tar).unwrap();
        let packed = packer.finish().unwrap();
        for name in [name::LOG, name::MANIFEST, "session-1/recording.rsv"] {
            let found = get(&packed, name, 5000).ok().flatten();
            prop_assert!(found.is_none_or(|found| found.len() <= 5000));
        }
    }
}
