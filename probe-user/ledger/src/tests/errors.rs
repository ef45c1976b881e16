//! Failed reservations.
use probe_common::{
    failure::{ENOSPC_PUBLISHED, ENOSPC_WINDOW_KNOWN},
    inode::Mod,
    loss::LossClass,
};
use probe_record::record::Record;
use probe_simulated::{DATA, I, M, METADATA, N};

use super::stream::{FS, Stream};
use crate::vocabulary::{failed_reservations::FailedReservations, finding::Confidence};

const X: u64 = 3 * M;
const LEN: u64 = 4096;

fn failed(s: &Stream) -> FailedReservations {
    s.ledger().summary(0).failed
}

fn totals(total: u64, balanced: u64, undecided: u64) -> FailedReservations {
    FailedReservations { total, balanced, undecided, ..FailedReservations::default() }
}

#[test]
fn a_failure_that_gives_its_data_back_is_balanced() {
    let mut s = Stream::born();
    s.enospc(X, LEN).bmu(DATA, -(LEN as i64)).assert_clean();
    assert_eq!(failed(&s), totals(1, 1, 0));
}

#[test]
fn a_ticket_and_its_enospc_are_one_failure() {
    let mut s = Stream::born();
    s.ticket(METADATA, X, -28, LEN).enospc(X, LEN).bmu(DATA, -(LEN as i64)).assert_clean();
    assert_eq!(failed(&s), totals(1, 1, 0));
    // -EINTR fires no `space_info:enospc`, so the next failure is another one.
    let mut s = Stream::born();
    s.ticket(METADATA, X, -4, LEN)
        .bmu(DATA, -(LEN as i64))
        .enospc(X, LEN)
        .bmu(DATA, -(LEN as i64))
        .assert_clean();
    assert_eq!(failed(&s), totals(2, 2, 0));
}

/// Eviction may ask for as many bytes as a write. When it frees the dirty pages of the inode, it can grant data to other
/// tasks: its own task only seems to hold that data.
#[test]
fn an_eviction_that_finds_no_room_is_no_write_that_failed() {
    let mut s = Stream::born();
    s.evict_ticket(5 * M, LEN).enospc(5 * M, LEN).bmu(DATA, -(3 * LEN as i64)).assert_clean();
    assert_eq!(failed(&s), totals(0, 0, 0));
    // The task goes on. Its next failure is its own, even if it asks for as many bytes.
    s.ticket(METADATA, 5 * M, -28, LEN).enospc(5 * M, LEN).bmu(DATA, -(3 * LEN as i64));
    s.assert_one("error-path-over-release", "space.data.bytes_may_use", 2 * LEN);
    assert_eq!(failed(&s), totals(1, 0, 0));
}

#[test]
fn returning_in_parts_adds_up() {
    let mut s = Stream::born();
    s.enospc(X, 3 * LEN).bmu(DATA, -(LEN as i64)).bmu(DATA, -(2 * LEN as i64)).assert_clean();
    assert_eq!(failed(&s), totals(1, 1, 0));
}

#[test]
fn too_much_given_back() {
    let mut s = Stream::born();
    s.enospc(X, LEN).bmu(DATA, -(3 * LEN as i64));
    s.assert_one("error-path-over-release", "space.data.bytes_may_use", 2 * LEN);
    assert_eq!(failed(&s), totals(1, 0, 0));
}

#[test]
fn nothing_given_back_before_the_next_operation() {
    let mut s = Stream::born();
    s.enospc(X, LEN).bmu(DATA, 8192);
    let finding = s.assert_one("error-path-leak", "space.data.bytes_may_use", LEN);
    assert_eq!(finding.task.unwrap().tid, 100);
    let mut s = Stream::born();
    s.enospc(X, 3 * LEN).bmu(DATA, -(LEN as i64)).ticket(DATA, 8192, 0, 0);
    s.assert_one("error-path-leak", "space.data.bytes_may_use", 2 * LEN);
}

#[test]
fn another_thread_is_another_operation() {
    let mut s = Stream::born();
    s.by(1).enospc(X, LEN).by(2).bmu(DATA, 8192).release(257, I);
    s.modification(Mod { ino: 257, modification: 1, ..Mod::default() }).by(1).bmu(DATA, -(LEN as i64));
    assert_eq!(s.assert_clean().summary(0).failed, totals(1, 1, 0));
}

#[test]
fn the_failing_side_releases_metadata() {
    let mut s = Stream::born();
    s.enospc(X, LEN).reserve(300, 0).by(1).enospc(X, LEN).release(257, I).bmu(DATA, -(LEN as i64));
    let findings = s.findings();
    assert_eq!(findings.len(), 1, "{findings:#?}");
    assert_eq!(
        (findings[0].violation.kind.name(), findings[0].violation.account.name()),
        ("error-path-over-release", "inode.meta_rsv")
    );
    assert_eq!(
        (findings[0].amount, findings[0].violation.ino, findings[0].confidence),
        (I, Some(257), Confidence::OneSided)
    );
}

