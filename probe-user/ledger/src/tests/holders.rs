//! Who holds the pools: the rows add up, and what is not known is attributed to nobody.
use std::{collections::BTreeMap, fmt::Write as _};

use probe_common::{
    claim::{CLAIM_RESERVE, Claim, ClaimType, RsvType},
    fs::{AuditMark, LEVELS_AUDIT, LEVELS_COMMIT, LOOK_BEGIN, LOOK_END, Rsv},
    hook::HookId,
    inode::{COUNTERS_NOT_REGULAR, COUNTERS_VALID, Counters, DELALLOC_RESERVE, MOMENT_AUDIT},
    loss::LossClass,
    task::MarkerKind,
    ticket::{TICKET_ENDED, TICKET_GRANTED, TicketStep},
};
use probe_record::record::Record;
use probe_simulated::{DATA, M, METADATA};

use super::{
    recorded::{RECORDED, read},
    stream::{FS, ROOT, Stream},
};
use crate::{
    ledger::Ledger,
    vocabulary::{
        account::Account,
        holders::{Holder, InodesRead, PoolHolders, SpaceHolders},
        setup::Setup,
    },
};

const GLOBAL: (Holder, i64) = (Holder::Rsv(Account::FsGlobalRsv), 5_767_168);

fn inode(account: Account, ino: u64) -> Holder {
    Holder::Inode { account, root: ROOT, ino }
}

fn dirty(reserved: u64, delalloc_bytes: u64) -> Counters {
    let outstanding_extents = 1;
    Counters {
        reserved,
        size: reserved,
        delalloc_bytes,
        outstanding_extents,
        flags: COUNTERS_VALID,
        ..Counters::default()
    }
}

impl Stream {
    fn holders(&self) -> PoolHolders {
        *self.ledger().pools().pop().unwrap().holders.unwrap()
    }

    fn metadata(&self) -> SpaceHolders {
        self.holders().spaces[1].clone()
    }

    fn data(&self) -> SpaceHolders {
        self.holders().spaces[0].clone()
    }

    /// A look: two marks with these links, and the inodes' counters between them.
    fn look(&mut self, links: (u64, u64), data: u64, inodes: &[(u64, Counters)]) -> &mut Self {
        let header = self.header(FS);
        self.push(AuditMark { header, phase: LOOK_BEGIN, round: 0, links: links.0 });
        self.levels(LEVELS_AUDIT, |levels| levels.space[0].may_use = data);
        for (ino, counters) in inodes {
            let record = self.state(*ino, MOMENT_AUDIT, *counters);
            self.push(record);
        }
        let header = self.header(FS);
        self.push(AuditMark { header, phase: LOOK_END, round: 0, links: links.1 })
    }
}

fn add_up(holders: &PoolHolders) {
    for space in &holders.spaces {
        let sum: i64 = space.rows.iter().map(|(_, bytes)| bytes).sum();
        assert_eq!(sum + space.rest, space.may_use as i64, "{holders:?}");
        assert!(space.rows.iter().all(|(_, bytes)| *bytes != 0), "{holders:?}");
        assert!(space.rows.is_sorted_by_key(|(_, bytes)| -bytes), "{holders:?}");
    }
}

/// The table shows in how many snapshots every byte is attributed, and the most that is not, in either direction.
#[test]
fn holders_add_up_to_may_use_in_every_snapshot_of_every_recording() {
    let functions = read("functions");
    let mut table = String::new();
    for recorded in RECORDED.iter().chain([&functions]) {
        let mut setup =
            if recorded.name == "functions" { super::calls::functions() } else { Setup::default() };
        // It is from before the session followed what becomes of data.
        setup.attached.retain(|hook| *hook != HookId::SetDelallocExtent);
        let mut ledger = Ledger::new(setup);
        let mut seen: BTreeMap<(u64, &str), (u32, u32, i64, i64)> = BTreeMap::new();
        for record in &recorded.records {
            ledger.apply(record);
            if !matches!(record, Record::Levels(_) | Record::AuditMark(_)) {
                continue;
            }
            let fs = ledger.pools().into_iter().find(|fs| fs.fs == record.header().fs).unwrap();
            let Some(holders) = fs.holders else { continue };
            add_up(&holders);
            let levels = fs.levels.unwrap();
            let same = levels.header.time == holders.time;
            assert!(same || holders.inodes != InodesRead::Books, "{}", recorded.name);
            for (space, levels) in holders.spaces.iter().zip(levels.space) {
                assert!(!same || (space.flags, space.may_use) == (levels.flags, levels.may_use));
                let read = if holders.inodes == InodesRead::Books { "books" } else { "audited" };
                let (all, exact, most, least) = seen.entry((space.flags & 7, read)).or_default();
                (*all, *exact) = (*all + 1, *exact + u32::from(space.rest == 0));
                (*most, *least) = ((*most).max(space.rest), (*least).min(space.rest));
            }
        }
        for ((flags, read), (all, exact, most, least)) in seen {
            let name = ["", "data", "system", "", "metadata", "mixed"][flags as usize];
            writeln!(
                table,
                "{} {name} {read}: {exact} of {all} exact, rest {least} to {most}",
                recorded.name
            )
            .unwrap();
        }
    }
    insta::assert_snapshot!(table);
}

