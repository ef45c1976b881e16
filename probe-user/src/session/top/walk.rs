//! The walk over all inodes: which come first, and what the others hold together. The other costly parts of a picture come
//! with it: the verdict, and the rows of tests.
//!
//! A walk over a million inodes takes a good part of a second. So it gets a bounded share of the time, keeps no more than
//! the rows of a screen and a half, and reads names only for those.
use std::{
    borrow::Cow,
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use probe_ledger::{InodeView, Ledger, Verdict, add_held};
use rustc_hash::FxHashMap;

use crate::{
    report::model::Draws,
    tui::{
        filter::{Fields, Filter, Word},
        picture::{FailuresView, InodeId, InodeRow, InodesView, Rest, WindowView},
        requests::{InodeSort, Wish},
        watch::Watch,
    },
};

/// A walk may take one part in so many of the time.
const SHARE: u32 = 20;

/// What the last walk found.
#[derive(Debug, Default)]
pub struct Walked {
    /// For the screen.
    pub inodes: Arc<InodesView>,
    /// Held by inodes, by filesystem.
    pub held: BTreeMap<u32, i64>,
    /// Failures for lack of space.
    pub failures: Arc<FailuresView>,
    /// Draws, by filesystem.
    pub draws: BTreeMap<u32, Arc<Draws>>,
    /// Verdict so far.
    pub verdict: Option<Verdict>,
    /// Why.
    pub reasons: Arc<Vec<String>>,
    /// Findings of the ledger when it was judged.
    pub instances: usize,
    /// Tests, newest first.
    pub tests: Vec<WindowView>,
    /// Names of the tests of findings, by the findings' ids.
    pub test_of: FxHashMap<u32, String>,
    /// Time it took.
    pub cost: Duration,
    /// When it was over, and what was asked.
    done: Option<(Instant, InodeSort, Filter)>,
    /// The books went to another moment: the results are useless.
    outdated: bool,
}

/// Names of filesystems, by id.
pub type FsNames = FxHashMap<u32, Arc<str>>;

impl Walked {
    /// Whether it is time for another one.
    pub fn due(&self, wish: &Wish) -> bool {
        let Some((done, _, _)) = &self.done else { return true };
        // What the user waits for comes sooner, but typing must not cause a walk per key.
        let pause = if self.stale(wish) { self.cost * 2 } else { (self.cost * SHARE).max(wish.refresh) };
        done.elapsed() >= pause.saturating_sub(Duration::from_millis(5))
    }

    /// Whether the last walk answered another question than the present wish.
    pub fn stale(&self, wish: &Wish) -> bool {
        self.outdated
            || self.done.as_ref().is_none_or(|(_, sort, filter)| (*sort, filter) != (wish.sort, &wish.filter))
    }

    /// The last walk is of another moment than the one to show.
    pub const fn outdate(&mut self) {
        self.outdated = true;
    }

    /// Ends a walk that began at `begun`; it answers the whole wish.
    pub fn over(&mut self, begun: Instant, wish: &Wish) {
        let now = Instant::now();
        self.cost = now - begun;
        self.done = Some((now, wish.sort, wish.filter.clone()));
    }

    /// Walks over the inodes.
    pub fn inodes(ledger: &Ledger, watch: &Watch, names: &FsNames, wish: &Wish, as_of_ns: u64) -> Self {
        let mut view = InodesView { as_of_ns, ..InodesView::default() };
        let mut held = BTreeMap::new();
        let rows = wish.rows.max(1);
        let mut first = Vec::new();
        ledger.for_each_inode(|inode| {
            view.known += 1;
            add_held(&mut held, inode);
            let candidate = Candidate { inode, ledger, watch, names };
            if !wish.filter.terms.is_empty() && !wish.filter.accepts(&candidate) {
                return;
            }
            view.matched += 1;
            view.bytes = view.bytes.saturating_add(inode.meta_rsv);
            first.push((wish.sort.value(&candidate), id(inode)));
            if first.len() >= 2 * rows {
                first.select_nth_unstable_by(rows, |left, right| {
                    wish.sort.order(&left.0, &right.0).then(left.1.cmp(&right.1))
                });
                first.truncate(rows);
            }
        });
        first.sort_by(|left, right| wish.sort.order(&left.0, &right.0).then(left.1.cmp(&right.1)));
        first.truncate(rows);
        view.rows = first.iter().filter_map(|(_, id)| row(ledger, watch, names, *id)).collect();
        let shown: i64 = view.rows.iter().fold(0, |sum, row| sum.saturating_add(row.meta_rsv));
        view.rest = Rest {
            inodes: view.matched.saturating_sub(view.rows.len() as u64),
            bytes: view.bytes.saturating_sub(shown),
        };
        Self { inodes: Arc::new(view), held, ..Self::default() }
    }

    /// What has to come before there is anything to judge; once after a walk.
    pub fn wait_for(&mut self, wanted: Vec<String>) {
        if self.verdict == Some(Verdict::Clean) && !wanted.is_empty() {
            self.verdict = None;
            self.reasons = Arc::new(wanted);
        }
    }
}

const fn id(inode: &InodeView) -> InodeId {
    InodeId { fs: inode.fs, root: inode.root, ino: inode.ino }
}

/// The row of an inode, if it has a book.
pub fn row(ledger: &Ledger, watch: &Watch, names: &FsNames, id: InodeId) -> Option<InodeRow> {
    let inode = ledger.inode(id.fs, id.root, id.ino)?;
    let counters = inode.counters.unwrap_or_default();
    let activity = watch.active.of(id);
    let now = ledger.span().1;
    Some(InodeRow {
        id,
        fs: names.get(&id.fs).cloned().unwrap_or_default(),
        path: ledger.path(id.fs, id.root, id.ino).map(ToString::to_string),
        generation: inode.generation,
        meta_rsv: inode.meta_rsv,
        exact: inode.opening_known,
        counted: inode.counters.is_some(),
        reserved: counters.reserved,
        size: counters.size,
        csum_bytes: counters.csum_bytes,
        delalloc_bytes: counters.delalloc_bytes,
        extents: counters.outstanding_extents,
        rate: activity.map_or(0, |activity| activity.rate),
        reserved_total: inode.reserved_total,
        reservations: inode.reservations,
        idle_ns: activity.map(|activity| now.saturating_sub(activity.last)),
        tid: inode.last_tid,
        comm: ledger.task(inode.last_tid).map(|task| task.comm).unwrap_or_default(),
        trend: watch.active.trend(id),
    })
}

/// An inode as filter and sort order see it, without the names that they do not use.
struct Candidate<'a> {
    inode: &'a InodeView,
    ledger: &'a Ledger,
    watch: &'a Watch,
    names: &'a FsNames,
}

