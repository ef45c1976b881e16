//! Batches keep what was pushed, and count what is no record.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
use probe_common::header::RecordKind;
use proptest::{collection::vec, prelude::*};

use super::*;
use crate::test_records::{any_record, numbered, with_header};

#[test]
fn an_empty_batch_has_no_span() {
    assert_eq!(RecordBatch::new().span(), None);
    assert!(RecordBatch::new().iter().next().is_none());
}

#[test]
fn count_and_span_follow_the_records() {
    let mut batch = numbered(10, 5);
    assert_eq!(batch.records(), 5);
    assert_eq!(batch.span(), Some((1_010_000_000, 1_014_000_000)));
    batch.append(&numbered(0, 1));
    assert_eq!(batch.span(), Some((1_000_000_000, 1_014_000_000)));
    batch.clear();
    assert_eq!((batch.records(), batch.span(), batch.is_empty()), (0, None, true));
}

#[test]
fn bytes_that_are_no_record_are_not_taken() {
    let mut batch = RecordBatch::new();
    let record = with_header(vec![0; 64], RecordKind::Warn as u8);
    for bad in [&record[..63], &record[..10], &[record.as_slice(), &[0]].concat(), &[]] {
        assert!(batch.push(bad).is_err());
    }
    assert!(batch.is_empty());
}

#[test]
fn groups_have_every_record_and_a_bad_end() {
    let mut batch = numbered(0, 10);
    batch.bytes.extend([1, 2, 3]);
    for most in [0, 1, 3, 4, 5, 100] {
        let groups: Vec<_> = batch.groups(most).map(Iterator::collect::<Vec<_>>).collect();
        assert!(groups.iter().all(|group| (1..=most.max(1)).contains(&group.len())), "{most}");
        assert_eq!(groups.concat(), batch.raw().collect::<Vec<_>>(), "{most}");
        assert!(groups.concat().pop().unwrap().is_err());
    }
    assert_eq!(RecordBatch::new().groups(3).count(), 0);
}

#[test]
fn an_unknown_kind_is_carried_and_named() {
    let mut batch = numbered(0, 2);
    batch.push(&with_header(vec![0; 40], 99)).unwrap();
    batch.append(&numbered(2, 1));
    let errors: Vec<_> = batch.iter().filter_map(Result::err).collect();
    assert_eq!(errors, [DecodeError::Kind(99)]);
    let mut undecodable = 0;
    assert_eq!(batch.decoded(&mut undecodable).count(), 3);
    assert_eq!(undecodable, 1);
}

#[test]
fn a_broken_length_ends_the_iteration_with_one_error() {
    for len in [0_u16, 23, 0xffff] {
        let mut batch = numbered(0, 3);
        let whole = batch.bytes.len();
        batch.bytes.extend_from_slice(&[1_u8; 48]);
        batch.bytes[whole + 2..whole + 4].copy_from_slice(&len.to_le_bytes());
        assert_eq!(batch.iter().count(), 4);
        assert!(batch.iter().nth(3).unwrap().is_err());
        let sifted = batch.sift(|_, _| ());
        assert_eq!(sifted, Sifted { unknown: 0, damaged: 0, tail: 48 });
        assert_eq!(batch.bytes, numbered(0, 3).bytes);
    }
}

#[test]
fn sifting_keeps_what_can_be_decoded_in_order() {
    let mut batch = numbered(0, 4);
    batch.push(&with_header(vec![7; 32], 200)).unwrap();
    batch.append(&numbered(4, 4));
    batch.push(&with_header(vec![7; 32], RecordKind::Levels as u8)).unwrap();
    batch.append(&numbered(8, 4));
    let mut seen = 0;
    let sifted = batch.sift(|_, _| seen += 1);
    assert_eq!(sifted, Sifted { unknown: 1, damaged: 1, tail: 0 });
    assert_eq!((seen, batch.records()), (12, 12));
    assert_eq!(batch.bytes, numbered(0, 12).bytes);
    assert_eq!(batch.span(), numbered(0, 12).span());
}

proptest! {
    #[test]
    fn what_is_pushed_comes_out(records in vec(any_record(), 0..40)) {
        let mut batch = RecordBatch::new();
        for record in &records {
            batch.push(record).unwrap();
        }
        prop_assert_eq!(batch.records() as usize, records.len());
        prop_assert_eq!(batch.raw().map(|raw| raw.unwrap().to_vec()).collect::<Vec<_>>(), records.clone());
        let decoded: Vec<_> = batch.iter().map(|record| record.unwrap().bytes().to_vec()).collect();
        prop_assert_eq!(&decoded, &records);
        let before = batch.clone();
        prop_assert_eq!(batch.sift(|_, _| ()), Sifted::default());
        prop_assert_eq!((batch.bytes(), batch.records(), batch.span()), (before.bytes(), before.records(), before.span()));
    }

    #[test]
    fn any_bytes_end(bytes in vec(any::<u8>(), 0..2000)) {
        let mut batch = RecordBatch::new();
        batch.fill(|buffer| buffer.extend_from_slice(&bytes));
        let raw = batch.raw().filter_map(Result::ok).map(<[u8]>::len).sum::<usize>();
        prop_assert!(raw <= bytes.len());
        let decodable = batch.iter().filter(Result::is_ok).count() as u64;
        batch.sift(|_, _| ());
        prop_assert_eq!(batch.records(), decodable);
        prop_assert_eq!(batch.iter().filter(Result::is_ok).count() as u64, decodable);
        prop_assert_eq!(batch.iter().filter(Result::is_err).count(), 0);
    }
}