#[test]
fn metadata_is_what_the_block_rsvs_hold() {
    let mut s = Stream::born();
    s.reserve(257, 3 * M).reserve(258, 5 * M).levels(LEVELS_COMMIT, |levels| {
        levels.global.reserved = 5_767_168;
        levels.trans = Rsv { size: 2 * M, reserved: 2 * M };
        levels.space[1].may_use = 5_767_168 + 11 * M;
    });
    let metadata = s.metadata();
    let rows = [
        GLOBAL,
        (inode(Account::InodeMetaRsv, 258), 5 * M as i64),
        (inode(Account::InodeMetaRsv, 257), 3 * M as i64),
        (Holder::Rsv(Account::TransRsv), 2 * M as i64),
    ];
    assert_eq!((metadata.rows.as_slice(), metadata.rest), (&rows[..], M as i64));
    assert_eq!(s.holders().inodes, InodesRead::Books);
}

/// Most inodes hold little: the list names those that matter.
#[test]
fn few_inodes_are_named_and_the_others_summed() {
    let mut s = Stream::born();
    for number in 1..=100 {
        s.reserve(256 + number, number * M);
    }
    s.levels(LEVELS_COMMIT, |levels| levels.space[1].may_use = 5050 * M);
    let metadata = s.metadata();
    let others = (Holder::Inodes { account: Account::InodeMetaRsv, count: 95 }, 95 * 48 * M as i64);
    assert_eq!(metadata.rows[0], others);
    let named: Vec<i64> = metadata.rows[1..].iter().map(|(_, bytes)| bytes / M as i64).collect();
    assert_eq!((named.as_slice(), metadata.rest), (&[100, 99, 98, 97, 96][..], 0));
}

#[test]
fn data_is_what_is_dirty_at_the_moment_of_an_audit() {
    let mut s = Stream::born();
    let directory = Counters { flags: COUNTERS_VALID | COUNTERS_NOT_REGULAR, ..dirty(0, 99) };
    s.reserve(257, 3 * M).reserve(258, M);
    s.audit_with(7, &[(257, dirty(3 * M, 8 << 20)), (258, dirty(M, 4096)), (259, directory)], |levels| {
        levels.space[0].may_use = (8 << 20) + 4096;
        levels.space[1].may_use += 4 * M;
    });
    let rows =
        [(inode(Account::InodeDelallocBytes, 257), 8 << 20), (inode(Account::InodeDelallocBytes, 258), 4096)];
    assert_eq!((s.data().rows.as_slice(), s.data().rest), (&rows[..], 0));
    assert_eq!((s.metadata().rest, s.holders().inodes), (0, InodesRead::Quiet));
    // What was dirty then is not what is dirty at a later commit.
    s.wait(3_000_000_000).levels(LEVELS_COMMIT, |levels| levels.space[0].may_use = 4096);
    assert_eq!((s.data().rows.as_slice(), s.data().rest), (&[][..], 4096));
}

/// The level of a pool is not mixed with what inodes held a moment later.
#[test]
fn an_audit_of_a_moving_filesystem_says_so() {
    let mut s = Stream::born();
    s.reserve(257, 3 * M);
    s.push(AuditMark { header: s.clone().header(FS), phase: 0, round: 1, links: 7 });
    s.levels(LEVELS_AUDIT, |levels| {
        levels.space[0].may_use = 4096;
        levels.space[1].may_use += 3 * M;
    });
    s.reserve(257, 3 * M);
    let record = s.state(257, MOMENT_AUDIT, dirty(6 * M, 8192));
    s.push(record);
    s.push(AuditMark { header: s.clone().header(FS), phase: 1, round: 1, links: 9 });
    assert_eq!(s.holders().inodes, InodesRead::Moving);
    let metadata = s.metadata();
    assert_eq!(metadata.rows, [GLOBAL, (inode(Account::InodeMetaRsv, 257), 3 * M as i64)]);
    assert_eq!((metadata.rest, s.data().rest), (0, -4096));
    add_up(&s.holders());
}

