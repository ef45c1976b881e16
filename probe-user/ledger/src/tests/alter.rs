//! One wrong transfer in an otherwise correct stream, simulated or recorded.
//!
//! Each alteration takes the position of a record and returns what the ledger must find.
use probe_common::{
    failure::{ENOSPC_PUBLISHED, ENOSPC_WINDOW_KNOWN},
    fs::LEVELS_UNMOUNT,
    inode::{DELALLOC_ORDER_KNOWN, DELALLOC_RESERVE, DELALLOC_ROOT_KNOWN, Delalloc, MOMENT_DESTROY, Mod},
};
use probe_record::record::Record;

use crate::vocabulary::{
    account::{Account, SpaceCounter},
    finding::{Finding, FindingKind},
};

/// What the ledger must find: kind, account, filesystem, subvolume and inode, amount.
pub type Expected = (FindingKind, Account, u32, Option<(u64, u64)>, u64);

/// Positions of reserves and releases whose inode is closed later in the stream.
pub fn positions(records: &[Record], reserve: bool) -> Vec<usize> {
    let wanted = |record: &Record| match record {
        Record::Delalloc(d) => {
            d.flags & DELALLOC_ROOT_KNOWN != 0 && (d.flags & DELALLOC_RESERVE != 0) == reserve
        }
        _ => false,
    };
    let positions =
        records.iter().enumerate().filter(|(_, record)| wanted(record)).map(|(position, _)| position);
    positions.filter(|position| closes_later(records, *position)).collect()
}

fn closes_later(records: &[Record], position: usize) -> bool {
    let of = delalloc(records, position);
    records[position..].iter().any(|record| match record {
        Record::InodeState(s) => {
            s.moment == MOMENT_DESTROY && (s.header.fs, s.root, s.ino) == (of.header.fs, of.root, of.ino)
        }
        _ => false,
    })
}

pub fn delalloc(records: &[Record], position: usize) -> Delalloc {
    match records[position] {
        Record::Delalloc(d) => d,
        other => panic!("{other:?} is no reserve or release"),
    }
}

fn of_inode(kind: FindingKind, account: Account, of: &Delalloc, amount: u64) -> Expected {
    (kind, account, of.header.fs, Some((of.root, of.ino)), amount)
}

/// Drops a reserve, so that its bytes are released without having been reserved.
pub fn drop_reserve(records: &mut Vec<Record>, position: usize) -> Expected {
    let of = delalloc(records, position);
    records.remove(position);
    of_inode(FindingKind::OverRelease, Account::InodeMetaRsv, &of, of.bytes)
}

/// Drops a release.
pub fn drop_release(records: &mut Vec<Record>, position: usize) -> Expected {
    let of = delalloc(records, position);
    records.remove(position);
    of_inode(FindingKind::Leak, Account::InodeMetaRsv, &of, of.bytes)
}

/// Releases the same bytes twice.
pub fn double_release(records: &mut Vec<Record>, position: usize) -> Expected {
    let of = delalloc(records, position);
    records.insert(position, Record::Delalloc(of));
    of_inode(FindingKind::OverRelease, Account::InodeMetaRsv, &of, of.bytes)
}

/// Books a release on another inode of the filesystem. That inode releases what it never reserved, and the true owner keeps
/// what it reserved. Two findings, one per owner: sums alone do not distinguish this from two independent bugs of equal
/// size, so the ledger does not merge them.
pub fn swap_owner(records: &mut [Record], position: usize, other: &Delalloc) -> [Expected; 2] {
    let of = delalloc(records, position);
    if let Record::Delalloc(d) = &mut records[position] {
        (d.root, d.ino) = (other.root, other.ino);
    }
    [
        of_inode(FindingKind::OverRelease, Account::InodeMetaRsv, other, of.bytes),
        of_inode(FindingKind::Leak, Account::InodeMetaRsv, &of, of.bytes),
    ]
}

/// A record shows more bytes than the kernel released or reserved.
pub fn shift(records: &mut [Record], position: usize, by: u64) -> Expected {
    let of = delalloc(records, position);
    if let Record::Delalloc(d) = &mut records[position] {
        d.bytes += by;
        if d.fund_before != 0 {
            d.fund_before += by;
        }
    }
    let kind = if of.flags & DELALLOC_RESERVE != 0 { FindingKind::Leak } else { FindingKind::OverRelease };
    of_inode(kind, Account::InodeMetaRsv, &of, by)
}

/// Publishes first and is granted the bytes after.
pub fn publish_first(records: &mut [Record], position: usize) -> Expected {
    let of = delalloc(records, position);
    if let Record::Delalloc(d) = &mut records[position] {
        d.flags |= DELALLOC_ORDER_KNOWN;
        (d.fund_before, d.fund_after) = (0, d.bytes);
    }
    let extents = u64::from(of.published.unsigned_abs());
    of_inode(FindingKind::PublishBeforeReserve, Account::InodeOutstandingExtents, &of, extents)
}

