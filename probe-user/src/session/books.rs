//! Books, names and tests of one stream. Both the report and the screen use these, so that they show the same.
use probe_ledger::{AHEAD, FsSummary, Ledger};
use probe_record::{
    batch::RecordBatch,
    record::Record,
    session::{SessionEnd, SessionHeader},
    stream::Source,
};

use super::{
    facts,
    followed::Followed,
    names::{Stacks, StreamNames},
};
use crate::{attribution::Windows, history::History, report::build};

/// Books, names and tests of one stream.
#[derive(Debug)]
pub struct Books {
    /// The ledger.
    pub ledger: Ledger,
    /// Names of addresses.
    pub names: StreamNames,
    /// Tests of a test suite.
    pub windows: Windows,
    /// Pools over time, and who reserved.
    pub history: History,
    /// Whether any rule had something to judge.
    followed: Followed,
    /// Records of kinds that this version does not know, or damaged ones. A live stream has none.
    pub undecodable: u64,
    /// The stream has ended, and nothing is pending any more.
    pub over: bool,
}

impl Books {
    /// Empty books for a stream.
    #[must_use]
    pub fn new(header: &SessionHeader) -> Self {
        Self {
            ledger: Ledger::new(facts::setup(header)),
            names: StreamNames::default(),
            windows: Windows::default(),
            history: History::default(),
            followed: Followed::new(header),
            undecodable: 0,
            over: false,
        }
    }

    /// Stacks with their names.
    #[must_use]
    pub const fn stacks(&self) -> Stacks<'_> {
        Stacks { ledger: &self.ledger, names: &self.names }
    }

    /// Why nothing could be judged so far, one sentence each; empty if something was judged.
    #[must_use]
    pub fn nothing_followed(&self, header: &SessionHeader, end: Option<&SessionEnd>) -> Vec<String> {
        self.followed.doubts(header, end)
    }

    /// Doubts besides those of the ledger, one sentence each. `notes`: those of the source, once it is over.
    #[must_use]
    pub fn doubts(&self, notes: Vec<String>) -> Vec<String> {
        let mut doubts = notes;
        if self.windows.forgotten() > 0 {
            doubts.push(format!("{} tests were forgotten to bound memory.", self.windows.forgotten()));
        }
        doubts
    }

    /// Doubts besides those of the ledger that the kernel's own words raise so far, one sentence each.
    #[must_use]
    pub fn failed_checks(&self, pools: &[FsSummary]) -> Vec<String> {
        let (ledger, stacks) = (&self.ledger, self.stacks());
        let findings = ledger.findings().iter().collect();
        let explanations = build::Explanations { findings, filesystems: pools, stacks: &stacks };
        build::failed_checks(&ledger.warnings(), &explanations)
    }

    /// All doubts besides those of the ledger, of a stream that is over.
    #[must_use]
    pub fn all_doubts(&self, source: &impl Source) -> Vec<String> {
        let mut doubts = self.nothing_followed(source.header(), source.end());
        doubts.extend(self.doubts(source.notes()));
        doubts
    }

    /// Applies the next record. The records alone decide when losses are read, not the way they came, so a replay and its
    /// report see the same losses in the same tests as the live session.
    pub fn apply(&mut self, record: &Record) {
        self.ledger.apply(record);
        self.followed.note(record);
        self.history.note(record);
        if let Record::TestNote(note) = record {
            self.windows.note(note, self.ledger.record_count());
        }
        if self.windows.wants_doubts(self.ledger.now()) {
            self.windows.read_doubts(&self.ledger);
        }
    }

    /// Applies the next records. `seen` gets each, after it is booked.
    pub fn take(
        &mut self,
        source: &mut impl Source,
        batch: &RecordBatch,
        mut seen: impl FnMut(&Record, &Ledger),
    ) {
        for group in batch.groups(AHEAD) {
            self.ledger.look_ahead(group.clone().flatten());
            for bytes in group {
                // A record is large, so it is used where it was decoded, and not moved.
                match bytes.and_then(Record::decode) {
                    Ok(ref record) => {
                        self.apply(record);
                        seen(record, &self.ledger);
                    }
                    Err(_) => self.undecodable = self.undecodable.saturating_add(1),
                }
            }
        }
        self.names.add(source.take_symbols());
    }

    /// The stream is over: settles what is pending.
    pub fn finish(&mut self) {
        self.ledger.finish();
        self.over = true;
        self.windows.read_doubts(&self.ledger);
    }
}