#[test]
fn the_failing_side_undoes_extents_that_it_never_published() {
    let mut s = Stream::born();
    s.enospc(X, LEN)
        .modification(Mod { ino: 257, modification: -2, ..Mod::default() })
        .bmu(DATA, -(LEN as i64));
    s.assert_one("error-path-over-release", "inode.outstanding_extents", 2);
    assert_eq!(failed(&s), totals(1, 0, 0));
}

#[test]
fn the_failing_side_publishes() {
    let mut s = Stream::born();
    s.enospc(X, LEN)
        .modification(Mod { ino: 257, modification: 1, ..Mod::default() })
        .bmu(DATA, -(LEN as i64));
    s.assert_one("publish-before-reserve", "inode.outstanding_extents", 1);
    // Publishes before the reservation fails: the bug of 2012.
    let mut s = Stream::born();
    s.enospc(X, LEN);
    let Some(Record::Enospc(record)) = s.records.last_mut() else { panic!() };
    record.flags = ENOSPC_PUBLISHED | ENOSPC_WINDOW_KNOWN;
    (record.root, record.ino, record.published) = (5, 257, 2);
    s.bmu(DATA, -(LEN as i64));
    let finding = s.assert_one("publish-before-reserve", "inode.outstanding_extents", 2);
    assert_eq!((finding.violation.ino, finding.confidence), (Some(257), Confidence::Exact));
}

#[test]
fn a_published_flag_without_a_known_window_proves_nothing() {
    let mut s = Stream::born();
    s.enospc(X, LEN);
    let Some(Record::Enospc(record)) = s.records.last_mut() else { panic!() };
    (record.flags, record.published, record.ino) = (ENOSPC_PUBLISHED, 2, 257);
    s.bmu(DATA, -(LEN as i64)).assert_clean();
    assert_eq!(failed(&s), totals(1, 0, 1));
}

#[test]
fn without_data_nothing_is_followed() {
    let mut s = Stream::born();
    s.enospc(X, 0)
        .modification(Mod { ino: 257, modification: 1, ..Mod::default() })
        .reserve(257, X)
        .release(257, X);
    s.assert_clean();
    assert_eq!(failed(&s), totals(1, 0, 1));
}

#[test]
fn a_task_that_is_granted_metadata_is_past_its_failure() {
    let mut s = Stream::born();
    s.enospc(X, LEN).bmu(METADATA, X as i64).modification(Mod {
        ino: 257,
        modification: 1,
        ..Mod::default()
    });
    s.reserve(257, X).release(257, X).assert_clean();
    assert_eq!(failed(&s), totals(1, 0, 1));
}

#[test]
fn only_delalloc_requests_count() {
    let mut s = Stream::born();
    for bytes in [N, M, 2 * M, 4 * M, X + N, 3 * I] {
        s.enospc(bytes, LEN).bmu(DATA, LEN as i64);
    }
    s.assert_clean();
    assert_eq!(failed(&s), totals(0, 0, 0));
    for bytes in [3 * M, 5 * M, I * 400 + M] {
        s.enospc(bytes, LEN).bmu(DATA, -(LEN as i64));
    }
    assert_eq!(failed(&s), totals(3, 3, 0));
}

#[test]
fn data_requests_that_fail_took_nothing() {
    let mut s = Stream::born();
    s.enospc(X, LEN);
    let Some(Record::Enospc(record)) = s.records.last_mut() else { panic!() };
    record.space_flags = DATA;
    s.bmu(DATA, LEN as i64).assert_clean();
    assert_eq!(failed(&s), totals(0, 0, 0));
}

#[test]
fn ends_that_are_not_seen_are_undecided() {
    let mut s = Stream::born();
    s.task_seen(1, 1, "a").by(1).enospc(X, LEN).task_seen(1, 2, "b").bmu(DATA, LEN as i64).assert_clean();
    assert_eq!(failed(&s), totals(1, 0, 1));
    let mut s = Stream::born();
    s.enospc(X, LEN).assert_clean();
    assert_eq!(failed(&s), totals(1, 0, 1));
    let mut s = Stream::born();
    s.enospc(X, LEN).lose(LossClass::BooksRecord, 1).bmu(DATA, LEN as i64).sample().assert_silent();
    assert_eq!(failed(&s), totals(1, 0, 1));
}

#[test]
fn before_all_hooks_are_attached_nothing_is_decided() {
    let mut s = Stream { tid: 1, ..Stream::default() };
    s.birth(FS).enospc(X, LEN).bmu(DATA, LEN as i64).assert_silent();
    assert_eq!(failed(&s), totals(1, 0, 1));
}

#[test]
fn taking_back_what_was_published_is_not_a_second_fault() {
    let mut s = Stream::born();
    s.enospc(3 * M, 4096);
    let Some(Record::Enospc(record)) = s.records.last_mut() else { panic!("no failure") };
    record.flags |= ENOSPC_PUBLISHED;
    (record.root, record.ino, record.published) = (super::stream::ROOT, 257, 1);
    let undo = Mod { ino: 257, modification: -1, ..Mod::default() };
    s.modification(undo).bmu(DATA, -4096);
    s.assert_one("publish-before-reserve", "inode.outstanding_extents", 1);
    // To take back more than it had published is a violation.
    s.enospc(3 * M, 4096).modification(undo).bmu(DATA, -4096);
    assert_eq!(s.findings().len(), 2);
}
