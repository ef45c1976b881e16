//! Makes the report's findings from the ledger's: one for each fingerprint and filesystem.
use std::{cmp::Reverse, collections::BTreeMap};

use probe_ledger::{Evidence, Finding, KernelLine, Origin, SeenPath, StackRef, TaskRef, Violation};
use rustc_hash::FxHashSet;

use super::{
    ReportInput, StackResolver,
    causes::name_causes,
    groups::{Group, Groups},
    instances::{self, MAX_LISTED},
};
use crate::report::{
    known::KernelBug,
    model::{self, EvidenceLine, Frame, InodePath, KnownBug, OriginOf, StackSource, Task, TestFinding},
};

/// Most lines of the kernel's log shown for one finding.
const MAX_SAID: usize = 12;
/// Most stacks that reserved, of one finding.
const MAX_ORIGINS: usize = 16;

/// All findings, by their first instances.
pub(super) fn build(input: &ReportInput<'_>, groups: &Groups) -> Vec<model::Finding> {
    let mut findings: Vec<_> = groups.list().iter().filter_map(|group| whole(input, group)).collect();
    name_causes(&mut findings);
    findings
}

/// The findings of these instances alone.
pub(super) fn chosen(input: &ReportInput<'_>, groups: &Groups, instances: &[u32]) -> Vec<model::Finding> {
    let mut findings = part(input, groups, instances);
    name_causes(&mut findings);
    findings
}

/// The finding of a whole group. Public so that it can be shown the moment it is made.
#[must_use]
pub fn whole(input: &ReportInput<'_>, group: &Group) -> Option<model::Finding> {
    of_instances(input, group, &group.instances(input.findings))
}

/// The findings of these instances alone, as of those in one test; the ids are those of the whole findings.
#[must_use]
pub fn part(input: &ReportInput<'_>, groups: &Groups, instances: &[u32]) -> Vec<model::Finding> {
    let within = groups.within(instances).into_iter();
    within
        .filter_map(|(group, members)| {
            let own: Vec<&Finding> = members.iter().filter_map(|at| input.findings.get(*at)).collect();
            of_instances(input, group, &own)
        })
        .collect()
}

/// `None` without an instance.
fn of_instances(input: &ReportInput<'_>, group: &Group, instances: &[&Finding]) -> Option<model::Finding> {
    // Destructured, so that a new field of the ledger cannot be forgotten here.
    let Finding {
        id: _,
        violation,
        // See the totals.
        count: _,
        amount: _,
        confidence: _,
        last_seen: _,
        // Which tests it fell into.
        seen: _,
        task,
        evidence,
    } = instances.first()?;
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
        time: _,
        // What `task` was found by.
        tid: _,
        stack,
        exit,
        twice: _,
        // See below.
        origins: _,
        explanation,
        // What `evidence` was found by.
        query: _,
    } = violation;
    let path = |fs, root, ino| path(input, fs, root, ino);
    let TestFinding {
        id,
        amount,
        count,
        inodes,
        roots,
        first_seen_ns,
        last_seen_ns,
        confidence,
        instances: listed,
        instances_left_out,
    } = instances::together(group.id, instances, MAX_LISTED, &path, &|time| input.since_start(time));
    let (frames, stack_source) = resolve(input.stacks, *stack);
    let (origins, rest) = origins(instances);
    let place = InodePath::from(root.zip(*ino).and_then(|(root, ino)| path(*fs, root, ino)).as_ref());
    Some(model::Finding {
        id,
        fingerprint: group.fingerprint.to_string(),
        kind: (*kind).into(),
        account: (*account).into(),
        filesystem: input.uuid(*fs),
        root: root.map(|root| root as i64),
        inode: *ino,
        generation: *generation,
        path: place.path,
        path_truncated: place.path_truncated,
        path_bytes: place.path_bytes,
        amount,
        unit: account.unit().to_owned(),
        balance_before: *balance_before,
        first_seen_ns,
        last_seen_ns,
        count,
        inodes,
        roots,
        instances: listed,
        instances_left_out,
        task: task.as_ref().map(task_of),
        test: test_of(input, id),
        stack: frames,
        exit: (*exit != 0).then(|| input.stacks.symbolize(*exit)),
        stack_source,
        origins: origins.iter().map(|origin| origin_of(input.stacks, origin)).collect(),
        origins_left_out: rest.len() as u64,
        origins_left_out_bytes: rest.iter().fold(0, |sum, origin| sum.saturating_add(origin.bytes)),
        evidence: evidence_with_lines(input, instances, evidence),
        confidence,
        explanation: explanation.clone(),
        doc: format!("docs/findings/{}.md", kind.name()),
        // See `name_causes`.
        cause: None,
        known: group.known.map(known_bug),
        ignored: input.policy.ignores(*kind, group),
    })
}

fn known_bug(bug: &KernelBug) -> KnownBug {
    KnownBug {
        id: bug.id.to_owned(),
        title: bug.title.to_owned(),
        versions: bug.versions.to_owned(),
        doc: bug.doc(),
    }
}

/// The stacks that reserved what these instances are about, most bytes first: those that are listed, and the others.
fn origins(instances: &[&Finding]) -> (Vec<Origin>, Vec<Origin>) {
    let mut by_stack: BTreeMap<(u64, bool), Origin> = BTreeMap::new();
    for origin in instances.iter().flat_map(|instance| &instance.violation.origins) {
        let key = (origin.stack.id, origin.stack.representative);
        let sum = by_stack.entry(key).or_insert(Origin { bytes: 0, count: 0, stack: origin.stack });
        sum.bytes = sum.bytes.saturating_add(origin.bytes);
        sum.count = sum.count.saturating_add(origin.count);
    }
    let mut origins: Vec<Origin> = by_stack.into_values().collect();
    if let [one] = instances {
        // As the ledger has them.
        origins.clone_from(&one.violation.origins);
    } else {
        origins.sort_by_key(|origin| Reverse(origin.bytes));
    }
    let rest = origins.split_off(origins.len().min(MAX_ORIGINS));
    (origins, rest)
}

/// Frames of a stack id; none for id 0.
pub(super) fn frames(stacks: &dyn StackResolver, id: u64) -> Vec<Frame> {
    if id == 0 { Vec::new() } else { stacks.frames(id) }
}

/// Frames of a stack, and what they are.
pub(super) fn resolve(stacks: &dyn StackResolver, stack: StackRef) -> (Vec<Frame>, StackSource) {
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

fn path(input: &ReportInput<'_>, fs: u32, root: u64, ino: u64) -> Option<SeenPath> {
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
fn evidence_with_lines(
    input: &ReportInput<'_>,
    instances: &[&Finding],
    evidence: &[Evidence],
) -> Vec<EvidenceLine> {
    let mut lines: Vec<EvidenceLine> = evidence.iter().map(|line| evidence_of(input, line)).collect();
    let own: FxHashSet<u32> = instances.iter().map(|instance| instance.id).collect();
    let about = |line: &&KernelLine| line.findings.iter().any(|id| own.contains(id));
    let said = input.summary.lines.iter().filter(about).take(MAX_SAID);
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
