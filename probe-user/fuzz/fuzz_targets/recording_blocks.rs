//! A recording with valid checksums around arbitrary headers and payloads.
//!
//! The input is a script: for each block 20 bytes of header fields, two of length, then the payload. Bits of a field
//! choose between a sound value and the one of the script, so that deep and shallow inputs both come up.
#![no_main]
use std::path::Path;

use libfuzzer_sys::fuzz_target;
use probe_record::{
    batch::RecordBatch,
    file::{
        RecordingReader,
        layout::{BlockHeader, FileHeader},
    },
    stream::Source as _,
};
use zerocopy::{FromZeros as _, IntoBytes as _};

const FILE_ID: u64 = 7;

fuzz_target!(|data: &[u8]| {
    let mut file = FileHeader::new(FILE_ID, b"{}").as_bytes().to_vec();
    file.extend_from_slice(b"{}");
    let (mut rest, mut sequence, mut records_before) = (data, 0_u64, 0_u64);
    while rest.len() > 22 {
        let (script, tail) = rest.split_at(22);
        let len = usize::from(u16::from_le_bytes([script[20], script[21]])) % 4096;
        let (payload, next) = tail.split_at(len.min(tail.len()));
        rest = next;
        let wild = script[0];
        let mut header = BlockHeader::new_zeroed();
        header.kind = u16::from(script[1] % 5).into();
        header.codec = script[2] % 3;
        header.flags = u8::from(wild & 1 == 1 && script[3] & 1 == 1);
        header.records =
            u32::from_le_bytes([script[4], script[5], script[6] & wild, script[7] & wild]).into();
        header.first_time = u64::from(script[8]).into();
        header.file_id = FILE_ID.into();
        header.sequence = (if wild & 2 == 2 { u64::from(script[9]) } else { sequence }).into();
        header.records_before =
            (if wild & 4 == 4 { u64::MAX - u64::from(script[10]) } else { records_before }).into();
        header.raw_len = (if header.codec == 0 || wild & 8 == 8 {
            payload.len() as u32 + u32::from(script[11] & wild & 1)
        } else {
            u32::from_le_bytes([script[12], script[13], script[14] & 0x3f, 0])
        })
        .into();
        header.stored_len = (payload.len() as u32 + u32::from(script[15] & wild & 0x10)).into();
        // One in sixteen payloads is damaged.
        header.payload_crc = crc32fast::hash(payload).wrapping_add(u32::from(script[16] & 0xf == 0xf)).into();
        sequence += 1;
        records_before += u64::from(header.records.get());
        file.extend_from_slice(header.sealed().as_bytes());
        file.extend_from_slice(payload);
    }
    let Ok(mut reader) = RecordingReader::from_read(Path::new("fuzz"), file.as_slice()) else {
        panic!("a valid file header is refused");
    };
    let mut batch = RecordBatch::new();
    let mut batches = 0_u64;
    while reader.next_batch(&mut batch) {
        batches += 1;
        assert!(batch.iter().all(|record| record.is_ok()));
    }
    // Each block gives at most its records and one loss sample before them, and the file one at its end.
    assert!(batches <= 2 * sequence + 1);
    let _ = (reader.notes(), reader.skipped());
});
