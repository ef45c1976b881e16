//! The channel between ring and consumer: order, back-pressure, ends.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
use std::{
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::Instant,
};

use super::*;
use crate::test_records::numbered;

const LONG: Duration = Duration::from_secs(60);

fn header() -> SessionHeader {
    SessionHeader { tool_version: "1.2.3".into(), ..SessionHeader::default() }
}

#[test]
fn batches_symbols_and_the_end_arrive_in_order() {
    let (mut sender, mut source) = channel(header(), 4);
    sender.send(&mut numbered(0, 3)).unwrap();
    sender.send_symbols(vec![SymbolRow { address: 1, ..SymbolRow::default() }]).unwrap();
    sender.send(&mut numbered(3, 2)).unwrap();
    sender.finish(SessionEnd { ended_at_ns: 7, ..SessionEnd::default() }).unwrap();

    let mut batch = RecordBatch::new();
    assert_eq!(source.header().tool_version, "1.2.3");
    assert_eq!(source.next(&mut batch, LONG), SourceState::Batch);
    assert_eq!(batch.bytes(), numbered(0, 3).bytes());
    assert!(source.take_symbols().is_empty());
    assert_eq!(source.next(&mut batch, LONG), SourceState::Batch);
    assert_eq!(batch.bytes(), numbered(3, 2).bytes());
    assert_eq!(source.take_symbols().len(), 1);
    assert_eq!(source.end(), None);
    for _ in 0..2 {
        assert_eq!(source.next(&mut batch, LONG), SourceState::End);
        assert!(batch.is_empty());
    }
    assert_eq!(source.end().unwrap().ended_at_ns, 7);
    assert_eq!(source.notes(), [""; 0]);
}

#[test]
fn a_dropped_sender_is_an_end_with_a_note() {
    let (mut sender, mut source) = channel(header(), 4);
    sender.send(&mut numbered(0, 1)).unwrap();
    drop(sender);
    let mut batch = RecordBatch::new();
    assert_eq!(source.next(&mut batch, LONG), SourceState::Batch);
    assert_eq!(source.next(&mut batch, Duration::ZERO), SourceState::End);
    assert_eq!(source.end(), None);
    assert_eq!(source.notes().len(), 1);
}

#[test]
fn nothing_in_time_is_idle_and_not_the_end() {
    let (mut sender, mut source) = channel(header(), 1);
    let mut batch = numbered(0, 1);
    assert_eq!(source.next(&mut batch, Duration::ZERO), SourceState::Idle);
    assert!(batch.is_empty());
    let begin = Instant::now();
    assert_eq!(source.next(&mut batch, Duration::from_millis(30)), SourceState::Idle);
    assert!(begin.elapsed() >= Duration::from_millis(30));
    sender.send(&mut numbered(0, 1)).unwrap();
    assert_eq!(source.next(&mut batch, Duration::ZERO), SourceState::Batch);
}

#[test]
fn a_full_channel_keeps_the_batch_at_the_sender() {
    let (mut sender, mut source) = channel(header(), 2);
    assert_eq!(sender.try_send(&mut numbered(0, 1)), Ok(true));
    assert_eq!(sender.try_send(&mut numbered(1, 1)), Ok(true));
    let mut third = numbered(2, 1);
    assert_eq!(sender.try_send(&mut third), Ok(false));
    assert_eq!(third.bytes(), numbered(2, 1).bytes());
    let mut batch = RecordBatch::new();
    assert_eq!(source.next(&mut batch, LONG), SourceState::Batch);
    assert_eq!(sender.try_send(&mut third), Ok(true));
    assert!(third.is_empty());
    drop(source);
    let mut fourth = numbered(3, 1);
    assert_eq!(sender.send(&mut fourth), Err(Closed));
    assert_eq!(fourth.records(), 1);
    assert_eq!(sender.try_send(&mut fourth), Err(Closed));
    assert_eq!(fourth.records(), 1);
}

#[test]
fn an_empty_batch_is_not_sent() {
    let (mut sender, mut source) = channel(header(), 1);
    let mut batch = RecordBatch::new();
    for _ in 0..10 {
        sender.send(&mut batch).unwrap();
        assert_eq!(sender.try_send(&mut batch), Ok(true));
        sender.send_symbols(Vec::new()).unwrap();
    }
    assert_eq!(source.next(&mut batch, Duration::ZERO), SourceState::Idle);
}

#[test]
fn buffers_go_round() {
    let (mut sender, mut source) = channel(header(), 2);
    let (mut out, mut back) = (RecordBatch::new(), RecordBatch::new());
    let mut addresses = std::collections::BTreeSet::new();
    for round in 0..100 {
        out.append(&numbered(round, 20));
        addresses.insert(out.bytes().as_ptr() as usize);
        sender.send(&mut out).unwrap();
        assert!(out.is_empty());
        assert_eq!(source.next(&mut back, LONG), SourceState::Batch);
        assert_eq!(back.bytes(), numbered(round, 20).bytes());
    }
    // A buffer may be moved once when it grows.
    assert!(addresses.len() <= 10, "{} buffers for 100 batches", addresses.len());
}

/// The sender is never more than the depth and one batch ahead, nothing is lost, and the order stays.
#[test]
fn a_slow_consumer_holds_the_sender_back() {
    const DEPTH: u64 = 3;
    const BATCHES: u64 = 300;
    let (mut sender, mut source) = channel(header(), DEPTH as usize);
    let consumed = AtomicU64::new(0);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut batch = RecordBatch::new();
            for number in 0..BATCHES {
                batch.append(&numbered(number, 1));
                sender.send(&mut batch).unwrap();
                let ahead = number + 1 - consumed.load(Ordering::SeqCst).min(number + 1);
                assert!(ahead <= DEPTH + 1, "{ahead} batches ahead");
            }
            sender.finish(SessionEnd::default()).unwrap();
        });
        let mut batch = RecordBatch::new();
        for number in 0..BATCHES {
            if number % 50 == 0 {
                thread::sleep(Duration::from_millis(5));
            }
            assert_eq!(source.next(&mut batch, LONG), SourceState::Batch);
            assert_eq!(batch.bytes(), numbered(number, 1).bytes());
            consumed.fetch_add(1, Ordering::SeqCst);
        }
        assert_eq!(source.next(&mut batch, LONG), SourceState::End);
    });
}
