//! Tickets that are not granted what they ask for, once.
use std::fs::File;
use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, fallocate};

use super::super::{
    module,
    scenario::{Amount, Bug, Scenario, Sight},
    work::{LENGTH, Work, dirty, dirty_fails},
};

const DATA: &str = "space.data.bytes_may_use";
const GRANTS: &str = "func=btrfs_try_granting_tickets action=ticket";
/// How much a grant is off, bytes.
const BYTES: i64 = 4096;

/// Length of the longest extents that fill the filesystem, bytes.
const EXTENT: i64 = 32 << 20;

/// A write of an inode waits for a ticket.
const BUG: Bug = Bug {
    kind: "leak",
    account: DATA,
    inode: Some(258),
    amount: Amount::Is(LENGTH as i64),
    stack: "__reserve_bytes",
    origins: true,
    also: &[],
};
const OVER: Bug = Bug { kind: "over-release", also: &[("underflow", DATA)], ..BUG };

const fn scenario(name: &'static str, what: &'static str, work: fn(&Work), bug: Bug) -> Scenario {
    let without = Bug { inode: None, ..bug };
    let tracepoints = Sight::Bounded { bug: without, how: "without the inode" };
    Scenario { name, what, work, functions: Sight::Exact(bug), tracepoints }
}

pub const ALL: &[Scenario] = &[
    scenario("ticket_granted_twice", "a ticket is granted twice", twice, BUG),
    scenario(
        "ticket_granted_more_than_it_asks_for",
        "a ticket is granted more bytes than it asks for",
        more,
        Bug { amount: Amount::Is(BYTES), ..BUG },
    ),
    scenario(
        "ticket_granted_less_than_it_asks_for",
        "a ticket is granted less bytes than it asks for",
        less,
        Bug { amount: Amount::Is(BYTES), ..OVER },
    ),
    scenario(
        "ticket_granted_and_then_failed",
        "a ticket is granted, and its owner gets an error",
        fail,
        Bug { kind: "error-path-leak", ..BUG },
    ),
    Scenario {
        name: "ticket_failed_and_then_granted",
        what: "a ticket has failed, and is granted",
        work: failed,
        functions: Sight::Bounded { bug: FAILED, how: "at the grant, without the owner" },
        tracepoints: Sight::Bounded { bug: FAILED, how: "at the grant, without the owner" },
    },
    scenario(
        "ticket_taken_off_its_list",
        "a ticket is taken off its list, and its owner goes on as if it had been granted",
        drop_off,
        Bug { origins: false, ..OVER },
    ),
];

const FAILED: Bug =
    Bug { kind: "error-path-leak", inode: None, stack: "btrfs_try_granting_tickets", origins: false, ..BUG };

/// All space for data is used, and some of it will be free again at the next commit. A write waits for that.
fn waits(work: &Work, how: &str, writes: fn(&File)) {
    work.mount();
    let all = work.numbered("all", 257);
    let file = work.numbered("file", 258);
    let mut at = 0;
    for step in [EXTENT, 1 << 20, LENGTH as i64] {
        while fallocate(all.as_fd(), FallocateFlags::empty(), at, step).is_ok() {
            at += step;
        }
    }
    work.commit();
    // Takes far less metadata than the end of the file would, so that nobody has to commit for it.
    let hole = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
    fallocate(all.as_fd(), hole, 0, EXTENT).expect("a hole");
    module::arm(&format!("{GRANTS} how={how}"));
    writes(&file);
    work.disarm();
    drop((file, all));
    work.umount();
}

fn succeeds(file: &File) {
    dirty(file, 0);
}

fn fails(file: &File) {
    dirty_fails(file, 0, Errno::ENOSPC as i32);
}

fn twice(work: &Work) {
    waits(work, "twice", succeeds);
}

fn more(work: &Work) {
    waits(work, &format!("bytes by={BYTES}"), succeeds);
}

fn less(work: &Work) {
    waits(work, &format!("bytes by=-{BYTES}"), succeeds);
}

fn fail(work: &Work) {
    waits(work, "fail ret=-28", fails);
}

fn failed(work: &Work) {
    waits(work, "failed ret=-28", fails);
}

fn drop_off(work: &Work) {
    waits(work, "drop", succeeds);
}
