//! Tickets: granted exactly what they ask for, once, and only if their owner gets no error.
use probe_common::{
    loss::LossClass,
    task::MarkerKind,
    ticket::{TICKET_ENDED, TICKET_GRANTED, TICKET_NONE, TICKET_STEAL, TICKET_UNCLEAR, TicketStep},
};
use probe_simulated::{DATA, METADATA};

use super::stream::{FS, Stream};
use crate::vocabulary::finding::{Finding, FindingKind};

const TICKET: u64 = 0xffff_c900_0010_3b50;
const BYTES: u64 = 262_144;
const OWNER: u32 = 200;
const WORKER: u32 = 300;
const SECOND: u64 = 1_000_000_000;

/// The hooks have been on for a second.
fn watched() -> Stream {
    let mut stream = Stream::born();
    stream.time += SECOND;
    stream
}

impl Stream {
    fn granted(&mut self, ticket: u64, moved: u64) -> &mut Self {
        self.granted_as(TicketStep { ticket, bytes: BYTES, moved, ..TicketStep::default() })
    }

    fn granted_as(&mut self, step: TicketStep) -> &mut Self {
        let header = self.by(WORKER).header(FS);
        self.push(TicketStep { header, space_flags: METADATA, step: TICKET_GRANTED, stack: 7, ..step })
    }

    fn ended(&mut self, ticket: u64, error: i32, flags: u32) -> &mut Self {
        let header = self.by(OWNER).header(FS);
        let start = self.time - SECOND / 10;
        self.push(TicketStep {
            header,
            ticket,
            space_flags: METADATA,
            moved: BYTES,
            start,
            error,
            flags,
            root: 256,
            ino: 257,
            step: TICKET_ENDED,
            ..TicketStep::default()
        })
    }

    /// The only finding.
    #[track_caller]
    fn told(&self) -> Finding {
        let findings = self.findings();
        assert_eq!(findings.len(), 1, "{findings:?}");
        findings[0].clone()
    }

    #[track_caller]
    fn tells_nothing(&self) {
        assert_eq!(self.findings(), []);
    }
}

#[test]
fn each_ticket_is_granted_once() {
    let mut stream = watched();
    for _ in 0..3 {
        stream.granted(TICKET, BYTES).ended(TICKET, 0, 0).ended(TICKET, -28, 0);
    }
    stream.ended(TICKET, 0, TICKET_STEAL);
    let reasons = stream.assert_clean().summary(0).verdict_reasons.join("\n");
    assert!(
        reasons.contains("Tickets that were granted what they asked for, or failed and got nothing: 6."),
        "{reasons}"
    );
    assert!(reasons.contains("not known what they were granted: 1."), "{reasons}");
}

#[test]
fn a_ticket_that_is_granted_twice_leaks_its_bytes() {
    let finding = watched().granted(TICKET, BYTES).granted(TICKET, BYTES).ended(TICKET, 0, 0).told();
    let violation = &finding.violation;
    assert_eq!((violation.kind, violation.amount), (FindingKind::Leak, BYTES));
    assert_eq!((violation.tid, violation.root, violation.ino), (OWNER, Some(256), Some(257)));
    assert_eq!(violation.account.name(), "space.metadata.bytes_may_use");
    assert_eq!(violation.origins.len(), 2);
    assert!(violation.explanation.contains("tid 300"), "{}", violation.explanation);
}

#[test]
fn a_ticket_that_is_granted_other_bytes_is_off_by_the_difference() {
    let more = watched().granted(TICKET, BYTES + 4096).ended(TICKET, 0, 0).told();
    assert_eq!((more.violation.kind, more.violation.amount), (FindingKind::Leak, 4096));
    let fewer = watched().granted(TICKET, BYTES - 4096).ended(TICKET, 0, 0).told();
    assert_eq!((fewer.violation.kind, fewer.violation.amount), (FindingKind::OverRelease, 4096));
}

#[test]
fn a_ticket_that_is_granted_and_fails_leaks_on_the_error_path() {
    let finding = watched().granted(TICKET, BYTES).ended(TICKET, -4, 0).told();
    assert_eq!((finding.violation.kind, finding.violation.amount), (FindingKind::ErrorPathLeak, BYTES));
}