impl Fields for Candidate<'_> {
    fn number(&self, word: Word) -> Option<i128> {
        let Self { inode, ledger, watch, names: _ } = self;
        let counters = inode.counters;
        match word {
            Word::MetaRsv => Some(inode.meta_rsv.into()),
            Word::RsvReserved => counters.map(|of| of.reserved.into()),
            Word::RsvSize => counters.map(|of| of.size.into()),
            Word::OutstandingExtents => counters.map(|of| of.outstanding_extents.into()),
            Word::CsumBytes => counters.map(|of| of.csum_bytes.into()),
            Word::DelallocBytes => counters.map(|of| of.delalloc_bytes.into()),
            Word::Rate => Some(watch.active.of(id(inode)).map_or(0, |activity| activity.rate).into()),
            Word::ReservedTotal => Some(inode.reserved_total.into()),
            Word::Reservations => Some(inode.reservations.into()),
            Word::Idle => watch
                .active
                .of(id(inode))
                .map(|activity| (ledger.span().1.saturating_sub(activity.last) / 1_000_000_000).into()),
            Word::Subvol => Some((inode.root as i64).into()),
            Word::Inode => Some(inode.ino.into()),
            Word::Generation => (inode.generation != 0).then_some(inode.generation.into()),
            Word::Tid => Some(inode.last_tid.into()),
            _ => None,
        }
    }

    fn text(&self, word: Word) -> Option<Cow<'_, str>> {
        let Self { inode, ledger, watch: _, names } = self;
        match word {
            Word::Fs => names.get(&inode.fs).map(|name| Cow::Borrowed(name.as_ref())),
            Word::Path => ledger.path(inode.fs, inode.root, inode.ino).map(|path| Cow::Borrowed(&**path)),
            Word::Task => {
                Some(ledger.task(inode.last_tid).map(|task| Cow::Owned(task.comm)).unwrap_or_default())
            }
            _ => None,
        }
    }
}
