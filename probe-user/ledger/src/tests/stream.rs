//! Builder for hand-made streams.
use probe_common::{
    chain::{Bmu, CHAIN_UNDERFLOW, Chain, ChainCounter},
    claim::{CLAIM_RESERVE, Claim, ClaimType, RsvType},
    failure::{ENOSPC_WINDOW_KNOWN, Enospc, LINE_TEXT, LogLine, Ticket},
    fs::{
        AuditMark, FS_BORN, FsEnd, FsSeen, LEVELS_AUDIT, LEVELS_UNMOUNT, Levels, Rsv, SpaceLevels,
        SysfsLevels,
    },
    header::Header,
    inode::{
        Block, COUNTERS_VALID, Counters, DELALLOC_ORDER_KNOWN, DELALLOC_RESERVE, DELALLOC_ROOT_KNOWN,
        Delalloc, InodeState, MOMENT_AUDIT, MOMENT_DESTROY, MOMENT_EVICT, Mod,
    },
    loss::{LOSS_SLOTS, LossClass, LossSample},
    task::{Marker, MarkerKind, TaskSeen},
};
use probe_record::record::Record;
use probe_simulated::{DATA, M, METADATA, N};

use crate::{
    ledger::Ledger,
    read::summary::Verdict,
    vocabulary::{finding::Finding, setup::Setup},
};

/// The filesystem of most tests.
pub const FS: u32 = 0x101;
/// The subvolume of most tests.
pub const ROOT: u64 = 5;

/// A stream under construction; the time grows by 1 us per record.
#[derive(Clone, Debug, Default)]
pub struct Stream {
    pub records: Vec<Record>,
    pub time: u64,
    pub tid: u32,
    pub lost: u16,
    pub sample: [u64; LOSS_SLOTS],
    pub round: u32,
}

impl Stream {
    /// All hooks attached, then a filesystem is born.
    pub fn born() -> Self {
        let mut stream = Self::attached();
        stream.birth(FS);
        stream
    }

    /// Hooks are being attached; no filesystem yet.
    pub fn attaching() -> Self {
        Self { tid: 100, time: 1_000_000_000, ..Self::default() }
    }

    /// All hooks attached; no filesystem yet.
    pub fn attached() -> Self {
        let mut stream = Self::attaching();
        stream.marker(MarkerKind::Attached);
        stream
    }

    pub fn header(&mut self, fs: u32) -> Header {
        self.time += 1000;
        Header { fs, tid: self.tid, time: self.time, lost: self.lost, ..Header::default() }
    }

    pub fn push(&mut self, record: impl Into<Record>) -> &mut Self {
        self.records.push(record.into());
        self
    }

    pub fn marker(&mut self, kind: MarkerKind) -> &mut Self {
        let header = Header { fs: 0, tid: 0, lost: 0, ..self.header(0) };
        self.push(Marker { header, kind: kind as u32, reserved: 0, text: [0; 64] })
    }

    pub fn birth(&mut self, fs: u32) -> &mut Self {
        self.seen(fs, FS_BORN)
    }

    pub fn seen(&mut self, fs: u32, flags: u32) -> &mut Self {
        let header = self.header(fs);
        let fsid = [fs as u8; 16];
        self.push(FsSeen { header, fsid, flags, nodesize: N as u32, sectorsize: 4096, ..FsSeen::default() })
    }

    pub fn by(&mut self, tid: u32) -> &mut Self {
        self.tid = tid;
        self
    }

    pub fn reserve(&mut self, ino: u64, bytes: u64) -> &mut Self {
        let mut record = self.delalloc(ino, bytes, DELALLOC_RESERVE);
        record.flags |= DELALLOC_ORDER_KNOWN;
        record.fund_before = bytes;
        record.published = 1;
        self.push(record)
    }

    pub fn release(&mut self, ino: u64, bytes: u64) -> &mut Self {
        let record = self.delalloc(ino, bytes, 0);
        self.push(record)
    }

    pub fn delalloc(&mut self, ino: u64, bytes: u64, flags: u32) -> Delalloc {
        let header = self.header(FS);
        Delalloc { header, root: ROOT, ino, bytes, flags: flags | DELALLOC_ROOT_KNOWN, ..Delalloc::default() }
    }

    /// A tree block paid by an inode.
    pub fn block(&mut self, ino: u64, flags: u32) -> &mut Self {
        let header = self.header(FS);
        let payer = RsvType::Delalloc as u32;
        self.push(Block { header, root: ROOT, bytes: N, payer_root: ROOT, payer_ino: ino, payer, flags })
    }

    pub fn claim(&mut self, claim: ClaimType, bytes: u64, flags: u32, payer: RsvType) -> &mut Self {
        let header = self.header(FS);
        self.push(Claim {
            header,
            claim: claim as u32,
            flags,
            bytes,
            payer: payer as u32,
            ..Claim::default()
        })
    }

