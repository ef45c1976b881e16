//! Makes the report's findings from the ledger's.
use probe_ledger::{Evidence, Finding, Origin, StackRef, TaskRef, Violation};

use super::{ReportInput, StackResolver};
use crate::report::{
    fingerprint::fingerprint,
    model::{self, EvidenceLine, Frame, OriginOf, StackSource, Task},
};

/// Most lines of the kernel's log shown for one finding.
const MAX_SAID: usize = 12;

/// All findings, in the ledger's order.
pub(super) fn build(input: &ReportInput<'_>, findings: &[Finding]) -> Vec<model::Finding> {
    findings.iter().map(|finding| one(input, finding)).collect()
}

/// One finding. Public so that it can be shown the moment it is made.
#[must_use]
pub fn one(input: &ReportInput<'_>, finding: &Finding) -> model::Finding {
    // Destructured, so that a new field of the ledger cannot be forgotten here.
    let Finding {
        id,
        violation,
        count,
        amount,
        confidence,
        last_seen,
        // Which tests it fell into.
        seen: _,
        task,
        evidence,
    } = finding;
    let Violation {
        kind,
        account,
        fs,
        root,
        ino,
        generation,
        // Of the first violation only.
        amount: _,
        confidence: _,
        balance_before,
        time,
        // What `task` was found by.
        tid: _,
        stack,
        origins,
        explanation,
        // What `evidence` was found by.
        query: _,
    } = violation;
    let (frames, stack_source) = resolve(input.stacks, *stack);
    let fingerprint = fingerprint(*kind, *account, &frames);
    let ignored = input.policy.ignores(*kind, &fingerprint);
    model::Finding {
        id: *id,
        fingerprint,
        kind: (*kind).into(),
        account: (*account).into(),
        filesystem: input.uuid(*fs),
        root: root.map(|root| root as i64),
        inode: *ino,
        generation: *generation,
        path: root.zip(*ino).and_then(|(root, ino)| path(input, *fs, root, ino)),
        amount: *amount as i64,
        unit: account.unit().to_owned(),
        balance_before: *balance_before,
        first_seen_ns: input.since_start(*time),
        last_seen_ns: input.since_start(*last_seen),
        count: *count,
        task: task.as_ref().map(task_of),
        test: test_of(input, *id),
        stack: frames,
        stack_source,
        origins: origins.iter().map(|origin| origin_of(input.stacks, origin)).collect(),
        evidence: evidence_with_lines(input, *id, evidence),
        confidence: (*confidence).into(),
        explanation: explanation.clone(),
        doc: format!("docs/findings/{}.md", kind.name()),
        ignored,
    }
}

/// Frames of a stack id; none for id 0.
pub(super) fn frames(stacks: &dyn StackResolver, id: u64) -> Vec<Frame> {
    if id == 0 { Vec::new() } else { stacks.frames(id) }
}

fn resolve(stacks: &dyn StackResolver, stack: StackRef) -> (Vec<Frame>, StackSource) {
    let frames = frames(stacks, stack.id);
    let source = if frames.is_empty() {
        StackSource::None
    } else if stack.representative {
        StackSource::Representative
    } else {
        StackSource::Exact
    };
    (frames, source)
}

fn path(input: &ReportInput<'_>, fs: u32, root: u64, ino: u64) -> Option<String> {
    input.facts.paths.get(&(fs, root, ino)).cloned().or_else(|| {
        let inodes = &input.summary.inodes;
        inodes.iter().find(|inode| (inode.fs, inode.root, inode.ino) == (fs, root, ino))?.path.clone()
    })
}

fn test_of(input: &ReportInput<'_>, id: u32) -> Option<String> {
    input.facts.tests.iter().find(|test| test.finding_ids.contains(&id)).map(|test| test.name.clone())
}

fn task_of(task: &TaskRef) -> Task {
    let TaskRef { tid, pid, comm } = task;
    Task { pid: (*pid != 0).then_some(*pid), tid: *tid, comm: comm.clone() }
}

fn origin_of(stacks: &dyn StackResolver, origin: &Origin) -> OriginOf {
    let Origin { bytes, count, stack } = *origin;
    let (stack, stack_source) = resolve(stacks, stack);
    OriginOf { bytes, count, stack, stack_source }
}

/// Records that speak for a finding, and what the kernel itself said of it, in the order of time.
fn evidence_with_lines(input: &ReportInput<'_>, id: u32, evidence: &[Evidence]) -> Vec<EvidenceLine> {
    let mut lines: Vec<EvidenceLine> = evidence.iter().map(|line| evidence_of(input, line)).collect();
    let said = input.summary.lines.iter().filter(|line| line.findings.contains(&id)).take(MAX_SAID);
    lines.extend(said.map(|line| EvidenceLine {
        time_ns: input.since_start(line.first_seen),
        tid: line.tid,
        text: match line.count {
            0 | 1 => format!("the kernel said: {}", line.text),
            count => format!("the kernel said {count} times or in other numbers: {}", line.text),
        },
        stack: Vec::new(),
    }));
    lines.sort_by_key(|line| line.time_ns);
    lines
}

fn evidence_of(input: &ReportInput<'_>, evidence: &Evidence) -> EvidenceLine {
    let Evidence { time, tid, text, stack } = evidence;
    EvidenceLine {
        time_ns: input.since_start(*time),
        tid: *tid,
        text: text.clone(),
        stack: frames(input.stacks, *stack),
    }
}
