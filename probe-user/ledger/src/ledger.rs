//! [`Ledger`]: takes records and hands each to its rules.
use probe_common::{
    fs::{LEVELS_COMMIT, LEVELS_UNMOUNT},
    inode::MOMENT_DESTROY,
    loss::LossSample,
    task::{Marker, MarkerKind},
};
use probe_record::record::Record;

use crate::{
    book::{filesystems::Filesystems, loss::Loss},
    context::{
        Context, evidence::RecentRecords, names::Names, pending::PendingFindings, printed::Printed,
        statistics::Counts, warnings::Warnings,
    },
    rule::{
        audit,
        calls::books::Calls,
        chains, claims, closing, delalloc, draws,
        failures::Failures,
        holders::{self, Others},
        pinned, qgroup_levels,
        shortages::Shortages,
        tickets::Tickets,
        transaction,
    },
    vocabulary::setup::Setup,
};

/// Books and rules of one stream.
#[derive(Debug)]
pub struct Ledger {
    pub(crate) setup: Setup,
    pub(crate) context: Context,
    pub(crate) filesystems: Filesystems,
    pub(crate) failures: Failures,
    pub(crate) tickets: Tickets,
    pub(crate) calls: Calls,
    pub(crate) shortages: Shortages,
}

impl Ledger {
    /// A ledger with empty books.
    #[must_use]
    pub fn new(setup: Setup) -> Self {
        let calls = Calls::new(&setup);
        let context = Context {
            loss: Loss::new(),
            names: Names::default(),
            recent: RecentRecords::new(setup.evidence_window),
            pending: PendingFindings::new(calls.active),
            statistics: Counts::new(),
            warnings: Warnings::default(),
            printed: Printed::default(),
        };
        let failures = Failures::new(calls.active);
        let (filesystems, tickets, shortages) =
            (Filesystems::default(), Tickets::default(), Shortages::default());
        Self { setup, context, filesystems, failures, tickets, calls, shortages }
    }

