//! Any bytes as a bundle: packed by the target, so that the archive is reached, or as they are.
#![no_main]
use std::io::Write as _;

use flate2::{Compression, write::GzEncoder};
use libfuzzer_sys::fuzz_target;
use probe_user::bundle::{name, read::copy};

/// Most bytes that are asked for: less than most inputs have.
const MOST: u64 = 4096;

fuzz_target!(|data: &[u8]| {
    let Some((choice, data)) = data.split_first() else { return };
    let packed = if choice & 1 == 1 {
        data.to_vec()
    } else {
        let mut packer = GzEncoder::new(Vec::new(), Compression::none());
        let Ok(packed) = packer.write_all(data).and_then(|()| packer.finish()) else { return };
        packed
    };
    let recording = name::recording(1);
    for names in [&[name::MANIFEST][..], &[name::LOG, recording.as_str()][..]] {
        let mut out = Vec::new();
        if let Ok(Some(found)) = copy(packed.as_slice(), names, MOST, &mut out) {
            assert!(names.contains(&found));
        }
        assert!(out.len() as u64 <= MOST);
    }
});
