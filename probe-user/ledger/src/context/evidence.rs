//! The newest records of the books, in compact form; searched when a finding is made.
//!
//! One circular buffer for all inodes, not a list per inode: its memory is fixed, and each record costs one store.
use probe_common::{
    call::{CALL_INODE, CALL_RETURNED, Call},
    chain::{Bmu, CHAIN_BREAK, CHAIN_LEVEL, CHAIN_OPEN, CHAIN_OVERFLOW, CHAIN_UNDERFLOW, Chain, QgroupLevel},
    claim::{CLAIM_RESERVE, Claim, ClaimType, RsvType},
    failure::{Enospc, Ticket},
    header::Header,
    hook::HookId,
    inode::{
        BLOCK_FRESH, Block, DELALLOC_RESERVE, Delalloc, InodeState, MOMENT_AUDIT, MOMENT_DESTROY,
        MOMENT_EVICT, Mod,
    },
};

use crate::vocabulary::finding::{Evidence, Query};

/// Most records shown for one finding.
const MAX_SHOWN: usize = 12;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Reserve,
    Release,
    Block,
    FreshBlock,
    Mod,
    State,
    Claim,
    Unclaim,
    Enospc,
    Ticket,
    Bmu,
    Chain,
    Call,
}

/// One record, reduced to what a line of evidence shows.
#[derive(Clone, Copy, Debug)]
struct Trace {
    time: u64,
    stack: u64,
    root: u64,
    ino: u64,
    first: u64,
    second: u64,
    third: u64,
    fs: u32,
    tid: u32,
    what: What,
    extra: u32,
}

#[derive(Debug)]
pub(crate) struct RecentRecords {
    traces: Vec<Trace>,
    capacity: usize,
    next: usize,
}

impl RecentRecords {
    pub(crate) fn new(capacity: usize) -> Self {
        let capacity = capacity.max(1);
        Self { traces: Vec::with_capacity(capacity.min(1 << 16)), capacity, next: 0 }
    }

    fn push(&mut self, trace: Trace) {
        if self.traces.len() < self.capacity {
            self.traces.push(trace);
            return;
        }
        self.traces[self.next] = trace;
        self.next += 1;
        if self.next == self.capacity {
            self.next = 0;
        }
    }

    pub(crate) fn delalloc(&mut self, record: &Delalloc) {
        let what = if record.flags & DELALLOC_RESERVE != 0 { What::Reserve } else { What::Release };
        self.push(Trace {
            stack: record.stack,
            root: record.root,
            ino: record.ino,
            first: record.bytes,
            second: record.counters.reserved,
            third: record.counters.size,
            extra: record.counters.outstanding_extents,
            ..Trace::new(&record.header, what)
        });
    }

    pub(crate) fn block(&mut self, record: &Block) {
        let what = if record.flags & BLOCK_FRESH == 0 { What::Block } else { What::FreshBlock };
        self.push(Trace {
            root: record.payer_root,
            ino: record.payer_ino,
            first: record.bytes,
            second: record.root,
            extra: record.payer,
            ..Trace::new(&record.header, what)
        });
    }

    pub(crate) fn modification(&mut self, record: &Mod) {
        self.push(Trace {
            stack: record.stack,
            root: record.root,
            ino: record.ino,
            first: i64::from(record.modification) as u64,
            second: u64::from(record.outstanding),
            third: u64::from(record.expected),
            ..Trace::new(&record.header, What::Mod)
        });
    }

    pub(crate) fn state(&mut self, record: &InodeState) {
        self.push(Trace {
            stack: record.stack,
            root: record.root,
            ino: record.ino,
            first: record.counters.reserved,
            second: record.counters.size,
            third: (u64::from(record.counters.outstanding_extents) << 32) | u64::from(record.moment),
            ..Trace::new(&record.header, What::State)
        });
    }

