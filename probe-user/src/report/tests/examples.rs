//! The example of each page under `docs/findings/`, rendered from known data so that the pages cannot lag behind the
//! renderer. `BLESS=1 cargo test -p probe-user examples` writes them anew.
use probe_ledger::{
    Account, Confidence, Evidence, Finding, FindingKind, Origin, SpaceCounter, StackRef, TaskRef, Verdict,
    Violation,
};

use super::data::{FSID, facts, summary};
use crate::report::{
    build::{self, Policy, ReportInput, StackResolver},
    model::Frame,
    text::{self, Look},
};

const RELEASE: u64 = 1;
const RESERVE: u64 = 2;
const DESTROY: u64 = 3;
const RESERVE_FAILED: u64 = 4;
const ORDERED: u64 = 5;
const QGROUP: u64 = 6;

struct Stacks;

impl StackResolver for Stacks {
    fn frames(&self, id: u64) -> Vec<Frame> {
        let names: &[(&str, u64)] = match id {
            RELEASE => &[
                ("btrfs_inode_rsv_release", 0xd3),
                ("btrfs_delalloc_release_extents", 0x9a),
                ("btrfs_buffered_write", 0x5c1),
                ("btrfs_do_write_iter", 0x1be),
                ("vfs_write", 0x2a7),
                ("ksys_write", 0x6d),
            ],
            RESERVE => &[
                ("btrfs_delalloc_reserve_metadata", 0x1f0),
                ("btrfs_buffered_write", 0x2b4),
                ("btrfs_do_write_iter", 0x1be),
                ("vfs_write", 0x2a7),
                ("ksys_write", 0x6d),
            ],
            DESTROY => &[
                ("btrfs_clear_extent_bit_changeset", 0x2c1),
                ("btrfs_qgroup_check_reserved_leak", 0x7e),
                ("btrfs_destroy_inode", 0x5a),
                ("evict", 0x118),
            ],
            RESERVE_FAILED => &[
                ("btrfs_reserve_metadata_bytes", 0x6a),
                ("btrfs_delalloc_reserve_metadata", 0x17c),
                ("btrfs_dio_iomap_begin", 0x3d5),
                ("iomap_iter", 0x1a0),
                ("btrfs_direct_write", 0x2c4),
            ],
            ORDERED => &[
                ("btrfs_inode_rsv_release", 0xd3),
                ("btrfs_delalloc_release_metadata", 0xb0),
                ("btrfs_remove_ordered_extent", 0x1b2),
                ("btrfs_finish_one_ordered", 0x6c0),
                ("btrfs_work_helper", 0xe5),
                ("process_one_work", 0x19e),
            ],
            QGROUP => &[
                ("qgroup_rsv_release", 0x44),
                ("btrfs_qgroup_free_refroot", 0xd1),
                ("__btrfs_qgroup_free_meta", 0x8c),
                ("btrfs_inode_rsv_release", 0x111),
                ("btrfs_delalloc_release_extents", 0x9a),
            ],
            _ => &[],
        };
        let frame = |(at, (name, offset)): (usize, &(&str, u64))| Frame {
            address: format!("{:#x}", 0xffff_ffff_c0a0_0000_u64 + 0x1000 * at as u64 + offset),
            symbol: Some((*name).to_owned()),
            offset: Some(*offset),
            module: name.contains("btrfs_").then(|| "btrfs".to_owned()),
        };
        names.iter().enumerate().map(frame).collect()
    }
}

/// A violation on inode 261 of subvolume 5, by a writer, at one second of the session.
fn base(kind: FindingKind, amount: u64, stack: u64, explanation: &str) -> Violation {
    let at = facts().started_monotonic_ns + 1_203_004_000;
    Violation {
        root: Some(5),
        ino: Some(261),
        generation: Some(12),
        amount,
        stack: StackRef { id: stack, representative: false },
        explanation: explanation.to_owned(),
        ..Violation::new(kind, Account::InodeMetaRsv, 0x101, (at, 4243))
    }
}

