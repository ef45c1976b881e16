//! Any bytes as a recording; every other input gets a valid file header first, so that the search for blocks is reached.
#![no_main]
use std::path::Path;

use libfuzzer_sys::fuzz_target;
use probe_record::{
    batch::RecordBatch,
    file::{RecordingReader, layout::FileHeader},
    stream::Source as _,
};
use zerocopy::IntoBytes as _;

fuzz_target!(|data: &[u8]| {
    let Some((choice, data)) = data.split_first() else { return };
    let mut file = Vec::new();
    if choice & 1 == 1 {
        file.extend_from_slice(FileHeader::new(u64::from(*choice), b"{}").as_bytes());
        file.extend_from_slice(b"{}");
    }
    file.extend_from_slice(data);
    let Ok(mut reader) = RecordingReader::from_read(Path::new("fuzz"), file.as_slice()) else { return };
    let mut batch = RecordBatch::new();
    while reader.next_batch(&mut batch) {
        assert!(batch.iter().all(|record| record.is_ok()));
    }
    assert!(!reader.next_batch(&mut batch));
    assert!(reader.skipped().bytes <= file.len() as u64);
    let _ = (reader.notes(), reader.take_symbols());
});