/// A look shows holders; the rules of audits judge nothing of it.
#[test]
fn a_look_is_not_judged() {
    let mut s = Stream::born();
    let left = Counters { outstanding_extents: 0, ..dirty(3 * M, 0) };
    s.reserve(257, 3 * M);
    for _ in 0..4 {
        s.look((7, 7), 0, &[(257, left)]);
    }
    s.assert_clean();
    s.look((7, 7), 8192, &[(257, dirty(3 * M, 8192))]);
    assert_eq!(s.data().rows, [(inode(Account::InodeDelallocBytes, 257), 8192)]);
    s.look((7, 8), 8192, &[(257, dirty(3 * M, 8192))]);
    assert_eq!(s.holders().inodes, InodesRead::Moving);
}

/// A look in the middle of an audit, or of what is left of one, is a thing of its own.
#[test]
fn an_audit_around_a_look_is_still_an_audit() {
    let leak = Counters { outstanding_extents: 0, ..dirty(3 * M, 0) };
    let mut s = Stream::born();
    s.reserve(257, 3 * M).audit(7, &[(257, leak)]).look((7, 7), 0, &[(257, leak)]).audit(7, &[(257, leak)]);
    s.assert_one("leak", "inode.meta_rsv", 3 * M);
}

#[test]
fn a_granted_ticket_holds_until_its_owner_goes_on() {
    let mut s = Stream::born();
    let step =
        TicketStep { ticket: 0x3b50, bytes: M, moved: M, space_flags: METADATA, ..TicketStep::default() };
    let header = s.header(FS);
    s.push(TicketStep { header, step: TICKET_GRANTED, ..step });
    s.levels(LEVELS_AUDIT, |levels| levels.space[1].may_use += M);
    assert_eq!(s.metadata().rows[1], (Holder::Tickets { count: 1 }, M as i64));
    assert_eq!((s.metadata().rest, s.data().rows.len()), (0, 0));
    let header = s.header(FS);
    s.push(TicketStep { header, step: TICKET_ENDED, ..step });
    s.levels(LEVELS_AUDIT, |levels| levels.space[1].may_use += M);
    assert_eq!((s.metadata().rows.as_slice(), s.metadata().rest), (&[GLOBAL][..], M as i64));
}

/// What is left of a handle's own block_rsv for delayed refs is not known, so its claim is said and not attributed.
#[test]
fn the_claim_of_a_handle_for_delayed_refs_is_part_of_the_rest() {
    let mut s = Stream::born();
    let header = s.header(FS);
    s.push(Claim {
        header,
        claim: ClaimType::LocalDelayedRefs as u32,
        payer: RsvType::DelayedRefs as u32,
        bytes: 2 * M,
        flags: CLAIM_RESERVE,
        ..Claim::default()
    });
    s.levels(LEVELS_AUDIT, |levels| levels.space[1].may_use += M);
    assert_eq!((s.metadata().handles, s.metadata().rest), ((1, 2 * M as i64), M as i64));
}

/// A recording that had lost records showed inodes that held 15 MiB more than the pool.
#[test]
fn after_a_loss_nothing_is_attributed_by_an_old_figure() {
    let mut s = Stream::attached();
    let mut record = s.seen(FS, 0).delalloc(257, 3 * M, DELALLOC_RESERVE);
    record.counters = dirty(3 * M, 0);
    s.push(record);
    s.levels(LEVELS_AUDIT, |levels| levels.space[1].may_use += 3 * M);
    assert_eq!(s.metadata().rest, 0);
    s.lose(LossClass::BooksRecord, 1).levels(LEVELS_AUDIT, |levels| levels.space[1].may_use += M);
    assert_eq!((s.metadata().rows.as_slice(), s.metadata().rest), (&[GLOBAL][..], M as i64));
}

#[test]
fn nobody_holds_a_filesystem_that_is_gone() {
    let mut s = Stream::born();
    s.reserve(257, M).levels(LEVELS_COMMIT, |levels| levels.space[1].may_use = M);
    add_up(&s.holders());
    s.release(257, M).destroy(257).unmount();
    assert_eq!(s.ledger().pools()[0].holders, None);
}

#[test]
fn while_hooks_are_detached_the_last_holders_stay() {
    let mut s = Stream::born();
    s.levels(LEVELS_AUDIT, |_| {});
    let before = s.holders();
    s.marker(MarkerKind::Detaching).levels(LEVELS_AUDIT, |levels| levels.space[0].may_use = 1);
    assert_eq!(s.holders(), before);
    assert_eq!(before.spaces.iter().map(|space| space.flags).collect::<Vec<_>>(), [DATA, METADATA, 2]);
}