    /// Takes the next record of the stream.
    pub fn apply(&mut self, record: &Record) {
        let Self { setup, context, filesystems, failures, tickets, calls, shortages } = self;
        let header = record.header();
        context.statistics.record(header.hook, header.time);
        // Records of the capture layer do not carry the ring's loss count.
        if header.kind < 128 {
            context.loss.on_header(header.lost);
        }
        calls.follow_epoch(context);
        tickets.follow(context.loss.epoch(), header.time);
        match record {
            Record::LossSample(body) => {
                shortages.settle(&context.names, header.time);
                return loss_sample(context, body);
            }
            Record::Marker(body) => {
                marker(setup, context, body);
                return calls.follow_epoch(context);
            }
            Record::Stack(body) => return context.names.stack(body),
            Record::Warn(body) => {
                shortages.warned(body);
                return context.warnings.warned(body);
            }
            Record::LogLine(body) => {
                shortages.line(context, filesystems, body);
                return context.printed.line(body, filesystems);
            }
            Record::FailureState(body) => {
                let others = Others { loss: &context.loss, calls, tickets };
                let fs = filesystems.find(header.fs);
                let holders = fs.and_then(|fs| holders::failure(&others, fs, body, &context.names));
                return shortages.state(filesystems, body, holders);
            }
            Record::FailureDevices(body) => return shortages.devices(body),
            Record::TaskSeen(body) => {
                if context.names.task_seen(body) {
                    failures.resolve_undecided(body.header.tid);
                    calls.thread_replaced(body.header.tid);
                    filesystems.iter_mut().for_each(|fs| fs.claims.thread_replaced(body.header.tid));
                }
                return;
            }
            Record::Name(body) => return context.names.path_seen(body),
            Record::Flush(_) | Record::TestSign(_) | Record::TestNote(_) => return,
            _ => {}
        }
        if header.fs == 0 {
            return;
        }
        let before = filesystems.inodes;
        let fs = filesystems.get(header.fs, &context.loss, || context.named());
        fs.met(header.time);
        let held = fs.inodes.len();
        match record {
            Record::Delalloc(body) => {
                draws::worked(context, fs, header.tid);
                draws::delalloc(fs, body);
                calls.delalloc(body);
                delalloc::delalloc(context, fs, body);
                failures.delalloc(context, body);
            }
            Record::Claim(body) => {
                draws::worked(context, fs, header.tid);
                draws::claim(fs, body);
                calls.items_due(context.loss.epoch(), body);
                calls.claim(context, fs, body);
                claims::claim(context, fs, body);
            }
            Record::Block(body) => {
                draws::worked(context, fs, header.tid);
                draws::block(fs, body);
                delalloc::block(context, fs, body);
            }
            Record::Draw(body) => draws::paid(context, fs, body),
            Record::Mod(body) => {
                chains::modification(context, fs, body);
                failures.modification(context, body);
            }
            Record::InodeState(body) => {
                if body.moment == MOMENT_DESTROY {
                    calls.destroyed(context, fs, body);
                }
                closing::inode_state(context, fs, body);
            }
            Record::Chain(body) => {
                let twice = calls.frees_twice(body);
                chains::chain(context, fs, body, twice);
            }
            Record::Bmu(body) => {
                calls.spent(context, body);
                failures.bmu(context, body);
            }
            Record::Enospc(body) => {
                draws::waited(fs);
                shortages.enospc(context, fs, body);
                failures.enospc(context, fs, body);
            }
            Record::Ticket(body) => {
                if let Some(task) = context.names.task_or_tid(body.header.tid) {
                    fs.waits().over(body, task);
                }
                draws::waited(fs);
                calls.ticket(body);
                shortages.ticket(context, fs, body);
                failures.ticket(context, fs, body);
            }
            Record::TicketStep(body) => {
                draws::waited(fs);
                tickets.step(context, fs, body);
            }
            Record::Levels(body) => {
                draws::levels(context, fs, body);
                if body.why == LEVELS_UNMOUNT {
                    calls.unmounted(context, fs, body);
                    claims::unmounted(context, fs, body);
                }
                pinned::levels(context, fs, body);
                closing::levels(context, fs, body);
                holders::levels(&Others { loss: &context.loss, calls, tickets }, fs, body);
                if body.why == LEVELS_COMMIT {
                    fs.commits += 1;
                    transaction::committed(context, fs, body);
                    claims::committed(context, fs, body);
                    calls.committed(context, fs, body);
                }
            }
            Record::FsSeen(body) => fs.seen(body),
            Record::FsEnd(body) => {
                tickets.end(fs.id);
                closing::end(context, fs, body);
            }
            Record::AuditMark(body) => {
                holders::mark(&Others { loss: &context.loss, calls, tickets }, fs, body);
                audit::mark(context, fs, body);
            }
            Record::SysfsLevels(body) => audit::sysfs(context, fs, body),
            Record::QgroupLevel(body) => qgroup_levels::level(setup, context, fs, body),
            Record::QgroupRefusal(body) => shortages.refusal(context, fs, body),
            Record::Call(body) => {
                draws::worked(context, fs, header.tid);
                draws::call(context, fs, body);
                calls.call(context, fs, body);
            }
            Record::Extent(body) => calls.extent(context, fs, body),
            Record::PinnedLeft(body) => pinned::left(context, fs, body),
            Record::Returned(body) => calls.returned(context, fs, body),
            Record::Waiting(body) => {
                draws::waited(fs);
                fs.waits().waiting(body);
            }
            Record::WaitRound(body) => fs.waits().round(body),
            Record::ThreadFound(body) => fs.waits().found(body),
            Record::ThreadStack(body) => fs.waits().place(body),
            Record::FlushState(body) => {
                let worker =
                    context.names.task(body.header.tid).is_some_and(|task| task.comm.starts_with("kworker/"));
                fs.waits().flush(body, worker);
            }
            Record::LossSample(_)
            | Record::Marker(_)
            | Record::Stack(_)
            | Record::Warn(_)
            | Record::LogLine(_)
            | Record::FailureState(_)
            | Record::FailureDevices(_)
            | Record::TaskSeen(_)
            | Record::Name(_)
            | Record::Flush(_)
            | Record::TestSign(_)
            | Record::TestNote(_) => {}
        }
        filesystems.inodes = before + fs.inodes.len() - held;
        if filesystems.inodes > setup.max_inodes {
            filesystems.fold(&mut context.loss);
        }
    }

    /// End of the stream: settles every pending finding.
    pub fn finish(&mut self) {
        let Self { setup: _, context, filesystems, failures, tickets: _, calls, shortages } = self;
        failures.finish();
        shortages.finish(&context.names);
        calls.finish();
        for fs in filesystems.iter_mut() {
            if let Some(draws) = &mut fs.draws {
                draws.end();
            }
            calls.left_over(context, fs);
            audit::finish(context, fs);
        }
        context.pending.settle_all(&context.names);
    }
}

fn loss_sample(context: &mut Context, sample: &LossSample) {
    if context.loss.on_sample(sample.header.time, &sample.counts) {
        context.pending.withdraw_waiting();
    }
    // Settled only here, not at each record: in a backlog, records can be far ahead of the sample that shows their losses.
    context.pending.settle(sample.header.time, &context.names);
}

fn marker(setup: &Setup, context: &mut Context, marker: &Marker) {
    if marker.kind == MarkerKind::Attached as u32 {
        context.loss.attached(setup.required.iter().all(|hook| setup.attached.contains(hook)));
    } else if marker.kind == MarkerKind::Detaching as u32 {
        context.loss.detaching();
    }
}
