//! Recorded streams of real kernels (`testdata/recordings`): no findings, and known numbers.
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    path::Path,
    sync::LazyLock,
    time::Duration,
};

use probe_common::hook::HookId;
use probe_common::inode::{COUNTERS_FREE_SPACE, InodeState, MOMENT_DESTROY};
use probe_record::{
    batch::RecordBatch,
    file::RecordingReader,
    record::Record,
    stream::{Source, SourceState},
};

use crate::{
    ledger::Ledger,
    read::summary::Verdict,
    vocabulary::{account::Account, finding::Finding, keys::InodeKey, setup::Setup},
};

/// A recording in memory.
pub struct Recorded {
    pub name: &'static str,
    pub records: Vec<Record>,
}

impl Recorded {
    pub fn run(&self, records: &[Record]) -> Ledger {
        let mut ledger = Ledger::new(Setup::default());
        records.iter().for_each(|record| ledger.apply(record));
        ledger.finish();
        ledger
    }

    /// What is known of each inode just before its destroy, by the position of the destroy.
    pub fn closings(&self) -> BTreeMap<usize, Closing> {
        let mut ledger = Ledger::new(Setup::default());
        let mut closings = BTreeMap::new();
        for (position, record) in self.records.iter().enumerate() {
            if let Record::InodeState(state) = record
                && state.moment == MOMENT_DESTROY
                && state.counters.flags & COUNTERS_FREE_SPACE == 0
            {
                closings.insert(position, Closing::of(&ledger, state));
            }
            ledger.apply(record);
        }
        closings
    }
}

/// The state of the books right before an inode is destroyed.
#[derive(Clone, Copy, Debug)]
pub struct Closing {
    pub owner: Owner,
    /// The opening balance is known and nothing was lost since.
    pub exact: bool,
    /// The filesystem has met ENOSPC.
    pub full: bool,
    pub blocks: u64,
    pub doubtful_blocks: u64,
    pub nodesize: u64,
}

/// Filesystem, subvolume, inode.
pub type Owner = (u32, u64, u64);

impl Closing {
    fn of(ledger: &Ledger, state: &InodeState) -> Self {
        let fs = ledger.filesystems.find(state.header.fs).unwrap();
        let book = fs.inodes.get(&InodeKey { root: state.root, ino: state.ino });
        let exact =
            book.map_or(ledger.context.loss.exact(fs.zero_since), |b| fs.is_exact(b, &ledger.context.loss));
        Self {
            owner: (fs.id, state.root, state.ino),
            exact: exact && !fs.poisoned.contains(&state.ino),
            full: fs.enospc > 0,
            blocks: book.map_or(0, |book| u64::from(book.blocks)),
            doubtful_blocks: book.map_or(0, |book| u64::from(book.doubtful_blocks)),
            nodesize: fs.nodesize,
        }
    }
}

/// Every recording of the folder, by name.
pub static RECORDED: LazyLock<Vec<Recorded>> = LazyLock::new(|| {
    ["born", "midlife", "enospc", "edquot", "failures", "paths", "twins", "parallel", "lossy", "audited"]
        .map(read)
        .into()
});

pub fn recorded(name: &str) -> &'static Recorded {
    RECORDED.iter().find(|recorded| recorded.name == name).unwrap()
}

pub fn read(name: &'static str) -> Recorded {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../testdata/recordings/{name}.rsv"));
    let mut reader = RecordingReader::open(&path).unwrap();
    let (mut batch, mut records, mut undecodable) = (RecordBatch::new(), Vec::new(), 0);
    while reader.next(&mut batch, Duration::ZERO) != SourceState::End {
        records.extend(batch.decoded(&mut undecodable));
    }
    assert_eq!((undecodable, reader.notes().len()), (0, 0), "{name} is damaged");
    Recorded { name, records }
}

#[test]
fn real_streams_are_silent() {
    let mut table = String::new();
    for recorded in RECORDED.iter() {
        let ledger = recorded.run(&recorded.records);
        let summary = ledger.summary(0);
        assert_eq!(ledger.findings(), [], "false alarm in {}", recorded.name);
        let expected = if recorded.name == "lossy" { Verdict::Inconclusive } else { Verdict::Clean };
        assert_eq!(summary.verdict, expected, "{}: {:?}", recorded.name, summary.verdict_reasons);
        let statistics = &summary.statistics;
        let failed = summary.failed;
        let lost: u64 = summary.loss.values().sum();
        writeln!(
            table,
            "{}: {} records, {} links, {} in order, {} closed, failed {} ({} balanced, {} undecided), lost {lost}",
            recorded.name,
            statistics.records,
            statistics.links,
            statistics.order_checked,
            statistics.inodes_closed,
            failed.total,
            failed.balanced,
            failed.undecided
        )
        .unwrap();
        assert_eq!(statistics.order_unknown, 0, "{}", recorded.name);
    }
    insta::assert_snapshot!(table);
}

/// On the functions tier, on 6.12.
#[test]
fn a_real_stream_of_calls_is_silent_and_its_calls_are_compared() {
    let mut setup = super::calls::functions();
    // It is from before the session followed what becomes of data.
    setup.attached.retain(|hook| *hook != HookId::SetDelallocExtent);
    let mut ledger = Ledger::new(setup);
    read("functions").records.iter().for_each(|record| ledger.apply(record));
    ledger.finish();
    assert_eq!(ledger.findings(), []);
    let checked = ledger.calls.checked;
    assert_eq!((checked.orphans, checked.torn, checked.unframed), (0, 0, 0));
    assert_eq!((checked.calls, checked.contracts, checked.operations), (40_513, 3_535, 815));
    let summary = ledger.summary(0);
    // 6.12 does not have `btrfs_delalloc_shrink_extents`.
    assert_eq!(summary.verdict, Verdict::Clean, "{:?}", summary.verdict_reasons);
    assert_eq!(summary.statistics.inodes_closed, 7);
}

#[test]
fn the_books_of_a_clean_run_end_at_zero() {
    for recorded in RECORDED.iter().filter(|recorded| recorded.name != "lossy") {
        let summary = recorded.run(&recorded.records).summary(0);
        for fs in summary.filesystems {
            assert_eq!(fs.ended, recorded.name != "audited", "{}", recorded.name);
            for (account, balance) in &fs.books {
                assert_eq!(*balance, 0, "{} of {}", account.name(), recorded.name);
            }
            assert!(fs.books.contains_key(&Account::InodeMetaRsv));
        }
    }
}

#[test]
fn the_same_number_in_two_subvolumes_is_two_inodes() {
    let owners: BTreeSet<Owner> = recorded("twins").closings().into_values().map(|c| c.owner).collect();
    let twins =
        owners.iter().filter(|(fs, root, ino)| owners.contains(&(*fs, root + 1, *ino)) && *root >= 256);
    assert!(twins.count() >= 12);
}

/// A finding says what a person needs: the task, the stacks, and the evidence.
#[track_caller]
pub fn assert_complete(finding: &Finding) {
    assert!(!finding.violation.explanation.is_empty(), "{finding:#?}");
    assert!(!finding.evidence.is_empty(), "{finding:#?}");
    assert!(finding.violation.time != 0 && finding.last_seen >= finding.violation.time, "{finding:#?}");
}
