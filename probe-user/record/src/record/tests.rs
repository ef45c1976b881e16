//! Every kind of record decodes to what it was, and no bytes make the decoder panic.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop at the first surprise")]
use probe_common::{
    header::{HEADER_LEN, Header, MAX_RECORD_LEN, RecordKind},
    inode::Delalloc,
    loss::LossClass,
    task::{MAX_FRAMES, STACK_FIXED_LEN, Stack},
};
use proptest::{collection::vec, prelude::*};
use zerocopy::FromZeros as _;

use super::*;
use crate::test_records::{any_record, shortest, with_header};

fn stack(frames: u64, len: usize) -> Vec<u8> {
    let mut bytes = with_header(vec![0xee; len], RecordKind::Stack as u8);
    bytes[HEADER_LEN + 8..HEADER_LEN + 16].copy_from_slice(&frames.to_le_bytes());
    bytes
}

#[test]
fn every_kind_has_a_decoder_that_keeps_it() {
    for kind in RecordKind::ALL {
        let bytes = with_header(vec![0; shortest(kind)], kind as u8);
        let record = Record::decode(&bytes).unwrap();
        assert_eq!(record.header().kind, kind as u8);
        assert_eq!(record.bytes(), bytes, "{kind:?}");
    }
}

#[test]
fn every_kind_fits_the_wire() {
    for kind in RecordKind::ALL {
        assert!(shortest(kind) <= MAX_RECORD_LEN, "{kind:?}");
        assert_eq!(shortest(kind) % 8, 0, "{kind:?}");
    }
    assert!(size_of::<Stack>() <= MAX_RECORD_LEN);
}

#[test]
fn a_body_becomes_a_record_with_kind_and_length() {
    let record = Record::from(Delalloc { ino: 257, bytes: 4096, ..Delalloc::default() });
    assert_eq!(record.header().kind, RecordKind::Delalloc as u8);
    assert_eq!(usize::from(record.header().len), size_of::<Delalloc>());
    assert_eq!(Record::decode(record.bytes()), Ok(record));
}

#[test]
fn one_byte_less_than_the_kind_needs_is_refused() {
    for kind in RecordKind::ALL {
        for len in HEADER_LEN..shortest(kind) {
            let bytes = with_header(vec![0; len], kind as u8);
            assert_eq!(
                Record::decode(&bytes),
                Err(DecodeError::Length { kind: kind as u8, len }),
                "{kind:?}"
            );
        }
    }
}

#[test]
fn less_than_a_header_is_refused() {
    for len in 0..HEADER_LEN {
        assert_eq!(Record::decode(&vec![0; len]), Err(DecodeError::Short(len)));
    }
}

#[test]
fn a_length_that_is_not_that_of_the_bytes_is_refused() {
    let mut bytes = with_header(vec![0; 200], RecordKind::Delalloc as u8);
    bytes.truncate(192);
    assert_eq!(Record::decode(&bytes), Err(DecodeError::Length { kind: 6, len: 192 }));
}

#[test]
fn a_kind_of_tomorrow_is_named() {
    for kind in [0, 32, 127, 137, 255] {
        assert_eq!(Record::decode(&with_header(vec![0; 64], kind)), Err(DecodeError::Kind(kind)));
    }
}

#[test]
fn a_stack_ends_with_its_frames_and_the_rest_is_zero() {
    let bytes = stack(3, STACK_FIXED_LEN + 3 * 8);
    let Record::Stack(decoded) = Record::decode(&bytes).unwrap() else { panic!("not a stack") };
    assert_eq!(decoded.addresses[2], 0xeeee_eeee_eeee_eeee);
    assert_eq!(decoded.addresses[3..], [0; MAX_FRAMES - 3]);
    assert_eq!(Record::Stack(decoded).bytes(), bytes);
}

#[test]
fn a_stack_that_promises_more_frames_than_it_has_is_refused() {
    let short = stack(4, STACK_FIXED_LEN + 3 * 8);
    assert!(matches!(Record::decode(&short), Err(DecodeError::Length { .. })));
    for frames in [MAX_FRAMES as u64 + 1, u64::from(u32::MAX) + 2, u64::MAX] {
        let bytes = stack(frames, size_of::<Stack>() + 64);
        assert!(matches!(Record::decode(&bytes), Err(DecodeError::Length { .. })), "{frames}");
    }
}

#[test]
fn a_longer_stack_than_known_keeps_the_known_frames() {
    let bytes = stack(MAX_FRAMES as u64, size_of::<Stack>() + 16);
    let Record::Stack(decoded) = Record::decode(&bytes).unwrap() else { panic!("not a stack") };
    assert_eq!(decoded.frames, MAX_FRAMES as u64);
    assert_ne!(decoded.addresses[MAX_FRAMES - 1], 0);
}

#[test]
fn bytes_of_a_stack_with_a_wrong_length_by_hand_stay_in_bounds() {
    let mut body = Stack::new_zeroed();
    body.header = Header { kind: RecordKind::Stack as u8, len: u16::MAX, ..Header::default() };
    assert_eq!(Record::Stack(body).bytes().len(), size_of::<Stack>());
}

proptest! {
    #[test]
    fn any_content_of_any_kind_survives(bytes in any_record()) {
        let record = Record::decode(&bytes).unwrap();
        prop_assert_eq!(record.bytes(), bytes);
    }

    #[test]
    fn appended_fields_of_tomorrow_change_nothing(
        // A stack's length says how many frames there are, so it is no layout that can grow at its end.
        bytes in any_record().prop_filter("no stack", |bytes| bytes[0] != RecordKind::Stack as u8),
        more in 1_usize..8,
    ) {
        let mut longer = bytes.clone();
        longer.resize(bytes.len() + more * 8, 0x5a);
        let longer = with_header(longer, bytes[0]);
        let mut record = Record::decode(&longer).unwrap();
        record.header_mut().len = bytes.len() as u16;
        prop_assert_eq!(record.bytes(), bytes);
    }

    #[test]
    fn no_bytes_panic(bytes in vec(any::<u8>(), 0..600)) {
        let _ = Record::decode(&bytes);
    }

    #[test]
    fn no_bytes_with_a_right_length_panic(bytes in vec(any::<u8>(), HEADER_LEN..600), kind in any::<u8>()) {
        if let Ok(record) = Record::decode(&with_header(bytes.clone(), kind)) {
            prop_assert!(record.bytes().len() <= bytes.len());
        }
    }
}

/// ABI version 3 and earlier had room for 16 classes.
#[test]
fn a_loss_sample_of_an_older_version_is_read() {
    let mut sample = LossSample::default();
    sample.counts[LossClass::ChainCell as usize] = 330;
    sample.counts[20] = 7;
    let mut bytes = Record::from(sample).bytes().to_vec();
    bytes.truncate(HEADER_LEN + 16 * 8);
    let length = bytes.len() as u16;
    bytes[2..4].copy_from_slice(&length.to_le_bytes());
    let Ok(Record::LossSample(read)) = Record::decode(&bytes) else { panic!("an older sample is a sample") };
    assert_eq!(read.counts[LossClass::ChainCell as usize], 330);
    assert_eq!(read.counts[16..], [0; 16], "what is not there is zero");
    bytes.truncate(HEADER_LEN + 15 * 8);
    bytes[2..4].copy_from_slice(&(length - 8).to_le_bytes());
    assert!(Record::decode(&bytes).is_err(), "no version had so few");
}