    pub(crate) fn claim(&mut self, record: &Claim) {
        let what = if record.flags & CLAIM_RESERVE != 0 { What::Claim } else { What::Unclaim };
        self.push(Trace {
            stack: record.stack,
            root: record.payer_root,
            ino: record.payer_ino,
            first: record.bytes,
            second: record.value,
            third: u64::from(record.payer),
            extra: record.claim,
            ..Trace::new(&record.header, what)
        });
    }

    pub(crate) fn enospc(&mut self, record: &Enospc) {
        self.push(Trace {
            stack: record.stack,
            root: record.root,
            ino: record.ino,
            first: record.bytes,
            second: record.data_held,
            third: record.space_flags,
            extra: record.published as u32,
            ..Trace::new(&record.header, What::Enospc)
        });
    }

    pub(crate) fn ticket(&mut self, record: &Ticket) {
        self.push(Trace {
            stack: record.stack,
            root: record.root,
            ino: record.ino,
            first: record.bytes,
            second: record.data_held,
            third: record.space_flags,
            extra: record.error as u32,
            ..Trace::new(&record.header, What::Ticket)
        });
    }

    pub(crate) fn bmu(&mut self, record: &Bmu) {
        self.push(Trace {
            root: record.object,
            first: record.old,
            second: record.diff as u64,
            third: record.object_flags,
            ..Trace::new(&record.header, What::Bmu)
        });
    }

    pub(crate) fn chain(&mut self, record: &Chain) {
        self.push(Trace {
            stack: record.stack,
            root: record.object,
            first: record.old,
            second: record.diff as u64,
            third: record.expected,
            extra: record.event,
            ..Trace::new(&record.header, What::Chain)
        });
    }

    pub(crate) fn qgroup_level(&mut self, record: &QgroupLevel) {
        self.push(Trace {
            root: record.object,
            first: record.value,
            third: record.value,
            extra: CHAIN_LEVEL,
            ..Trace::new(&record.header, What::Chain)
        });
    }

    pub(crate) fn call(&mut self, record: &Call) {
        let known = record.flags & CALL_INODE != 0;
        let returned = u64::from(record.flags & CALL_RETURNED != 0);
        let stack = if record.stack != 0 { record.stack } else { record.stack_representative };
        self.push(Trace {
            stack,
            root: if known { record.root } else { 0 },
            ino: if known { record.ino } else { 0 },
            first: record.args[0],
            second: record.ret as u64,
            third: (u64::from(record.header.hook) << 1 | returned) << 32 | u64::from(record.extents as u32),
            extra: i32::try_from(record.csum_bytes).unwrap_or(i32::MAX) as u32,
            ..Trace::new(&record.header, What::Call)
        });
    }

    /// The newest records that match, oldest first.
    pub(crate) fn search(&self, query: Query) -> Vec<Evidence> {
        let (newer, older) = self.traces.split_at(self.next);
        let mut found: Vec<Evidence> = newer
            .iter()
            .rev()
            .chain(older.iter().rev())
            .filter(|trace| trace.answers(query))
            .take(MAX_SHOWN)
            .map(Trace::evidence)
            .collect();
        found.reverse();
        found
    }
}

impl Trace {
    const fn new(header: &Header, what: What) -> Self {
        Self {
            time: header.time,
            stack: 0,
            root: 0,
            ino: 0,
            first: 0,
            second: 0,
            third: 0,
            fs: header.fs,
            tid: header.tid,
            what,
            extra: 0,
        }
    }

    fn answers(&self, query: Query) -> bool {
        let object = matches!(self.what, What::Bmu | What::Chain);
        match query {
            Query::Inode { fs, root, ino } => {
                let claims = matches!(self.what, What::Claim | What::Unclaim)
                    && self.third != RsvType::Delalloc as u64;
                let paid = !matches!(self.what, What::Block | What::FreshBlock)
                    || self.extra == RsvType::Delalloc as u32;
                self.fs == fs
                    && !object
                    && !claims
                    && paid
                    && self.ino == ino
                    && (self.root == root || self.root == 0)
            }
            Query::Task { fs, tid } => self.fs == fs && self.tid == tid,
            Query::Object { fs, object: address } => self.fs == fs && object && self.root == address,
            Query::Claims { fs } => self.fs == fs && matches!(self.what, What::Claim | What::Unclaim),
        }
    }

