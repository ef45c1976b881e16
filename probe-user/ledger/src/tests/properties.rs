//! Correct transfers in any interleaving give no finding; each single wrong one gives exactly its finding.
use std::collections::BTreeMap;

use probe_common::{
    claim::{CLAIM_RESERVE, ClaimType, RsvType},
    hook::HookId,
    inode::{BLOCK_FALLBACK, BLOCK_FRESH, DELALLOC_RESERVE, DELALLOC_ROOT_KNOWN, MOMENT_DESTROY},
    loss::{LOSS_SLOTS, LossClass, LossSample},
    task::MarkerKind,
};
use probe_record::record::Record;
use probe_simulated::{
    I, M, N,
    tracepoints::{Owner, Simulator},
};
use proptest::prelude::*;

use super::{
    alter,
    stream::{Stream, run},
};
use crate::{ledger::Ledger, read::summary::Verdict, vocabulary::setup::Setup};

fn operations() -> impl Strategy<Value = (Vec<(u8, u8, u8)>, u64)> {
    (prop::collection::vec(any::<(u8, u8, u8)>(), 1..120), any::<u64>())
}

/// The simple reference: one sum per inode, closed at destroy.
fn sums(records: &[Record]) -> (BTreeMap<Owner, i64>, Vec<i64>) {
    let mut open: BTreeMap<Owner, i64> = BTreeMap::new();
    let mut closed = Vec::new();
    for record in records {
        match record {
            Record::Delalloc(d) if d.flags & DELALLOC_ROOT_KNOWN != 0 => {
                let sign = if d.flags & DELALLOC_RESERVE != 0 { 1 } else { -1 };
                *open.entry((d.header.fs, d.root, d.ino)).or_default() += sign * d.bytes as i64;
            }
            Record::Block(b)
                if b.flags & (BLOCK_FRESH | BLOCK_FALLBACK) == 0 && b.payer == RsvType::Delalloc as u32 =>
            {
                *open.entry((b.header.fs, b.payer_root, b.payer_ino)).or_default() -= b.bytes as i64;
            }
            Record::Claim(c)
                if c.claim == ClaimType::DelayedInode as u32
                    && c.flags & CLAIM_RESERVE != 0
                    && c.payer == RsvType::Delalloc as u32 =>
            {
                *open.entry((c.header.fs, c.payer_root, c.payer_ino)).or_default() -= c.bytes as i64;
            }
            Record::InodeState(s) if s.moment == MOMENT_DESTROY => {
                closed.push(open.remove(&(s.header.fs, s.root, s.ino)).unwrap_or(0));
            }
            _ => {}
        }
    }
    (open, closed)
}

fn pick(positions: &[usize], choice: u16) -> Option<usize> {
    positions.get(usize::from(choice) % positions.len().max(1)).copied()
}