/// Positions of destroys.
pub fn destroys(records: &[Record]) -> Vec<usize> {
    let wanted = |record: &Record| matches!(record, Record::InodeState(s) if s.moment == MOMENT_DESTROY);
    records.iter().enumerate().filter(|(_, record)| wanted(record)).map(|(position, _)| position).collect()
}

/// The kernel's counter is not zero at the destroy.
pub fn leftover_at_destroy(records: &mut [Record], position: usize, bytes: u64) -> Expected {
    let Record::InodeState(state) = &mut records[position] else { panic!("no destroy") };
    state.counters.reserved += bytes;
    (FindingKind::Leak, Account::InodeMetaRsv, state.header.fs, Some((state.root, state.ino)), bytes)
}

/// Positions of the final levels.
pub fn unmounts(records: &[Record]) -> Vec<usize> {
    let wanted = |record: &Record| matches!(record, Record::Levels(l) if l.why == LEVELS_UNMOUNT);
    records.iter().enumerate().filter(|(_, record)| wanted(record)).map(|(position, _)| position).collect()
}

/// Metadata bytes are left at unmount, after everything was released.
pub fn leftover_at_unmount(records: &mut [Record], position: usize, bytes: u64) -> Expected {
    let Record::Levels(levels) = &mut records[position] else { panic!("no levels") };
    let space = levels.space.iter_mut().find(|space| space.flags & 4 != 0).unwrap();
    space.may_use += bytes;
    (FindingKind::Leak, Account::SpaceMetadata(SpaceCounter::BytesMayUse), levels.header.fs, None, bytes)
}

/// Positions of failed reservations and of the records that give their data back.
pub fn failures(records: &[Record]) -> Vec<(usize, usize)> {
    let enospc = |(position, record): (usize, &Record)| match record {
        Record::Enospc(e) if e.data_held > 0 && e.flags & ENOSPC_WINDOW_KNOWN != 0 => {
            Some((position, e.header.tid))
        }
        _ => None,
    };
    let undo = |(position, tid): (usize, u32)| {
        let rest =
            records.iter().enumerate().skip(position + 1).find(|(_, record)| record.header().tid == tid);
        rest.filter(|(_, record)| matches!(record, Record::Bmu(b) if b.object_flags == 1 && b.diff < 0))
            .map(|(undo, _)| (position, undo))
    };
    records.iter().enumerate().filter_map(enospc).filter_map(undo).collect()
}

/// An inode that occurs nowhere else, so that only the violation of the failing task shows.
const STRANGER: (u64, u64) = (999, 999);

/// What a failing task can do wrong, by number.
pub fn misbehave(records: &mut Vec<Record>, (failure, undo): (usize, usize), how: u8) -> Expected {
    let Record::Enospc(enospc) = records[failure] else { panic!("no failure") };
    let Record::Bmu(bmu) = &mut records[undo] else { panic!("no undo") };
    let data = Account::SpaceData(SpaceCounter::BytesMayUse);
    let extents = Account::InodeOutstandingExtents;
    let fs = enospc.header.fs;
    match how {
        0 => {
            bmu.diff *= 3;
            (FindingKind::ErrorPathOverRelease, data, fs, None, 2 * enospc.data_held)
        }
        1 => {
            bmu.diff = -bmu.diff;
            (FindingKind::ErrorPathLeak, data, fs, None, enospc.data_held)
        }
        2 | 3 => {
            let modification = if how == 2 { -1 } else { 1 };
            let (root, ino) = STRANGER;
            let record = Mod { header: enospc.header, root, ino, modification, ..Mod::default() };
            records.insert(failure + 1, record.into());
            let kind =
                if how == 2 { FindingKind::ErrorPathOverRelease } else { FindingKind::PublishBeforeReserve };
            (kind, extents, fs, Some(STRANGER), 1)
        }
        4 => {
            let (root, ino) = STRANGER;
            let (header, bytes, flags) = (enospc.header, enospc.bytes, DELALLOC_ROOT_KNOWN);
            records.insert(
                failure + 1,
                Delalloc { header, root, ino, bytes, flags, ..Delalloc::default() }.into(),
            );
            (FindingKind::ErrorPathOverRelease, Account::InodeMetaRsv, fs, Some(STRANGER), bytes)
        }
        _ => {
            let Record::Enospc(enospc) = &mut records[failure] else { panic!("no failure") };
            enospc.flags |= ENOSPC_PUBLISHED;
            (enospc.root, enospc.ino, enospc.published) = (STRANGER.0, STRANGER.1, 4);
            (FindingKind::PublishBeforeReserve, extents, fs, Some(STRANGER), 4)
        }
    }
}

/// Reduces findings to [`Expected`], sorted.
pub fn reduced(findings: &[Finding]) -> Vec<Expected> {
    let owner = |finding: &Finding| Some((finding.violation.root?, finding.violation.ino?));
    let mut list: Vec<Expected> = findings
        .iter()
        .map(|f| (f.violation.kind, f.violation.account, f.violation.fs, owner(f), f.amount))
        .collect();
    list.sort_unstable();
    list
}