    fn evidence(&self) -> Evidence {
        Evidence { time: self.time, tid: self.tid, text: self.text(), stack: self.stack }
    }

    fn text(&self) -> String {
        let Self { first, second, third, extra, .. } = *self;
        match self.what {
            What::Reserve => format!(
                "delalloc reserve {first}, block_rsv reserved {second} size {third}, outstanding_extents {extra}"
            ),
            What::Release => format!(
                "delalloc release {first}, block_rsv reserved {second} size {third}, outstanding_extents {extra}"
            ),
            What::Block => format!("tree block of root {second} took {first} from the block_rsv"),
            What::FreshBlock => format!("tree block of root {second} of {first} was reserved on the spot"),
            What::Mod => format!("outstanding_extents {:+} -> {second} (before: {third})", first as i64),
            What::State => {
                let moment = match third as u32 {
                    MOMENT_EVICT => "evict",
                    MOMENT_DESTROY => "destroy",
                    MOMENT_AUDIT => "audit",
                    _ => "failed reservation",
                };
                format!(
                    "{moment}: block_rsv reserved {first} size {second}, outstanding_extents {}",
                    third >> 32
                )
            }
            What::Claim | What::Unclaim => {
                let name = match ClaimType::from_u32(extra) {
                    Some(ClaimType::Transaction) => "transaction",
                    Some(ClaimType::LocalDelayedRefs) => "local_delayed_refs_rsv",
                    Some(ClaimType::DelayedItem) => "delayed_item",
                    Some(ClaimType::DelayedInode) => "delayed_inode",
                    None => "unknown claim",
                };
                let verb = if self.what == What::Claim { "reserve" } else { "release" };
                format!("{name} {verb} {first} (value {second})")
            }
            What::Enospc => {
                format!(
                    "space_info:enospc of {first}, flags {third}, data held {second}, published {}",
                    extra as i32
                )
            }
            What::Ticket => {
                format!("ticket of {first}, flags {third}, error {}, data held {second}", extra as i32)
            }
            What::Call => {
                let hook = HookId::from_u8((third >> 33) as u8).map_or("call", HookId::name);
                let changes = match (third as u32 as i32, extra as i32) {
                    (0, 0) => String::new(),
                    (extents, 0) => format!(", outstanding_extents {extents:+}"),
                    (0, csums) => format!(", csum_bytes {csums:+}"),
                    (extents, csums) => format!(", outstanding_extents {extents:+}, csum_bytes {csums:+}"),
                };
                let argument = number(first).unwrap_or_else(|| "a pointer".to_owned());
                if third >> 32 & 1 == 0 {
                    format!("{hook}({argument}) was called{changes}")
                } else {
                    let returned = number(second).unwrap_or_else(|| "a pointer".to_owned());
                    format!("{hook}({argument}) returned {returned}{changes}")
                }
            }
            What::Bmu => format!("bytes_may_use {first} {:+}, flags {third}", second as i64),
            What::Chain => {
                let event = match extra {
                    CHAIN_OPEN => "first sight",
                    CHAIN_BREAK => "chain break",
                    CHAIN_UNDERFLOW => "underflow",
                    CHAIN_OVERFLOW => "overflow",
                    _ => "level",
                };
                format!("{event}: {first} {:+}, expected {third}", second as i64)
            }
        }
    }
}

/// An argument or result of a call as a signed number; `None` for an address of the kernel, which says nothing to a reader and
/// should not be passed on. (x86-64, and arm64, whose kernel has a larger part; the last 4 GiB are text and modules, which no call
/// takes, and small negative numbers.)
fn number(value: u64) -> Option<String> {
    let address = 0xfff0_0000_0000_0000..0xffff_ffff_0000_0000;
    (!address.contains(&value)).then(|| (value as i64).to_string())
}
