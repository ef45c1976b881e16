//! Claims on the pools that a filesystem shares: the transaction rsv, handles' local rsvs, delayed items and inodes.
//!
//! What does not balance by design is not balanced: `delayed_refs_rsv` never reaches the books, evict joins and
//! temporary rsvs are left out (they give back under `transaction` what they never claimed under it, or the other
//! way round), and delayed items are summed per filesystem, since they are keyed by directory but claimed and
//! given back through other inodes' nodes. A start emits its claim before `journal_info` points to the handle, so
//! the identity of a handle is its thread: a thread has one handle at a time.
use probe_common::claim::{CLAIM_JOIN, CLAIM_LOG_RECOVERING, CLAIM_RESERVE, Claim, ClaimType, RsvType};
use rustc_hash::FxHashMap;

use crate::{
    Desk,
    docket::Violation,
    evidence::Query,
    filesystem::{Fs, InodeKey},
    finding::{Account, Confidence, FindingKind, StackRef},
    givers::Pool,
    loss::{Loss, Phase},
};

/// Most threads with an open handle that are followed; beyond it all are forgotten.
const MAX_HANDLES: usize = 1 << 16;

/// Shared claims of one filesystem.
#[derive(Debug, Default)]
pub(super) struct Claims {
    /// Claims of delayed items and delayed inodes: `delayed_block_rsv.size`.
    pub delayed: i64,
    /// Claims of handles: `trans_block_rsv.size`.
    pub trans: i64,
    /// Epoch since which `delayed` is right by an audit; 0 if only a birth can make it so.
    pub delayed_since: u32,
    /// Epoch since which all open handles are known by an audit that saw none; 0 if only a birth can make it so.
    pub handles_since: u32,
    /// Claims without events were made (log replay).
    tainted: bool,
    handles: FxHashMap<u32, Handle>,
}

/// What a thread's present handle has claimed.
#[derive(Clone, Copy, Debug, Default)]
struct Handle {
    epoch: u32,
    local: i64,
    trans: i64,
}

impl Claims {
    pub(super) const fn taint(&mut self) {
        self.tainted = true;
    }

    /// True if `delayed` is what the kernel must hold when nothing is in flight. `born` is the epoch of a birth.
    pub(super) fn is_exact(&self, born: u32, loss: &Loss) -> bool {
        loss.exact(self.delayed_since) || (!self.tainted && loss.exact(born))
    }

    /// The kernel holds no claim of delayed items at a quiet audit.
    pub(super) const fn nothing_delayed(&mut self, epoch: u32) {
        self.delayed = 0;
        self.delayed_since = epoch;
    }

    pub(super) fn end(&mut self) {
        self.handles = FxHashMap::default();
    }

    /// The thread's handle is lost, which was reported: what it had claimed for delayed refs went with it.
    pub(super) fn lose_handle(&mut self, tid: u32) -> i64 {
        self.handles.remove(&tid).map_or(0, |handle| handle.local)
    }

    /// The thread id belongs to another thread now.
    pub(super) fn thread_replaced(&mut self, tid: u32) {
        if !self.handles.is_empty() {
            self.handles.remove(&tid);
        }
    }
}

/// `SR transaction`, `local_delayed_refs_rsv`, `delayed_item`, `delayed_inode`.
pub(super) fn claim(desk: &mut Desk, fs: &mut Fs, record: &Claim) {
    desk.ring.claim(record);
    fs.activity += 1;
    let Some(kind) = ClaimType::from_u32(record.claim) else { return };
    let reserve = record.flags & CLAIM_RESERVE != 0;
    let payer = RsvType::from_u32(record.payer);
    if kind == ClaimType::DelayedInode && reserve && payer == RsvType::Delalloc {
        fs.book(InodeKey { root: record.payer_root, ino: record.payer_ino }).take(record.bytes);
    }
    if desk.loss.phase() == Phase::Detaching {
        // The other half of a pair may not come any more: the sums stay as they were.
        return;
    }
    if record.flags & CLAIM_LOG_RECOVERING != 0 {
        fs.claims.taint();
        fs.not_judged.log_replay += 1;
        return;
    }
    let signed = if reserve { record.bytes as i64 } else { (record.bytes as i64).wrapping_neg() };
    let stack = StackRef { id: record.stack, representative: true };
    match kind {
        ClaimType::DelayedItem | ClaimType::DelayedInode => {
            if reserve {
                fs.givers.note(Pool::Delayed, record.bytes, stack);
            }
            fs.claims.delayed = fs.claims.delayed.wrapping_add(signed);
        }
        ClaimType::Transaction => {
            if payer == RsvType::Temp || (!reserve && record.flags & CLAIM_JOIN != 0) {
                return;
            }
            if reserve {
                fs.givers.note(Pool::Trans, record.bytes, stack);
            }
            fs.claims.trans = fs.claims.trans.wrapping_add(signed);
            let handle = handle(&mut fs.claims, record.header.tid, desk.loss.epoch());
            // A handle may give back what an evict nested in it took: no less than nothing stays open.
            handle.trans = handle.trans.wrapping_add(signed).max(0);
            close_idle(&mut fs.claims, record.header.tid);
        }
        ClaimType::LocalDelayedRefs => local(desk, fs, record, signed),
    }
}

fn handle(claims: &mut Claims, tid: u32, epoch: u32) -> &mut Handle {
    if claims.handles.len() >= MAX_HANDLES && !claims.handles.contains_key(&tid) {
        claims.handles.clear();
    }
    let handle = claims.handles.entry(tid).or_default();
    if handle.epoch != epoch {
        *handle = Handle { epoch, ..Handle::default() };
    }
    handle
}

/// Threads without a claim need no entry.
fn close_idle(claims: &mut Claims, tid: u32) {
    if claims.handles.get(&tid).is_some_and(|handle| handle.trans == 0 && handle.local == 0) {
        claims.handles.remove(&tid);
    }
}

/// Claim and release carry the same bytes and net to zero per handle.
fn local(desk: &mut Desk, fs: &mut Fs, record: &Claim, signed: i64) {
    let epoch = desk.loss.epoch();
    let seen_from_start = desk.loss.exact(epoch);
    let handle = handle(&mut fs.claims, record.header.tid, epoch);
    let before = handle.local;
    let (kind, confidence, amount, explanation) = if signed > 0 {
        handle.local = signed;
        if before <= 0 {
            return;
        }
        (
            FindingKind::Leak,
            Confidence::OneSided,
            before,
            format!(
                "A new handle was started while {before} bytes of the thread's last handle were not given back."
            ),
        )
    } else {
        handle.local = before.wrapping_add(signed).max(0);
        close_idle(&mut fs.claims, record.header.tid);
        // Nothing known of the start: the handle was begun before the attach or a loss.
        if before <= 0 || before.wrapping_add(signed) >= 0 {
            return;
        }
        let over = before.wrapping_add(signed).wrapping_neg();
        (
            FindingKind::OverRelease,
            Confidence::Exact,
            over,
            format!("The handle gave back {over} bytes more than the {before} that it had claimed."),
        )
    };
    if !seen_from_start {
        return;
    }
    desk.defer(Violation {
        kind,
        account: Account::TransDelayedRefsRsv,
        fs: fs.id,
        root: None,
        ino: None,
        generation: None,
        amount: amount as u64,
        balance_before: Some(before),
        time: record.header.time,
        tid: record.header.tid,
        stack: StackRef { id: record.stack, representative: false },
        origins: Vec::new(),
        confidence,
        explanation,
        query: Query::Task { fs: fs.id, tid: record.header.tid },
    });
}
