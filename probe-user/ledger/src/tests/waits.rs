//! Reservations that wait, how they end, and what is flushed for them.
use probe_common::{
    failure::Ticket,
    header::Header,
    task::TaskSeen,
    wait::{
        FLUSH_BEGINS, FLUSH_STATE_DONE, FOUND_DATA, FOUND_OWNER, FlushState, STACK_TEXT, ThreadFound,
        ThreadStack, WAITING_PRIORITY, WAITING_STEAL, WaitRound, Waiting,
    },
};
use probe_record::record::Record;
use probe_simulated::{DATA, METADATA};

use super::stream::FS;
use crate::{
    FsWaits, Ledger, Setup,
    vocabulary::waits::{WaitOutcome, WorkerKind},
};

const MS: u64 = 1_000_000;
const TICKET: u64 = 0xffff_c900_0010_0e80;
const MIB: u64 = 1 << 20;

/// A stream whose times are given.
#[derive(Default)]
struct Told(Vec<Record>);

impl Told {
    fn header(ms: u64, tid: u32) -> Header {
        Header { fs: FS, tid, time: ms * MS, ..Header::default() }
    }

    fn waiting(mut self, ms: u64, round: u32, waiting: Waiting) -> Self {
        let waiting = Waiting { header: Self::header(ms, 9), round, ..waiting };
        self.0.push(waiting.into());
        self
    }

    fn round(mut self, ms: u64, round: u32, waiting: u32) -> Self {
        let before = (ms - 250) * MS;
        let header = Self::header(ms, 0);
        self.0.push(WaitRound { header, round, waiting, before, complete: 1, reserved: 0 }.into());
        self
    }

    fn ticket(mut self, ms: u64, tid: u32, start: u64, error: i32) -> Self {
        self.0.push(
            Ticket {
                header: Self::header(ms, tid),
                space_flags: DATA,
                bytes: MIB,
                start: start * MS,
                flush: 3,
                error,
                ended: ms * MS + 5,
                ..Ticket::default()
            }
            .into(),
        );
        self
    }

    fn task(mut self, tid: u32, name: &str) -> Self {
        self.0
            .push(TaskSeen { header: Self::header(1, tid), pid: tid, reserved: 0, comm: comm(name) }.into());
        self
    }

    fn flush(mut self, ms: u64, tid: u32, step: FlushState) -> Self {
        self.0.push(
            FlushState { header: Self::header(ms, tid), at: ms * MS, space_flags: DATA, ..step }.into(),
        );
        self
    }

    fn push(mut self, record: impl Into<Record>) -> Self {
        self.0.push(record.into());
        self
    }

    fn waits(self) -> FsWaits {
        let mut ledger = Ledger::new(Setup::default());
        for record in &self.0 {
            ledger.apply(record);
        }
        ledger.waits(FS).unwrap().1
    }
}

fn comm(name: &str) -> [u8; 16] {
    let mut comm = [0; 16];
    comm[..name.len()].copy_from_slice(name.as_bytes());
    comm
}

fn dd() -> Waiting {
    Waiting {
        ticket: TICKET,
        space_flags: DATA,
        bytes: MIB,
        tid: 40,
        pid: 40,
        comm: comm("dd"),
        ..Waiting::default()
    }
}

#[test]
fn a_ticket_waits_from_the_first_walk_that_meets_it() {
    let waits = Told::default()
        .waiting(1000, 4, dd())
        .round(1001, 4, 1)
        .waiting(1250, 5, dd())
        .round(1251, 5, 1)
        .waits();
    let [ticket] = waits.waiting.as_slice() else { panic!("{waits:?}") };
    assert_eq!((ticket.seen, ticket.age()), ((1000 * MS, 1251 * MS), 251 * MS));
    assert_eq!((ticket.not_before, ticket.flush, ticket.priority), (751 * MS, 3, false));
    assert_eq!(ticket.task.as_ref().map(|task| task.comm.as_str()), Some("dd"));
    assert_eq!((waits.counted, waits.walked), (1, 1251 * MS));
}

/// One that waited already at the first walk of a session was said to have waited at most since then.
#[test]
fn one_that_the_first_walk_meets_may_have_waited_for_ever() {
    let mut told =
        Told::default().waiting(1000, 4, dd()).round(1001, 4, 1).waiting(1250, 5, dd()).round(1251, 5, 1);
    if let Some(Record::WaitRound(round)) = told.0.get_mut(1) {
        round.before = 0;
    }
    assert_eq!(told.waits().waiting[0].not_before, 0);
}

