//! Which findings of the ledger are one finding of the report.
//!
//! The ledger makes one finding for each owner (inode, subvolume, filesystem of one mount) of a kind and account. Here they are
//! the *instances* of a finding: those with one fingerprint, on one filesystem, and of one known kernel bug or none. A finding
//! has the id of the instance that was made first, so an id that was shown stays true when more instances come.
use std::{collections::BTreeMap, sync::Arc};

use probe_ledger::{Account, Finding, FindingKind};
use rustc_hash::FxHashMap;

use super::StackResolver;
use crate::report::{
    fingerprint::fingerprint,
    known::{self, KernelBug},
};

/// All instances with one fingerprint on one filesystem, of one known kernel bug or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Id of the first instance.
    pub id: u32,
    /// Fingerprint of all of them.
    pub fingerprint: Arc<str>,
    /// The known kernel bug that made all of them. The fingerprint does not tell, since it does not know who reserved.
    pub known: Option<&'static KernelBug>,
    /// Positions of the instances among the ledger's findings, ascending; never empty.
    pub members: Vec<usize>,
}

impl Group {
    /// The instances.
    #[must_use]
    pub fn instances<'a>(&self, findings: &'a [Finding]) -> Vec<&'a Finding> {
        self.members.iter().filter_map(|at| findings.get(*at)).collect()
    }
}

/// A fingerprint, and the id of a known kernel bug.
type Fault = (Arc<str>, Option<&'static str>);

/// The groups of a list of findings that only grows.
#[derive(Clone, Debug, Default)]
pub struct Groups {
    list: Vec<Group>,
    /// Position of the group in `list`, by the position of an instance, which is its id.
    of: Vec<usize>,
    /// A filesystem has another id of the stream after each mount.
    by_mount: FxHashMap<(Fault, u32), usize>,
    by_filesystem: FxHashMap<(Fault, [u8; 16]), usize>,
    /// To resolve each stack once.
    fingerprints: FxHashMap<(FindingKind, Account, u64), Arc<str>>,
}

impl Groups {
    /// Those of a whole list. `fsid` returns `fs_devices->fsid` of a filesystem id of the stream, if it is known.
    #[must_use]
    pub fn of(
        findings: &[Finding],
        stacks: &dyn StackResolver,
        fsid: impl Fn(u32) -> Option<[u8; 16]>,
    ) -> Self {
        let mut groups = Self::default();
        groups.add(findings, stacks, fsid);
        groups
    }

    /// Takes those that are new in the list. `fsid` is asked for each filesystem and fingerprint once.
    pub fn add(
        &mut self,
        findings: &[Finding],
        stacks: &dyn StackResolver,
        fsid: impl Fn(u32) -> Option<[u8; 16]>,
    ) {
        for (at, finding) in findings.iter().enumerate().skip(self.of.len()) {
            let group = self.group_of(finding, stacks, &fsid);
            self.of.push(group);
            if let Some(group) = self.list.get_mut(group) {
                group.members.push(at);
            }
        }
    }

    /// Position of the group of a finding, a new one if it is the first of its kind.
    fn group_of(
        &mut self,
        finding: &Finding,
        stacks: &dyn StackResolver,
        fsid: impl Fn(u32) -> Option<[u8; 16]>,
    ) -> usize {
        let Self { list, by_mount, by_filesystem, fingerprints, .. } = self;
        let violation = &finding.violation;
        let (kind, account, fs) = (violation.kind, violation.account, violation.fs);
        let fingerprint = fingerprints.entry((kind, account, violation.stack.id)).or_insert_with(|| {
            fingerprint(kind, account, &super::findings::frames(stacks, violation.stack.id)).into()
        });
        let known = known::bug_of(violation, |stack| super::findings::frames(stacks, stack));
        let fault = (Arc::clone(fingerprint), known.map(|bug| bug.id));
        *by_mount.entry((fault.clone(), fs)).or_insert_with(|| {
            let next = list.len();
            let fsid = fsid(fs).filter(|fsid| *fsid != [0; 16]);
            let group = fsid.map_or(next, |fsid| *by_filesystem.entry((fault, fsid)).or_insert(next));
            if group == next {
                list.push(Group {
                    id: finding.id,
                    fingerprint: Arc::clone(fingerprint),
                    known,
                    members: Vec::new(),
                });
            }
            group
        })
    }

    /// The groups, by their first instances.
    #[must_use]
    pub fn list(&self) -> &[Group] {
        &self.list
    }

    /// Number of instances taken so far.
    #[must_use]
    pub const fn taken(&self) -> usize {
        self.of.len()
    }

    /// Ids of the groups of these instances, each once, ascending.
    #[must_use]
    pub fn ids(&self, instances: &[u32]) -> Vec<u32> {
        self.within(instances).into_iter().map(|(group, _)| group.id).collect()
    }

    /// The groups of these instances, with the positions of those that are among them; by the groups' ids.
    #[must_use]
    pub fn within(&self, instances: &[u32]) -> Vec<(&Group, Vec<usize>)> {
        let mut own: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for at in instances.iter().map(|id| *id as usize) {
            if let Some(group) = self.of.get(at) {
                own.entry(*group).or_default().push(at);
            }
        }
        own.into_iter().filter_map(|(group, members)| Some((self.list.get(group)?, members))).collect()
    }
}