    /// A delayed inode item paid from the inode's own block_rsv.
    pub fn delayed_inode(&mut self, ino: u64) -> &mut Self {
        let header = self.header(FS);
        self.push(Claim {
            header,
            claim: ClaimType::DelayedInode as u32,
            flags: CLAIM_RESERVE,
            value: ino,
            bytes: M,
            payer: RsvType::Delalloc as u32,
            payer_root: ROOT,
            payer_ino: ino,
            ..Claim::default()
        })
    }

    pub fn state(&mut self, ino: u64, moment: u32, counters: Counters) -> InodeState {
        let header = self.header(FS);
        let counters = Counters { flags: counters.flags | COUNTERS_VALID, ..counters };
        InodeState {
            header,
            address: 0xffff_8880_0000_0000 + ino * 1024,
            root: ROOT,
            ino,
            moment,
            counters,
            ..InodeState::default()
        }
    }

    pub fn evict(&mut self, ino: u64) -> &mut Self {
        let record = self.state(ino, MOMENT_EVICT, Counters::default());
        self.push(record)
    }

    /// A destroy with all counters at zero.
    pub fn destroy(&mut self, ino: u64) -> &mut Self {
        self.destroy_with(ino, Counters::default())
    }

    pub fn destroy_with(&mut self, ino: u64, counters: Counters) -> &mut Self {
        let record = self.state(ino, MOMENT_DESTROY, counters);
        self.push(record)
    }

    pub fn chain(&mut self, chain: Chain) -> &mut Self {
        let header = self.header(FS);
        self.push(Chain { header, object: 0xffff_8880_1000_0000, ..chain })
    }

    /// The last release of metadata takes out `bytes` more than there are, and the kernel leaves the counter below zero.
    pub fn underflow_at_unmount(&mut self, bytes: u64) -> &mut Self {
        self.chain(Chain {
            object_flags: METADATA,
            counter: ChainCounter::BytesMayUse as u32,
            event: CHAIN_UNDERFLOW,
            expected: 4 * bytes,
            old: 4 * bytes,
            diff: -(5 * bytes as i64),
            ..Chain::default()
        });
        self.unmount_with(|levels| levels.space[1].may_use = (bytes as i64).wrapping_neg() as u64)
    }

    pub fn enospc(&mut self, bytes: u64, data_held: u64) -> &mut Self {
        let header = self.header(FS);
        let flags = if data_held > 0 { ENOSPC_WINDOW_KNOWN } else { 0 };
        self.push(Enospc { header, space_flags: METADATA, bytes, data_held, flags, ..Enospc::default() })
    }

    pub fn ticket(&mut self, space_flags: u64, bytes: u64, error: i32, data_held: u64) -> &mut Self {
        let header = self.header(FS);
        let flags = if data_held > 0 { ENOSPC_WINDOW_KNOWN } else { 0 };
        self.push(Ticket { header, space_flags, bytes, error, data_held, flags, ..Ticket::default() })
    }

    /// A failed ticket of `evict_refill_and_join`.
    pub fn evict_ticket(&mut self, bytes: u64, data_held: u64) -> &mut Self {
        let (header, flags) = (self.header(FS), ENOSPC_WINDOW_KNOWN);
        let ticket =
            Ticket { header, space_flags: METADATA, bytes, error: -28, flush: 2, ..Ticket::default() };
        self.push(Ticket { data_held, flags, ..ticket })
    }

    pub fn bmu(&mut self, object_flags: u64, diff: i64) -> &mut Self {
        let header = self.header(FS);
        self.push(Bmu { header, object: 0x1000 + object_flags, object_flags, old: 1 << 30, diff })
    }

    pub fn modification(&mut self, record: Mod) -> &mut Self {
        let header = self.header(FS);
        self.push(Mod { header, root: ROOT, ..record })
    }

    /// A line of the kernel's log.
    pub fn line(&mut self, text: &str) -> &mut Self {
        let header = self.header(0);
        let mut line = LogLine { header, length: text.len() as u32, reserved: 0, text: [0; LINE_TEXT] };
        let take = text.len().min(LINE_TEXT - 1);
        line.text[..take].copy_from_slice(&text.as_bytes()[..take]);
        self.push(line)
    }

    /// A filesystem whose device has this name.
    pub fn on(&mut self, fs: u32, flags: u32, device: &str) -> &mut Self {
        let header = self.header(fs);
        let mut s_id = [0; 32];
        s_id[..device.len()].copy_from_slice(device.as_bytes());
        self.push(FsSeen { header, fsid: [fs as u8; 16], s_id, flags, ..FsSeen::default() })
    }

    pub fn task_seen(&mut self, tid: u32, pid: u32, comm: &str) -> &mut Self {
        let mut header = self.header(0);
        header.tid = tid;
        let mut name = [0; 16];
        name[..comm.len()].copy_from_slice(comm.as_bytes());
        self.push(TaskSeen { header, pid, reserved: 0, comm: name })
    }