#[test]
fn its_outcome_ends_the_wait_with_the_exact_length() {
    let waits = Told::default().waiting(1000, 4, dd()).round(1001, 4, 1).ticket(7000, 40, 900, -28).waits();
    assert!(waits.waiting.is_empty());
    let [wait] = waits.longest.as_slice() else { panic!("{waits:?}") };
    assert_eq!((wait.outcome, wait.waited, wait.at_least), (WaitOutcome::Failed(28), 6100 * MS + 5, false));
    assert_eq!((wait.ticket.ticket, wait.ticket.seen.0), (TICKET, 1000 * MS));
    assert_eq!((waits.times.count, waits.times.max), (1, 6100 * MS + 5));
    assert_eq!((waits.tasks[0].count, waits.tasks[0].failed, waits.tasks[0].task.tid), (1, 1, 40));
}

/// The wait of an eviction was said to be of the inode that the task had written to before.
#[test]
fn the_inode_that_a_task_last_published_for_is_not_that_of_its_wait() {
    let mut told = Told::default().ticket(7000, 40, 900, 0);
    for record in &mut told.0 {
        if let Record::Ticket(ticket) = record {
            (ticket.root, ticket.ino) = (5, 458);
        }
    }
    assert_eq!(told.waits().longest[0].ticket.ino, 0);
}

#[test]
fn one_that_began_before_the_session_waits_at_least_since_it_was_seen() {
    let waits = Told::default().waiting(1000, 4, dd()).round(1001, 4, 1).ticket(7000, 40, 0, 0).waits();
    assert_eq!((waits.longest[0].waited, waits.longest[0].at_least), (6000 * MS + 5, true));
    assert_eq!((waits.times.count, waits.times.unmeasured), (0, 1));
}

#[test]
fn one_that_is_not_listed_any_more_waits_for_its_outcome_and_is_then_given_up() {
    let gone = || {
        Told::default()
            .waiting(1000, 4, dd())
            .round(1001, 4, 1)
            .waiting(1250, 5, dd())
            .round(1251, 5, 1)
            .round(1500, 6, 0)
    };
    assert!(gone().waits().waiting.is_empty() && gone().waits().longest.is_empty());
    let seen = gone().ticket(1600, 40, 900, 0).waits();
    assert_eq!((seen.longest[0].outcome, seen.longest.len()), (WaitOutcome::Granted, 1));
    let lost = gone().round(9000, 7, 0).waits();
    assert_eq!((lost.longest[0].outcome, lost.longest[0].waited), (WaitOutcome::NotSeen, 251 * MS));
    assert!(lost.longest[0].at_least);
}

#[test]
fn the_list_and_the_right_to_steal_tell_the_level() {
    let of = |flags, space_flags| {
        let waiting = Waiting { flags, space_flags, tid: 0, ..dd() };
        Told::default().waiting(1000, 4, waiting).waits().waiting[0].flush
    };
    let (priority, steal) = (WAITING_PRIORITY, WAITING_STEAL);
    assert_eq!([of(0, DATA), of(priority, DATA)], [3, 4]);
    assert_eq!(
        [of(0, METADATA), of(steal, METADATA), of(priority, METADATA), of(priority | steal, METADATA)],
        [5, 6, 1, 2]
    );
    // Mixed.
    assert_eq!(of(0, DATA | METADATA), 5);
}

#[test]
fn a_task_that_flushes_for_itself_is_found_by_its_stack() {
    let waiting = Waiting { tid: 0, pid: 0, comm: [0; 16], flags: WAITING_PRIORITY, ..dd() };
    let header = Told::header(2300, 9);
    let found = ThreadFound {
        header,
        what: FOUND_OWNER,
        tid: 41,
        pid: 41,
        reserved: 0,
        ticket: TICKET,
        comm: comm("rm"),
    };
    let told = || Told::default().waiting(1000, 4, waiting).push(found).waiting(2350, 9, waiting);
    let waits = told().waits();
    assert_eq!(waits.waiting[0].task.as_ref().map(|task| task.tid), Some(41));
    assert_eq!(waits.waiting[0].age(), 1350 * MS);
}

