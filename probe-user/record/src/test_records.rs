//! Records of every kind for the tests of this layer.
use probe_common::{
    header::{HEADER_LEN, RecordKind},
    task::{MAX_FRAMES, STACK_FIXED_LEN},
};
use proptest::{collection::vec, prelude::*, sample::select};

use crate::{batch::RecordBatch, record::Record};

/// Shortest valid length of a kind, found by trying, because only the decoder knows all layouts.
pub(super) fn shortest(kind: RecordKind) -> usize {
    (HEADER_LEN..=512)
        .step_by(8)
        .find(|len| Record::decode(&with_header(vec![0; *len], kind as u8)).is_ok())
        .unwrap_or_else(|| panic!("{kind:?} has no valid length"))
}

/// Sets kind and length.
pub(super) fn with_header(mut bytes: Vec<u8>, kind: u8) -> Vec<u8> {
    bytes[0] = kind;
    let len = (bytes.len() as u16).to_le_bytes();
    bytes[2..4].copy_from_slice(&len);
    bytes
}

/// A valid record of any kind with arbitrary content.
pub(super) fn any_record() -> impl Strategy<Value = Vec<u8>> {
    select(RecordKind::ALL.as_slice()).prop_flat_map(record_of)
}

/// A valid record of this kind with arbitrary content.
pub(super) fn record_of(kind: RecordKind) -> BoxedStrategy<Vec<u8>> {
    if kind == RecordKind::Stack {
        return (0..=MAX_FRAMES)
            .prop_flat_map(|frames| (Just(frames), vec(any::<u8>(), STACK_FIXED_LEN + 8 * frames)))
            .prop_map(|(frames, mut bytes)| {
                bytes[HEADER_LEN + 8..HEADER_LEN + 16].copy_from_slice(&(frames as u64).to_le_bytes());
                with_header(bytes, RecordKind::Stack as u8)
            })
            .boxed();
    }
    vec(any::<u8>(), shortest(kind)).prop_map(move |bytes| with_header(bytes, kind as u8)).boxed()
}

/// Always the same `count` records: all kinds in turn, times from 1 s on in steps of 1 ms, numbers in the body.
pub(super) fn numbered(from: u64, count: u64) -> RecordBatch {
    let mut batch = RecordBatch::new();
    // A reader alters loss samples if it lost something, so they have tests of their own.
    let kinds: Vec<_> = RecordKind::ALL.into_iter().filter(|kind| *kind != RecordKind::LossSample).collect();
    for number in from..from + count {
        let kind = kinds[number as usize % kinds.len()];
        let mut bytes = with_header(vec![0; shortest(kind)], kind as u8);
        bytes[16..24].copy_from_slice(&(1_000_000_000 + number * 1_000_000).to_le_bytes());
        if kind != RecordKind::Stack && bytes.len() >= 32 {
            bytes[24..32].copy_from_slice(&number.to_le_bytes());
        }
        batch.push(&bytes).unwrap();
    }
    batch
}
