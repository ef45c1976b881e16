//! One altered record in an otherwise correct stream of calls gives one finding of the right kind.
use probe_common::{call::Call, hook::HookId};
use probe_record::record::Record;
use probe_simulated::{
    M,
    functions::{Fault, Kernel, STRANGER},
};
use proptest::prelude::*;

use super::calls::run;
use crate::{
    read::summary::Verdict,
    vocabulary::{account::Account, finding::FindingKind},
};

/// Positions of judged calls of a hook.
fn positions(records: &[Record], hook: HookId) -> Vec<usize> {
    let of = |record: &Record| matches!(record, Record::Call(call) if call.header.hook == hook as u8 && call.ret >= 0);
    records.iter().enumerate().filter(|(_, record)| of(record)).map(|(position, _)| position).collect()
}

fn call(records: &mut [Record], position: usize) -> &mut Call {
    match &mut records[position] {
        Record::Call(call) => call,
        other => panic!("{other:?} is no call"),
    }
}

proptest! {
    #[test]
    fn any_single_altered_record_is_one_finding(
        operations in prop::collection::vec(any::<(u8, u8, u8)>(), 1..80),
        seed in any::<u64>(),
        choice in any::<prop::sample::Index>(),
        how in 0_u8..10,
    ) {
        let mut records = Kernel::run(&operations, seed, Fault::None, 0).records;
        let hook = match how {
            0..=3 => HookId::ReleaseExtents,
            4 | 5 => HookId::ReserveMetadata,
            6 => HookId::ReleaseMetadata,
            7 => HookId::RemoveOrderedExtent,
            8 => HookId::TransReleaseMetadata,
            _ => HookId::ClearDelallocExtent,
        };
        let positions = positions(&records, hook);
        if positions.is_empty() {
            return Ok(());
        }
        let at = positions[choice.index(positions.len())];
        let extents = Account::InodeOutstandingExtents;
        let of = *call(&mut records, at);
        // A copied call, or a call on the stranger, contains no call that released what exceeded the size. That would be the
        // first violation.
        prop_assume!(!matches!(how, 1 | 3) || of.after.reserved <= of.after.size);
        let key = Some((of.root, of.ino));
        let (kind, account, owner, amount) = match how {
            0 => {
                records.remove(at);
                (FindingKind::CounterMismatch, extents, key, 1)
            }
            1 => {
                records.insert(at, of.into());
                (FindingKind::OverRelease, extents, key, 1)
            }
            2 => {
                call(&mut records, at).extents = -3;
                (FindingKind::OverRelease, extents, key, 2)
            }
            3 => {
                (call(&mut records, at).root, call(&mut records, at).ino) = STRANGER;
                (FindingKind::WrongOwner, extents, Some(STRANGER), 1)
            }
            4 => {
                records.remove(at);
                (FindingKind::OverRelease, extents, key, 1)
            }
            5 => {
                call(&mut records, at).extents += 2;
                (FindingKind::CounterMismatch, extents, key, 2)
            }
            6 => {
                call(&mut records, at).csum_bytes -= 4096;
                (FindingKind::OverRelease, Account::InodeCsumBytes, key, 4096)
            }
            7 => {
                call(&mut records, at).extents = 0;
                (FindingKind::Leak, extents, key, 1)
            }
            8 => {
                call(&mut records, at).args[2] = M;
                (FindingKind::Leak, Account::TransRsv, None, M)
            }
            _ => {
                call(&mut records, at).extents = -2;
                (FindingKind::OverRelease, extents, key, 1)
            }
        };
        let ledger = run(&records);
        let found: Vec<_> =
            ledger.findings().iter().map(|f| (f.violation.kind, f.violation.account, f.violation.root.zip(f.violation.ino), f.amount)).collect();
        let summary = ledger.summary(0);
        if how == 4 && found.is_empty() {
            // The first operation of its thread: nothing was known of the operation, but a call is known to be missing.
            prop_assert_eq!(summary.verdict, Verdict::Inconclusive);
            return Ok(());
        }
        if how == 4 && found[0].1 == Account::InodeCsumBytes {
            // The task gave back a part of its range before the extents.
            prop_assert_eq!((found.len(), found[0].2), (1, owner));
            prop_assert!(matches!(found[0].0, FindingKind::OverRelease | FindingKind::WrongOwner));
            return Ok(());
        }
        if how == 0 && found.first() == Some(&(FindingKind::Leak, account, owner, amount)) {
            // The task began another operation before the inode was destroyed.
            prop_assert_eq!(found.len(), 1);
            return Ok(());
        }
        prop_assert_eq!(found, vec![(kind, account, owner, amount)], "how {}: {:#?}", how, ledger.findings());
        prop_assert_eq!(summary.verdict, Verdict::Findings);
    }
}