proptest! {
    #[test]
    fn any_legal_interleaving_is_clean((operations, seed) in operations()) {
        let records = Simulator::run(&operations, seed);
        prop_assert!(sums(&records).1.iter().all(|sum| *sum == 0), "the simulator is wrong");
        let ledger = run(&records);
        prop_assert_eq!(ledger.findings(), &[]);
        let summary = ledger.summary(8);
        prop_assert_eq!(summary.verdict, Verdict::Clean, "{:?}", summary.verdict_reasons);
        prop_assert_eq!(summary.failed.undecided, 0);
        prop_assert_eq!(summary.failed.total, summary.failed.balanced);
        prop_assert_eq!(summary.statistics.order_unknown, 0);
    }

    #[test]
    fn the_books_are_the_naive_sums_at_every_moment((operations, seed) in operations(), cut in any::<u16>()) {
        let records = Simulator::run(&operations, seed);
        let cut = usize::from(cut) % records.len();
        let mut ledger = Ledger::new(Setup::default());
        records[..cut].iter().for_each(|record| ledger.apply(record));
        let (naive, _) = sums(&records[..cut]);
        let books: BTreeMap<Owner, i64> =
            ledger.summary(1000).inodes.iter().map(|inode| ((inode.fs, inode.root, inode.ino), inode.meta_rsv)).collect();
        for (owner, sum) in naive {
            prop_assert_eq!(books.get(&owner).copied().unwrap_or(0), sum);
        }
        prop_assert_eq!(ledger.findings(), &[]);
    }

    #[test]
    fn attached_at_any_moment_is_silent((operations, seed) in operations(), cut in any::<u16>()) {
        let records = Simulator::run(&operations, seed);
        let cut = 1 + usize::from(cut) % (records.len() - 1);
        let mut late = Stream::default();
        late.marker(MarkerKind::Attached);
        late.records.extend_from_slice(&records[cut..]);
        prop_assert_eq!(run(&late.records).findings().to_vec(), vec![]);
        // Hooks are attached one by one, so half of the events before the marker are missing.
        let mut partial: Vec<Record> = records[..cut].iter().step_by(2).copied().collect();
        partial.remove(0);
        partial.extend_from_slice(&late.records);
        prop_assert_eq!(run(&partial).findings().to_vec(), vec![]);
    }

    #[test]
    fn any_loss_that_is_announced_is_silent_and_inconclusive(
        (operations, seed) in operations(),
        lost in prop::collection::vec(any::<u16>(), 1..6),
        sampled in any::<bool>(),
    ) {
        let records = Simulator::run(&operations, seed);
        // The last records stay, so that a record after each loss announces it.
        let lost: Vec<usize> = lost.into_iter().map(|at| 3 + usize::from(at) % (records.len() - 5)).collect();
        let mut left = Vec::new();
        let mut count = 0;
        for (position, mut record) in records.into_iter().enumerate() {
            if lost.contains(&position) {
                count += 1;
                continue;
            }
            if !matches!(record, Record::Marker(_)) {
                record.header_mut().lost = count;
            }
            left.push(record);
        }
        if sampled {
            let mut counts = [0; LOSS_SLOTS];
            counts[LossClass::BooksRecord as usize] = u64::from(count);
            left.push(LossSample { counts, ..LossSample::default() }.into());
        }
        let ledger = run(&left);
        prop_assert_eq!(ledger.findings(), &[]);
        prop_assert_eq!(ledger.summary(0).verdict, Verdict::Inconclusive);
    }

    #[test]
    fn a_skipped_program_that_is_known_only_later_is_silent((operations, seed) in operations(), at in any::<u16>()) {
        let mut records = Simulator::run(&operations, seed);
        let at = 3 + usize::from(at) % (records.len() - 3);
        if matches!(records[at], Record::Levels(_) | Record::Marker(_)) {
            return Ok(());
        }
        records.remove(at);
        let mut counts = [0; LOSS_SLOTS];
        counts[LossClass::Recursion as usize] = 1;
        records.push(LossSample { counts, ..LossSample::default() }.into());
        let ledger = run(&records);
        prop_assert_eq!(ledger.findings(), &[]);
        prop_assert_eq!(ledger.summary(0).verdict, Verdict::Inconclusive);
    }

    #[test]
    fn a_wrong_transfer_is_found((operations, seed) in operations(), choice in any::<u16>(), which in 0_u8..8, shift in 1_u64..1_000_000) {
        let mut records = Simulator::run(&operations, seed);
        let reserves = alter::positions(&records, true);
        let releases = alter::positions(&records, false);
        let expected = match which {
            0 => pick(&reserves, choice).map(|at| alter::drop_reserve(&mut records, at)),
            1 => pick(&releases, choice).map(|at| alter::drop_release(&mut records, at)),
            2 => pick(&releases, choice).map(|at| alter::double_release(&mut records, at)),
            3 => pick(&releases, choice).map(|at| alter::shift(&mut records, at, shift + 4 * N)),
            4 => pick(&reserves, choice).map(|at| alter::shift(&mut records, at, shift)),
            5 => pick(&reserves, choice).map(|at| alter::publish_first(&mut records, at)),
            6 => pick(&alter::destroys(&records), choice).map(|at| alter::leftover_at_destroy(&mut records, at, shift)),
            _ => pick(&alter::unmounts(&records), choice).map(|at| alter::leftover_at_unmount(&mut records, at, shift)),
        };
        let Some(expected) = expected else { return Ok(()) };
        let ledger = run(&records);
        prop_assert_eq!(alter::reduced(ledger.findings()), vec![expected], "alteration {}", which);
        prop_assert_eq!(ledger.summary(0).verdict, Verdict::Findings);
    }

    #[test]
    fn a_release_booked_on_another_inode_is_found_at_both((operations, seed) in operations(), choice in any::<u16>(), to in any::<u16>()) {
        let mut records = Simulator::run(&operations, seed);
        let releases = alter::positions(&records, false);
        let Some(at) = pick(&releases, choice) else { return Ok(()) };
        let of = alter::delalloc(&records, at);
        let others: Vec<usize> = alter::positions(&records, true)
            .into_iter()
            .filter(|other| {
                let other = alter::delalloc(&records, *other);
                other.header.fs == of.header.fs && (other.root, other.ino) != (of.root, of.ino)
            })
            // The other inode must be alive long enough to be closed after the wrong release.
            .filter(|other| alter::positions(&records, true).contains(other) && *other > at)
            .collect();
        let Some(other) = pick(&others, to) else { return Ok(()) };
        let other = alter::delalloc(&records, other);
        let mut expected = alter::swap_owner(&mut records, at, &other).to_vec();
        expected.sort_unstable();
        prop_assert_eq!(alter::reduced(run(&records).findings()), expected);
    }

    #[test]
    fn a_failing_side_that_misbehaves_is_found((operations, seed) in operations(), choice in any::<u16>(), how in 0_u8..6) {
        let mut records = Simulator::run(&operations, seed);
        let failures = alter::failures(&records);
        if failures.is_empty() {
            return Ok(());
        }
        let expected = alter::misbehave(&mut records, failures[usize::from(choice) % failures.len()], how);
        let ledger = run(&records);
        prop_assert_eq!(alter::reduced(ledger.findings()), vec![expected], "how {}", how);
        let failed = ledger.summary(0).failed;
        prop_assert_eq!((failed.balanced + 1, failed.undecided), (failed.total, 0));
    }

    #[test]
    fn the_same_stream_gives_the_same_findings((operations, seed) in operations(), choice in any::<u16>()) {
        let mut records = Simulator::run(&operations, seed);
        for _ in 0..3 {
            if let Some(at) = pick(&alter::positions(&records, true), choice) {
                alter::drop_reserve(&mut records, at);
            }
        }
        let (first, second) = (run(&records), run(&records));
        prop_assert_eq!(first.findings(), second.findings());
        prop_assert_eq!(first.summary(9), second.summary(9));
    }

    #[test]
    fn no_stream_makes_it_panic(bytes in prop::collection::vec(any::<[u8; 24]>(), 0..64), kinds in prop::collection::vec(0_usize..probe_common::header::RecordKind::ALL.len(), 64), wild in any::<u64>()) {
        let mut ledger = Ledger::new(Setup { max_inodes: 8, evidence_window: 16, ..Setup::default() });
        ledger.apply(&Stream::attached().records[0]);
        for (seed, kind) in bytes.iter().zip(kinds) {
            let kind = probe_common::header::RecordKind::ALL[kind];
            let mut raw = vec![0_u8; 512];
            for (position, byte) in raw.iter_mut().enumerate() {
                *byte = seed[position % 24] & (wild >> (position % 57)) as u8;
            }
            raw[0] = kind as u8;
            (raw[1], raw[2], raw[3]) = (HookId::SpaceReservation as u8, 0, 2);
            if let Ok(record) = Record::decode(&raw) {
                ledger.apply(&record);
            }
        }
        ledger.finish();
        let summary = ledger.summary(4);
        prop_assert!(summary.inodes.len() <= 4);
        prop_assert!(ledger.audit_candidates(1, 4).len() <= 4);
    }
}

