//! Recorded streams with one altered transfer per inode: each gives exactly its finding, wherever it was altered.
//!
//! Each inode has its own book, so one replay alters one site of every inode; the n-th replay alters every inode's n-th
//! site. A site cannot be detected only for a reason known before the replay ([`Class`]). Any other finding that is missing,
//! or is made in addition, fails the test.
use std::collections::BTreeMap;

use probe_common::inode::{DELALLOC_RESERVE, DELALLOC_ROOT_KNOWN, Delalloc};
use probe_record::record::Record;

use super::{
    alter::{Expected, reduced},
    recorded::{Closing, Owner, RECORDED, Recorded, assert_complete, recorded},
};
use crate::vocabulary::{account::Account, finding::FindingKind};

/// Most replays per recording and alteration; beyond it, evenly spaced sites are taken.
const MAX_REPLAYS: usize = 8;
/// Most inodes altered in one replay, because the evidence of each is searched.
const MAX_INODES: usize = 150;
/// Most records that all replays of one recording and alteration read.
const MAX_RECORDS: usize = 120_000;

/// What the book can show at a site.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    Detectable,
    /// The opening balance of the inode is unknown.
    OpeningUnknown,
    /// A difference no larger than tree blocks that the kernel may have put back on a full filesystem.
    Unuse,
    /// The inode lives until the end, and the last audits show what the kernel holds.
    Audited,
}

/// How a record is altered. The amount is how far the balance becomes too low or too high.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Alteration {
    DropReserve,
    DropRelease,
    DoubleReserve,
    DoubleRelease,
    ReserveUp(u64),
    ReserveDown(u64),
    ReleaseUp(u64),
    ReleaseDown(u64),
    SwapOwner,
}

const ALTERATIONS: [Alteration; 10] = [
    Alteration::DropReserve,
    Alteration::DropRelease,
    Alteration::DoubleReserve,
    Alteration::DoubleRelease,
    Alteration::ReserveUp(131_072),
    Alteration::ReserveDown(4096),
    Alteration::ReleaseUp(131_072),
    Alteration::ReleaseUp(16_384),
    Alteration::ReleaseDown(4096),
    Alteration::SwapOwner,
];

impl Alteration {
    const fn of_reserves(self) -> bool {
        use Alteration::{DoubleReserve, DropReserve, ReserveDown, ReserveUp};
        matches!(self, DropReserve | DoubleReserve | ReserveUp(_) | ReserveDown(_))
    }

    /// Bytes by which the balance is too high afterwards; negative: too low.
    const fn residual(self, bytes: u64) -> i64 {
        match self {
            Self::DropReserve | Self::DoubleRelease => -(bytes as i64),
            Self::DropRelease | Self::DoubleReserve | Self::SwapOwner => bytes as i64,
            Self::ReserveUp(by) | Self::ReleaseDown(by) => by as i64,
            Self::ReserveDown(by) | Self::ReleaseUp(by) => -(by as i64),
        }
    }