fn by(tid: u32, comm: &str) -> Option<TaskRef> {
    Some(TaskRef { tid, pid: tid, comm: comm.to_owned() })
}

fn evidence(lines: &[(u64, &str)]) -> Vec<Evidence> {
    let start = facts().started_monotonic_ns;
    let line = |(micros, text): &(u64, &str)| Evidence {
        time: start + 1_000_000_000 + micros * 1000,
        tid: 4243,
        text: (*text).to_owned(),
        stack: 0,
    };
    lines.iter().map(line).collect()
}

fn reserved(bytes: u64, count: u64) -> Vec<Origin> {
    vec![Origin { bytes, count, stack: StackRef { id: RESERVE, representative: true } }]
}

fn example(kind: FindingKind) -> Finding {
    let writer = Some(TaskRef { tid: 4243, pid: 4242, comm: "fio".to_owned() });
    let (violation, task, evidence) = match kind {
        FindingKind::OverRelease => (
            Violation {
                balance_before: Some(0),
                origins: reserved(655_360, 1),
                ..base(
                    kind,
                    655_360,
                    RELEASE,
                    "The inode gave 655360 bytes back a second time, when its block_rsv held nothing.",
                )
            },
            writer,
            evidence(&[
                (202_000, "delalloc reserve 655360, block_rsv reserved 655360 size 655360"),
                (203_000, "delalloc release 655360, block_rsv reserved 0 size 0"),
                (203_004, "delalloc release 655360, block_rsv reserved 0 size 0"),
            ]),
        ),
        FindingKind::Leak => (
            Violation {
                balance_before: Some(393_216),
                origins: reserved(393_216, 1),
                ..base(
                    kind,
                    393_216,
                    DESTROY,
                    "The inode was destroyed while its block_rsv still held 393216 bytes.",
                )
            },
            by(77, "umount"),
            evidence(&[
                (104_000, "delalloc reserve 655360, block_rsv reserved 655360 size 655360"),
                (109_000, "delalloc release 262144, block_rsv reserved 393216 size 0"),
                (203_004, "destroy: block_rsv reserved 393216 size 0, outstanding_extents 0"),
            ]),
        ),
        FindingKind::ErrorPathOverRelease => (
            base(
                kind,
                655_360,
                RESERVE_FAILED,
                "A reservation failed with ENOSPC, and its task then freed 655360 bytes of this inode that it had \
                 never reserved.",
            ),
            writer,
            evidence(&[
                (203_000, "space_info:enospc metadata 655360: nothing was reserved"),
                (203_002, "mod_outstanding_extents -1, outstanding_extents 0"),
                (203_004, "delalloc release 655360, block_rsv reserved 0 size 0"),
            ]),
        ),
        FindingKind::ErrorPathLeak => (
            Violation {
                account: Account::SpaceData(SpaceCounter::BytesMayUse),
                ..base(
                    kind,
                    65_536,
                    RESERVE_FAILED,
                    "A metadata reservation failed, and the data reserved for the same write was never given back.",
                )
            },
            writer,
            evidence(&[
                (203_000, "bytes_may_use data +65536 by the failing task"),
                (203_002, "space_info:enospc metadata 655360: nothing was reserved"),
                (203_004, "the task began another operation; its 65536 bytes of data were not given back"),
            ]),
        ),
        FindingKind::PublishBeforeReserve => (
            Violation {
                account: Account::InodeOutstandingExtents,
                ..base(
                    kind,
                    1,
                    RESERVE,
                    "outstanding_extents was raised before the bytes for it were granted, so a release on another CPU \
                 could free bytes that nobody had reserved yet.",
                )
            },
            writer,
            evidence(&[
                (203_000, "mod_outstanding_extents +1, outstanding_extents 4"),
                (203_002, "bytes_may_use metadata +655360, after the counter was published"),
                (203_004, "delalloc reserve 655360: granted before 0, granted after 655360"),
            ]),
        ),
        FindingKind::WrongOwner => (
            Violation {
                balance_before: Some(0),
                origins: reserved(655_360, 1),
                ..base(
                    kind,
                    655_360,
                    ORDERED,
                    "655360 bytes that were reserved for inode 260 of the same subvolume were freed from inode 261.",
                )
            },
            by(311, "kworker/u4:3"),
            evidence(&[
                (201_000, "delalloc reserve 655360 on inode 260, block_rsv reserved 655360 size 655360"),
                (203_004, "delalloc release 655360 on inode 261, block_rsv reserved 0 size 0"),
            ]),
        ),
        FindingKind::Underflow => (
            Violation {
                account: Account::RootQgroupMetaPrealloc,
                ino: None,
                generation: None,
                balance_before: Some(16_384),
                ..base(
                    kind,
                    16_384,
                    QGROUP,
                    "32768 bytes were taken from a counter that held 16384; the kernel hides it.",
                )
            },
            writer,
            evidence(&[
                (203_000, "qgroup 0/5 meta_prealloc: 32768 - 16384"),
                (203_004, "qgroup 0/5 meta_prealloc: 16384 - 32768, below zero; the kernel clamps it to 0"),
            ]),
        ),
        FindingKind::CounterMismatch => (
            Violation {
                account: Account::SpaceMetadata(SpaceCounter::BytesMayUse),
                root: None,
                ino: None,
                generation: None,
                balance_before: Some(5_767_168),
                stack: StackRef { id: 0, representative: false },
                confidence: Confidence::OneSided,
                ..base(
                    kind,
                    131_072,
                    0,
                    "sysfs shows 131072 bytes more than the changes that were seen add up to, twice and at rest.",
                )
            },
            None,
            evidence(&[
                (190_000, "audit 3: sysfs 5898240, chain 5767168, the counter stood still"),
                (203_004, "audit 4: sysfs 5898240, chain 5767168, the counter stood still"),
            ]),
        ),
    };
    Finding { task, evidence, ..Finding::new(0, violation) }
}