    /// Records are lost before the next one; a loss sample tells the class.
    pub fn lose(&mut self, class: LossClass, count: u64) -> &mut Self {
        if (class as usize) <= LossClass::Descriptive as usize {
            self.lost = self.lost.wrapping_add(count as u16);
        }
        self.sample[class as usize] += count;
        self
    }

    pub fn sample(&mut self) -> &mut Self {
        let header = Header { fs: 0, tid: 0, lost: 0, ..self.header(0) };
        let counts = self.sample;
        self.push(LossSample { header, counts })
    }

    pub fn levels(&mut self, why: u32, alter: impl FnOnce(&mut Levels)) -> &mut Self {
        let header = self.header(FS);
        let mut levels = Levels { header, why, ..Levels::default() };
        levels.space[0] =
            SpaceLevels { flags: DATA, total: 1 << 30, used: 1 << 20, ..SpaceLevels::default() };
        levels.space[1] =
            SpaceLevels { flags: METADATA, total: 1 << 28, used: 1 << 20, ..SpaceLevels::default() };
        levels.space[2] = SpaceLevels { flags: 2, total: 1 << 23, used: N, ..SpaceLevels::default() };
        if why == LEVELS_AUDIT {
            levels.global = Rsv { size: 5_767_168, reserved: 5_767_168 };
            levels.space[1].may_use = 5_767_168;
        }
        alter(&mut levels);
        self.push(levels)
    }

    pub fn end(&mut self, fs: u32) -> &mut Self {
        let header = self.header(fs);
        self.push(FsEnd { header, why: 1, fs_state: 0 })
    }

    pub fn unmount(&mut self) -> &mut Self {
        self.unmount_with(|_| {})
    }

    pub fn unmount_with(&mut self, alter: impl FnOnce(&mut Levels)) -> &mut Self {
        self.levels(LEVELS_UNMOUNT, alter);
        let header = self.header(FS);
        self.push(FsEnd { header, why: 1, fs_state: 0 })
    }

    /// One audit: two marks with `links`, and the inodes' counters between them.
    pub fn audit(&mut self, links: u64, inodes: &[(u64, Counters)]) -> &mut Self {
        self.audit_with(links, inodes, |_| {})
    }

    pub fn audit_with(
        &mut self,
        links: u64,
        inodes: &[(u64, Counters)],
        alter: impl FnOnce(&mut Levels),
    ) -> &mut Self {
        self.round += 1;
        let round = self.round;
        let header = Header { tid: 0, lost: 0, ..self.header(FS) };
        self.push(AuditMark { header, phase: 0, round, links });
        self.levels(LEVELS_AUDIT, alter);
        for (ino, counters) in inodes {
            let record = self.state(*ino, MOMENT_AUDIT, *counters);
            self.push(record);
        }
        let header = Header { tid: 0, lost: 0, ..self.header(FS) };
        self.push(AuditMark { header, phase: 1, round, links })
    }

    pub fn sysfs(&mut self, record: SysfsLevels) -> &mut Self {
        let header = Header { tid: 0, lost: 0, ..self.header(FS) };
        self.push(SysfsLevels { header, ..record })
    }

    pub fn wait(&mut self, ns: u64) -> &mut Self {
        self.time += ns;
        self
    }

    pub fn ledger(&self) -> Ledger {
        run(&self.records)
    }

    pub fn findings(&self) -> Vec<Finding> {
        self.ledger().findings().to_vec()
    }

    /// Asserts: no finding and no doubt.
    #[track_caller]
    pub fn assert_clean(&self) -> Ledger {
        let ledger = self.assert_silent();
        let summary = ledger.summary(4);
        assert_eq!(summary.verdict, Verdict::Clean, "{:?}", summary.verdict_reasons);
        ledger
    }

    /// Asserts: no finding.
    #[track_caller]
    pub fn assert_silent(&self) -> Ledger {
        let ledger = self.ledger();
        assert_eq!(ledger.findings(), [], "false alarm");
        ledger
    }

    /// Asserts: exactly one finding, with this kind, account and amount.
    #[track_caller]
    pub fn assert_one(&self, kind: &str, account: &str, amount: u64) -> Finding {
        let findings = self.findings();
        let [finding] = findings.as_slice() else { panic!("expected one {kind}: {findings:#?}") };
        assert_eq!(
            (finding.violation.kind.name(), finding.violation.account.name(), finding.amount),
            (kind, account, amount),
            "{finding:#?}"
        );
        finding.clone()
    }
}

/// A ledger that has read the whole stream.
pub fn run(records: &[Record]) -> Ledger {
    let mut ledger = Ledger::new(Setup::default());
    records.iter().for_each(|record| ledger.apply(record));
    ledger.finish();
    ledger
}