    /// The records that replace the record of the site.
    fn apply(self, of: Delalloc, other: Owner) -> Vec<Record> {
        let with = |bytes: u64| {
            let fund_before = if of.fund_before == of.bytes { bytes } else { of.fund_before };
            vec![Record::Delalloc(Delalloc { bytes, fund_before, ..of })]
        };
        match self {
            Self::DropReserve | Self::DropRelease => Vec::new(),
            Self::DoubleReserve | Self::DoubleRelease => vec![Record::Delalloc(of); 2],
            Self::ReserveUp(by) | Self::ReleaseUp(by) => with(of.bytes + by),
            Self::ReserveDown(by) | Self::ReleaseDown(by) => with(of.bytes - by),
            Self::SwapOwner => vec![Record::Delalloc(Delalloc { root: other.1, ino: other.2, ..of })],
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Site {
    position: usize,
    of: Delalloc,
    closing: Option<Closing>,
}

impl Site {
    fn class(&self, residual: i64) -> Class {
        let Some(closing) = self.closing else { return Class::Audited };
        class(&closing, residual)
    }
}

fn class(closing: &Closing, residual: i64) -> Class {
    assert_eq!(closing.doubtful_blocks, 0, "record again: the payer of a block is in doubt");
    if !closing.exact {
        return Class::OpeningUnknown;
    }
    let short = residual.unsigned_abs();
    let nodesize = closing.nodesize;
    let tolerated = closing.full
        && short <= closing.blocks.min(4) * nodesize
        && (short.is_multiple_of(nodesize) || short < nodesize);
    if residual < 0 && tolerated { Class::Unuse } else { Class::Detectable }
}

/// Every reserve, or every release, by inode (and life of that inode).
fn sites(
    recorded: &Recorded,
    closings: &BTreeMap<usize, Closing>,
    reserves: bool,
) -> BTreeMap<(Owner, usize), Vec<Site>> {
    let mut of_owner: BTreeMap<Owner, Vec<(usize, Closing)>> = BTreeMap::new();
    for (position, closing) in closings {
        of_owner.entry(closing.owner).or_default().push((*position, *closing));
    }
    let mut sites: BTreeMap<(Owner, usize), Vec<Site>> = BTreeMap::new();
    for (position, record) in recorded.records.iter().enumerate() {
        let Record::Delalloc(of) = record else { continue };
        if (of.flags & DELALLOC_RESERVE != 0) != reserves || of.flags & DELALLOC_ROOT_KNOWN == 0 {
            continue;
        }
        let owner = (of.header.fs, of.root, of.ino);
        let life = of_owner.get(&owner).and_then(|lives| lives.iter().find(|(end, _)| *end > position));
        let end = life.map_or(usize::MAX, |(end, _)| *end);
        let closing = life.map(|(_, closing)| *closing);
        sites.entry((owner, end)).or_default().push(Site { position, of: *of, closing });
    }
    sites
}

/// For each replay, one site of every inode.
fn rounds(sites: &BTreeMap<(Owner, usize), Vec<Site>>, records: usize) -> Vec<Vec<Site>> {
    let most = sites.values().map(Vec::len).max().unwrap_or(0);
    let replays = most.min(MAX_REPLAYS).min(MAX_RECORDS / records).max(1);
    let of_round = |round: usize| {
        let pick = |of: &Vec<Site>| {
            let step = of.len().div_ceil(replays);
            of.get(round * step).copied()
        };
        let every = sites.len().div_ceil(MAX_INODES).max(1);
        sites.values().step_by(every).filter_map(pick).collect()
    };
    (0..replays).map(of_round).filter(|round: &Vec<Site>| !round.is_empty()).collect()
}

/// An inode of the same filesystem that lives, and is judged, until after `site`. Each inode is used once.
fn other(sites: &[Site], taken: &mut Vec<Owner>, site: &Site) -> Option<(Owner, Closing)> {
    let end = |of: &Site| of.closing.filter(|closing| closing.exact && !taken.contains(&closing.owner));
    let found = sites.iter().filter(|of| of.position < site.position && of.of.header.fs == site.of.header.fs);
    let own = (site.of.header.fs, site.of.root, site.of.ino);
    let found = found.filter_map(end).find(|closing| closing.owner != own)?;
    taken.extend([found.owner, own]);
    Some((found.owner, found))
}

fn expected(kind_of: i64, owner: Owner) -> Expected {
    let kind = if kind_of > 0 { FindingKind::Leak } else { FindingKind::OverRelease };
    (kind, Account::InodeMetaRsv, owner.0, Some((owner.1, owner.2)), kind_of.unsigned_abs())
}

/// Amount by filesystem, inode and kind.
type Wanted = BTreeMap<(u32, Option<(u64, u64)>, FindingKind), u64>;

/// Replays all rounds; returns the sites by class.
fn replay(
    recorded: &Recorded,
    closings: &BTreeMap<usize, Closing>,
    alteration: Alteration,
) -> BTreeMap<Class, usize> {
    let mut counts = BTreeMap::new();
    let lossy = recorded.name == "lossy";
    for round in rounds(&sites(recorded, closings, alteration.of_reserves()), recorded.records.len()) {
        let mut changes: BTreeMap<usize, Vec<Record>> = BTreeMap::new();
        let mut wanted = Wanted::new();
        let mut taken = Vec::new();
        for site in &round {
            let residual = alteration.residual(site.of.bytes);
            let owner = (site.of.header.fs, site.of.root, site.of.ino);
            let mut stranger = owner;
            if alteration == Alteration::SwapOwner {
                // The other inode must live beyond this record.
                let Some((found, closing)) = other(&round, &mut taken, site) else { continue };
                let alive = recorded.records[site.position..].iter().any(|record| {
                    matches!(record, Record::InodeState(s) if (s.header.fs, s.root, s.ino) == found && s.moment == 2)
                });
                if !alive
                    || class(&closing, -residual) != Class::Detectable
                    || taken[..taken.len() - 2].contains(&owner)
                {
                    continue;
                }
                stranger = found;
                let (kind, account, fs, of, amount) = expected(-residual, found);
                assert_eq!(account, Account::InodeMetaRsv);
                *wanted.entry((fs, of, kind)).or_default() += amount;
            }
            let class = site.class(residual);
            *counts.entry(class).or_default() += 1;
            if matches!(class, Class::Detectable | Class::Audited) {
                let (mut kind, _, fs, of, amount) = expected(residual, owner);
                if class == Class::Audited {
                    // The kernel holds more than the books: reserved unseen. The kernel holds less: released unseen.
                    kind = if residual < 0 { FindingKind::CounterMismatch } else { FindingKind::OverRelease };
                }
                // An inode number may live twice in one stream: one finding, with the sum.
                *wanted.entry((fs, of, kind)).or_default() += amount;
            }
            changes.insert(site.position, alteration.apply(site.of, stranger));
        }
        let mut altered = Vec::with_capacity(recorded.records.len() + changes.len());
        for (position, record) in recorded.records.iter().enumerate() {
            match changes.get(&position) {
                Some(instead) => altered.extend_from_slice(instead),
                None => altered.push(*record),
            }
        }
        let ledger = recorded.run(&altered);
        let mut wanted: Vec<Expected> = wanted
            .into_iter()
            .map(|((fs, of, kind), amount)| (kind, Account::InodeMetaRsv, fs, of, amount))
            .collect();
        wanted.sort_unstable();
        let found = reduced(ledger.findings());
        if lossy {
            // A loss withdraws pending findings.
            assert!(found.iter().all(|finding| wanted.contains(finding)), "{alteration:?}: {found:?}");
        } else {
            assert_eq!(found, wanted, "{alteration:?} of {}", recorded.name);
        }
        for finding in ledger.findings() {
            assert_complete(finding);
            // No task causes a finding of an audit.
            assert!(finding.task.is_some() || recorded.name == "audited", "{finding:#?}");
            if finding.violation.kind == FindingKind::Leak {
                assert!(!finding.violation.origins.is_empty(), "{finding:#?}");
                assert!(
                    finding.violation.origins.iter().all(|origin| ledger.stack(origin.stack.id).is_some())
                );
            }
        }
    }
    counts
}

#[test]
fn every_altered_transfer_of_a_real_stream_is_found() {
    let mut table = String::new();
    for recorded in RECORDED.iter().filter(|recorded| recorded.name != "lossy") {
        let closings = recorded.closings();
        for alteration in ALTERATIONS {
            let counts = replay(recorded, &closings, alteration);
            table.push_str(&format!("{} {alteration:?}: {counts:?}\n", recorded.name));
        }
    }
    insta::assert_snapshot!(table);
}

#[test]
fn no_alteration_of_a_lossy_stream_is_a_false_alarm() {
    let recorded = recorded("lossy");
    let closings = recorded.closings();
    for alteration in ALTERATIONS {
        // Every finding there is one that was altered, on an inode whose book is exact in spite of the loss.
        replay(recorded, &closings, alteration);
    }
}