#[test]
fn the_simulator_reorders_as_the_kernel_does() {
    // All of these occur: a balance below zero, a kernel counter ahead of the books, an inode number in two subvolumes.
    let (mut below_zero, mut ahead, mut blocks, mut delayed) = (0, 0, 0, 0);
    for seed in 1..60_u64 {
        let operations: Vec<_> = (0..150_u64)
            .map(|n| {
                let n = (n + 1).wrapping_mul(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
                ((n >> 17) as u8, (n >> 29) as u8, 0)
            })
            .collect();
        let records = Simulator::run(&operations, seed.wrapping_mul(0x2545_f491_4f6c_dd1d));
        let mut open: BTreeMap<Owner, i64> = BTreeMap::new();
        for record in &records {
            match record {
                Record::Delalloc(d) => {
                    let sum = open.entry((d.header.fs, d.root, d.ino)).or_default();
                    let reserve = d.flags & DELALLOC_RESERVE != 0;
                    *sum += if reserve { d.bytes as i64 } else { -(d.bytes as i64) };
                    below_zero += u32::from(*sum < 0);
                    ahead += u32::from(reserve && d.counters.reserved as i64 != *sum);
                }
                Record::Block(b) if b.flags == 0 => blocks += 1,
                Record::Claim(c) if c.payer_ino != 0 => delayed += 1,
                Record::InodeState(s) if s.moment == MOMENT_DESTROY => {
                    open.remove(&(s.header.fs, s.root, s.ino));
                }
                _ => {}
            }
        }
    }
    assert!(
        below_zero > 0 && ahead > 100 && blocks > 10 && delayed > 10,
        "{below_zero} {ahead} {blocks} {delayed}"
    );
    assert_eq!((M, I), (131_072, 262_144));
}