fn rendered(kind: FindingKind) -> String {
    let summary = summary(Verdict::Findings, &[]);
    assert_eq!(summary.filesystems[0].fsid, FSID);
    let mut facts = facts();
    facts.paths = [((0x101, 5, 261), "/data/journal".into())].into();
    let findings = [example(kind)];
    let policy = Policy::default();
    let input = ReportInput {
        summary: &summary,
        findings: &findings,
        stacks: &Stacks,
        facts: &facts,
        policy: &policy,
    };
    let report = build::build(&input);
    text::render_finding(&report.findings[0], Look::PLAIN)
}

/// Kinds whose example is real: see the tests of the demo.
const REAL: [FindingKind; 4] =
    [FindingKind::OverRelease, FindingKind::Leak, FindingKind::ErrorPathLeak, FindingKind::WrongOwner];

#[test]
fn each_kind_has_a_page_with_its_parts_and_a_current_example() {
    for kind in FindingKind::ALL {
        let path = format!("{}/../docs/findings/{}.md", env!("CARGO_MANIFEST_DIR"), kind.name());
        let page = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        assert!(page.starts_with(&format!("# {}\n", kind.name())), "{path} begins with its kind");
        for part in ["## Meaning", "## In the kernel", "## How it looks", "## What can mask it", "## Example"]
        {
            assert!(page.contains(&format!("\n{part}\n")), "{path} lacks `{part}`");
        }
        if REAL.contains(&kind) {
            continue;
        }
        let (before, rest) = page.split_once("```text\n").expect("an example block");
        let (_, after) = rest.split_once("```\n").expect("the end of the example block");
        let now = format!("{before}```text\n{}```\n{after}", rendered(kind).trim_start_matches('\n'));
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&path, &now).unwrap();
        } else {
            assert!(
                page == now,
                "{path}: regenerate the example with `BLESS=1 cargo test -p probe-user examples`"
            );
        }
    }
}