#[test]
fn what_worker_and_task_do_is_known_while_it_waits() {
    let place = |what, tid, names: &str| {
        let mut text = [0; STACK_TEXT];
        text[..names.len()].copy_from_slice(names.as_bytes());
        ThreadStack {
            header: Told::header(2300, tid),
            what,
            reserved: 0,
            ino: u64::from(what == 0) * 257,
            text,
        }
    };
    let found = ThreadFound {
        header: Told::header(2300, 9),
        what: FOUND_DATA,
        tid: 77,
        pid: 77,
        reserved: 0,
        ticket: 0,
        comm: comm("kworker/u4:1"),
    };
    let told = || {
        Told::default()
            .waiting(1000, 4, dd())
            .round(1001, 4, 1)
            .push(found)
            .push(place(FOUND_DATA, 77, "schedule\nbtrfs_commit_transaction\n"))
            .push(place(0, 40, "handle_reserve_ticket\nbtrfs_buffered_write\n"))
    };
    let waits = told().waits();
    let [worker] = waits.workers.as_slice() else { panic!("{waits:?}") };
    assert_eq!((worker.kind, worker.task.tid), (WorkerKind::Data, 77));
    assert_eq!(worker.place.stack, ["schedule", "btrfs_commit_transaction"]);
    assert_eq!((waits.waiting[0].ino, waits.waiting[0].place.stack.len()), (257, 2));
    // While it runs it has no stack: where it slept stays. Another worker was not there.
    let runs =
        told().push(ThreadFound { header: Told::header(2400, 9), ..found }).push(place(FOUND_DATA, 77, ""));
    let place_of = |told: Told| told.waits().workers[0].place.clone();
    assert_eq!(place_of(runs).stack, ["schedule", "btrfs_commit_transaction"]);
    assert!(place_of(told().push(ThreadFound { tid: 78, pid: 78, ..found })).stack.is_empty());
    // It is told with the wait that is over.
    let over = told().ticket(7000, 40, 900, 0).waits();
    assert_eq!(over.longest[0].worker.as_ref().map(|worker| worker.task.tid), Some(77));
    assert!(over.workers.is_empty());
}

#[test]
fn a_state_runs_from_the_end_of_the_one_before() {
    let begins =
        FlushState { moment: FLUSH_BEGINS, bytes: MIB, reclaim_size: 3 * MIB, ..FlushState::default() };
    let done = |state, ret, reclaim_size| FlushState {
        moment: FLUSH_STATE_DONE,
        state,
        ret,
        bytes: 3 * MIB,
        reclaim_size,
        ..FlushState::default()
    };
    let waits = Told::default()
        .task(77, "kworker/u4:1")
        .task(50, "rm")
        .flush(1000, 40, begins)
        // A task that flushes for itself does not end what the worker has begun.
        .flush(1010, 50, done(5, 0, 3 * MIB))
        .flush(1100, 77, done(5, 0, 2 * MIB))
        .flush(1600, 77, done(11, -28, 0))
        .flush(9000, 40, begins)
        .flush(9100, 77, done(5, 0, u64::MAX))
        .waits();
    let row = |state| waits.flushes.iter().find(|row| row.state == state).unwrap();
    let (delalloc, commit) = (row(5), row(11));
    assert_eq!((delalloc.calls, delalloc.timed, delalloc.time), (3, 2, 200 * MS));
    assert_eq!((delalloc.asked, delalloc.won, delalloc.won_known), (9 * MIB, MIB, 1));
    assert_eq!((commit.calls, commit.errors, commit.last_error), (1, 1, 28));
    assert_eq!((commit.time, commit.longest, commit.won), (500 * MS, 500 * MS, 2 * MIB));
    assert_eq!(waits.runs[0].for_tickets, 2);
}

#[test]
fn all_that_can_be_had_is_no_number_of_bytes() {
    let done = FlushState { moment: FLUSH_STATE_DONE, state: 8, bytes: u64::MAX, ..FlushState::default() };
    let waits = Told::default().flush(1000, 77, done).flush(1001, 77, done).waits();
    assert_eq!((waits.flushes[0].asked, waits.flushes[0].asked_all, waits.flushes[0].calls), (0, 2, 2));
}