#[test]
fn a_ticket_that_has_failed_and_is_granted_is_told_at_the_grant() {
    let failed =
        TicketStep { ticket: TICKET, bytes: BYTES, moved: BYTES, error: -28, ..TicketStep::default() };
    let finding = watched().ended(TICKET, -28, 0).granted_as(failed).told();
    assert_eq!((finding.violation.kind, finding.violation.tid), (FindingKind::ErrorPathLeak, WORKER));
    // Nor does the grant count for the next ticket in that place.
    let finding = watched().granted_as(failed).granted(TICKET, BYTES).ended(TICKET, 0, 0).told();
    assert_eq!(finding.count, 1);
}

#[test]
fn a_ticket_that_leaves_its_list_without_a_grant_owns_nothing() {
    let finding = watched().ended(TICKET, 0, 0).told();
    assert_eq!((finding.violation.kind, finding.violation.amount), (FindingKind::OverRelease, BYTES));
}

#[test]
fn a_grant_without_a_ticket_is_a_leak() {
    let finding = watched().granted(0, BYTES).told();
    assert_eq!((finding.violation.kind, finding.violation.amount), (FindingKind::Leak, BYTES));
}

#[test]
fn bytes_of_tickets_are_not_left_when_nobody_waits() {
    let mut stream = watched();
    let header = stream.header(FS);
    let left =
        TicketStep { space_flags: DATA, reclaim_size: 4096, step: TICKET_NONE, ..TicketStep::default() };
    let finding = stream.push(TicketStep { header, ..left }).told();
    assert_eq!((finding.violation.kind, finding.violation.amount), (FindingKind::CounterMismatch, 4096));
}

#[test]
fn the_global_reserve_may_pay_for_a_ticket_unseen() {
    watched().ended(TICKET, 0, TICKET_STEAL).tells_nothing();
}

#[test]
fn a_grant_that_may_be_of_two_tickets_judges_neither() {
    let other = TICKET + 0x8000;
    let unclear = TicketStep {
        ticket: TICKET,
        other,
        bytes: BYTES,
        moved: BYTES,
        flags: TICKET_UNCLEAR,
        ..TicketStep::default()
    };
    watched().granted_as(unclear).ended(TICKET, 0, 0).ended(other, -28, 0).tells_nothing();
    watched().granted_as(unclear).ended(TICKET, -28, 0).ended(other, 0, 0).tells_nothing();
    // Once it has ended, all is clear again.
    let mut stream = watched();
    stream.granted_as(unclear).ended(TICKET, 0, 0).ended(TICKET, 0, 0);
    assert_eq!(stream.told().count, 1);
}

#[test]
fn an_end_whose_ticket_was_not_found_leaves_all_open_ones_unjudged() {
    let mut stream = watched();
    stream.granted(TICKET, BYTES).ended(0, 0, 0).granted(TICKET, BYTES).ended(TICKET, 0, 0);
    stream.tells_nothing();
    let other = TICKET + 0x8000;
    let mut stream = watched();
    stream.granted(other, BYTES).granted(TICKET, BYTES).ended(0, 0, 0).ended(other, 0, 0).tells_nothing();
}

#[test]
fn a_ticket_queued_before_the_hooks_were_on_may_have_been_granted_before() {
    let mut stream = Stream::born();
    stream.time += SECOND / 20;
    stream.ended(TICKET, 0, 0).tells_nothing();
}

#[test]
fn a_lost_record_may_have_been_a_grant_or_an_end() {
    let mut stream = watched();
    stream.granted(TICKET, BYTES).lose(LossClass::BooksRecord, 1);
    stream.granted(TICKET, BYTES).ended(TICKET, 0, 0).tells_nothing();
    let mut stream = watched();
    stream.lose(LossClass::BooksRecord, 1).ended(TICKET, 0, 0).tells_nothing();
    // A skipped program shows at the next reading of the counters only.
    let mut stream = watched();
    stream.granted(TICKET, BYTES).granted(TICKET, BYTES).ended(TICKET, 0, 0);
    stream.lose(LossClass::Recursion, 1).sample().tells_nothing();
}

#[test]
fn hooks_that_go_leave_no_ticket_without_a_grant() {
    watched().marker(MarkerKind::Detaching).ended(TICKET, 0, 0).tells_nothing();
}

#[test]
fn what_a_ticket_leaked_is_not_told_again_at_unmount() {
    for (granted, error) in [(2, 0), (1, -28)] {
        let mut stream = watched();
        for _ in 0..granted {
            stream.granted(TICKET, BYTES);
        }
        stream.ended(TICKET, error, 0);
        stream.unmount_with(|levels| levels.space[1].may_use = BYTES);
        stream.told();
    }
}
