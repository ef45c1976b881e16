//! Lines of the kernel's log that say how many bytes a qgroup still has reserved.
use probe_common::chain::ChainCounter;

use crate::book::filesystem::Fs;

/// Most counters remembered until their chains are read.
const MOST: usize = 1024;

/// When btrfs looked at the qgroup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// `btrfs_check_quota_leak()`: at unmount, after the last commit.
    Unmounted,
    /// `btrfs_remove_qgroup()`: its subvolume and its members are gone.
    Deleted,
}

/// A counter of a qgroup that is not zero, as a line has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    pub qgroupid: u64,
    pub when: When,
    pub counter: ChainCounter,
    pub bytes: u64,
}

/// What the line says of a qgroup of level 0; empty for another line. A qgroup of a higher level counts what its members count.
pub(crate) fn parse(text: &str) -> Vec<Held> {
    at_unmount(text).or_else(|| at_deletion(text)).unwrap_or_default()
}

fn at_unmount(text: &str) -> Option<Vec<Held>> {
    let (id, rest) = text.strip_prefix("qgroup 0/")?.split_once(" has unreleased space, type ")?;
    let (kind, bytes) = rest.split_once(" rsv ")?;
    // `enum btrfs_qgroup_rsv_type`
    let counter = match kind {
        "0" => ChainCounter::QgroupData,
        "1" => ChainCounter::QgroupMetaPertrans,
        "2" => ChainCounter::QgroupMetaPrealloc,
        _ => return None,
    };
    held(id, When::Unmounted, [(counter, bytes)])
}

fn at_deletion(text: &str) -> Option<Vec<Held>> {
    let rest = text.strip_prefix("to be deleted qgroup 0/")?;
    let (id, rest) = rest.split_once(" has non-zero numbers, data ")?;
    let (data, rest) = rest.split_once(" meta prealloc ")?;
    let (prealloc, pertrans) = rest.split_once(" meta pertrans ")?;
    let counters = [
        (ChainCounter::QgroupData, data),
        (ChainCounter::QgroupMetaPrealloc, prealloc),
        (ChainCounter::QgroupMetaPertrans, pertrans),
    ];
    held(id, When::Deleted, counters)
}

fn held<const N: usize>(id: &str, when: When, counters: [(ChainCounter, &str); N]) -> Option<Vec<Held>> {
    let qgroupid = id.parse().ok()?;
    let mut held = Vec::with_capacity(N);
    for (counter, bytes) in counters {
        let bytes = bytes.parse().ok()?;
        if bytes != 0 {
            held.push(Held { qgroupid, when, counter, bytes });
        }
    }
    Some(held)
}

/// Where and when a line was printed.
#[derive(Clone, Debug)]
pub(crate) struct Printed {
    pub held: Held,
    /// Filesystems that it may mean.
    pub fs: Vec<u32>,
    pub time: u64,
    pub tid: u32,
}

/// Counters whose chains have not been read since the line was printed.
#[derive(Debug, Default)]
pub(crate) struct HeldByQgroups(Vec<Printed>);

impl HeldByQgroups {
    pub(crate) fn note(&mut self, printed: Printed) {
        if self.0.len() >= MOST {
            self.0.remove(0);
        }
        self.0.push(printed);
    }

    /// Takes the oldest line that says exactly this of a qgroup of the filesystem. Each line is given once.
    pub(crate) fn take(
        &mut self,
        fs: &Fs,
        qgroupid: u64,
        counter: ChainCounter,
        bytes: u64,
    ) -> Option<Printed> {
        let same = |of: &Printed| {
            let Held { qgroupid: id, when: _, counter: kind, bytes: held } = of.held;
            (id, kind, held) == (qgroupid, counter, bytes) && of.fs.contains(&fs.id)
        };
        let at = self.0.iter().position(same)?;
        Some(self.0.remove(at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_6_1_and_6_12_say_what_a_qgroup_holds() {
        let at_unmount = |kind: u32| {
            let held = parse(&format!("qgroup 0/5 has unreleased space, type {kind} rsv 28672"));
            held.first().map(|held| (held.qgroupid, held.when, held.counter, held.bytes))
        };
        let is = |counter| Some((5, When::Unmounted, counter, 28_672));
        assert_eq!(at_unmount(0), is(ChainCounter::QgroupData));
        assert_eq!(at_unmount(1), is(ChainCounter::QgroupMetaPertrans));
        assert_eq!(at_unmount(2), is(ChainCounter::QgroupMetaPrealloc));
        assert_eq!(at_unmount(3), None);
        let deleted =
            "to be deleted qgroup 0/257 has non-zero numbers, data 4096 meta prealloc 0 meta pertrans 16384";
        let held: Vec<_> = parse(deleted).into_iter().map(|held| (held.counter, held.bytes)).collect();
        assert_eq!(held, [(ChainCounter::QgroupData, 4096), (ChainCounter::QgroupMetaPertrans, 16_384)]);
        assert!(parse(deleted).iter().all(|held| (held.qgroupid, held.when) == (257, When::Deleted)));
    }

    #[test]
    fn other_lines_say_nothing_of_a_level() {
        for text in [
            "qgroup 1/100 has unreleased space, type 0 rsv 28672",
            "qgroup 0/5 has unreleased space, type 0 rsv ",
            "qgroup reserved space leaked",
            "to be deleted qgroup 0/257 has non-zero numbers, rfer 16384 rfer_cmpr 16384 excl 0 excl_cmpr 0",
            "to be deleted qgroup 0/257 has non-zero numbers, data 0 meta prealloc 0 meta pertrans 0",
        ] {
            assert_eq!(parse(text), [], "{text}");
        }
    }
}
