//! Which counters the timeline shows, each in a lane of its own: they differ by orders of magnitude.
use super::super::model::{CounterTimeline, FsTimeline, PoolTimeline};
use super::sample;

/// Parts of `total_bytes`, from the bottom of the picture up, and their classes in the style sheet.
pub(super) const PARTS: [(&str, &str); 4] = [
    ("bytes_used", "used"),
    ("bytes_reserved", "reserved"),
    ("bytes_pinned", "pinned"),
    ("bytes_may_use", "may-use"),
];

/// Lanes of one pool, or of all block_rsvs.
pub(super) struct Pool {
    /// Name of the space_info; `block_rsvs` for those.
    pub name: String,
    /// What can be seen.
    pub lanes: Vec<Lane>,
    /// Names of counters that were 0 all the time.
    pub zero: Vec<String>,
}

/// A picture.
pub(super) struct Lane {
    /// Its name.
    pub name: String,
    /// Class in the style sheet.
    pub class: &'static str,
    /// What it shows.
    pub kind: Kind,
    /// The counters: one of a line; of a stack [`PARTS`] as far as they are known, and then `total_bytes`.
    pub counters: Vec<CounterTimeline>,
}

/// How a lane looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// One counter.
    Line,
    /// What `total_bytes` of a space_info are taken by.
    Stack,
}

/// All lanes of a filesystem, with at most `most` points each counter.
pub(super) fn of(fs: &FsTimeline, most: usize) -> Vec<Pool> {
    let few = |counter: &CounterTimeline| CounterTimeline {
        points: sample::coarsen(counter, most),
        ..counter.clone()
    };
    let (spaces, reserves): (Vec<&PoolTimeline>, Vec<&PoolTimeline>) =
        fs.pools.iter().partition(|pool| pool.is_space);
    let mut pools: Vec<Pool> = spaces.into_iter().map(|pool| space(pool, &few)).collect();
    let mut rsvs = Pool { name: "block_rsvs".to_owned(), lanes: Vec::new(), zero: Vec::new() };
    for reserve in reserves {
        for counter in &reserve.counters {
            rsvs.add(reserve.name.clone(), "rsv", counter, &few);
        }
    }
    if !rsvs.lanes.is_empty() {
        pools.push(rsvs);
    }
    pools
}

fn space(pool: &PoolTimeline, few: &impl Fn(&CounterTimeline) -> CounterTimeline) -> Pool {
    let mut lanes = Pool { name: pool.name.clone(), lanes: Vec::new(), zero: Vec::new() };
    if let Some(total) = pool.counter("total_bytes") {
        let parts = PARTS.iter().filter_map(|(name, _)| pool.counter(name));
        let counters = parts.chain([total]).map(few).collect();
        lanes.lanes.push(Lane {
            name: "of total_bytes".to_owned(),
            class: "stack",
            kind: Kind::Stack,
            counters,
        });
    }
    // What changes most first; `bytes_used` is in the stack.
    for (name, class) in PARTS.iter().rev() {
        if *name == "bytes_used" && pool.counter("total_bytes").is_some() {
            continue;
        }
        if let Some(counter) = pool.counter(name) {
            lanes.add((*name).to_owned(), class, counter, few);
        }
    }
    lanes
}

impl Pool {
    fn add(
        &mut self,
        name: String,
        class: &'static str,
        counter: &CounterTimeline,
        few: &impl Fn(&CounterTimeline) -> CounterTimeline,
    ) {
        if counter.low() == 0 && counter.high() == 0 {
            self.zero.push(name);
        } else {
            self.lanes.push(Lane { name, class, kind: Kind::Line, counters: vec![few(counter)] });
        }
    }
}
