//! Any bytes as one record, and as a row of records.
#![no_main]
use libfuzzer_sys::fuzz_target;
use probe_record::{batch::RecordBatch, record::Record};

fuzz_target!(|data: &[u8]| {
    if let Ok(record) = Record::decode(data) {
        let bytes = record.bytes();
        // A body longer than known is cut to what is known; stacks are cut to their length.
        let common = bytes.len().min(data.len());
        assert_eq!(bytes[..common], data[..common]);
    }
    let mut batch = RecordBatch::new();
    let mut rest = data;
    while let [low, high, tail @ ..] = rest {
        let len = usize::from(u16::from_le_bytes([*low, *high])) % 600;
        let (record, next) = tail.split_at(len.min(tail.len()));
        let _ = batch.push(record);
        rest = next;
    }
    assert_eq!(batch.raw().count() as u64, batch.records());
    let mut undecodable = 0;
    let decoded = batch.decoded(&mut undecodable).count() as u64;
    assert_eq!(decoded + undecodable, batch.records());
});
