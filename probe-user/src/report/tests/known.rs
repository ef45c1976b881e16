//! Findings of known kernel bugs: what is one, what is none, and what the verdict makes of them.
//! `BLESS=1 cargo test -p probe-user known` writes the examples of the pages anew.
use std::collections::{BTreeMap, BTreeSet};

use probe_ledger::{
    Account, Finding, FindingKind, Origin, SpaceCounter, StackRef, Summary, TaskRef, Verdict, Violation,
};
use serde_json::json;

use super::data::{START, facts, leak, line, summary, test};
use crate::report::{
    build::{self, Policy, ReportInput, StackResolver},
    junit,
    known::{CATALOGUE, KernelBug},
    model::{Frame, IgnoredBy, Report},
    text::{self, Detail, Look},
};

const CONVERT: u64 = 1;
const RESERVE: u64 = 2;
const FREE: u64 = 3;
/// The commit of the snapshot gives back what a delayed node took.
const CONVERT_IN_COMMIT: u64 = 4;
/// A subvolume is made, no snapshot.
const RESERVE_OF_SUBVOL: u64 = 5;
/// Another compiler, and other hooks.
const CONVERT_TRACED: u64 = 6;
const RESERVE_TRACED: u64 = 7;
/// A part of the kernel that hides its names.
const NAMELESS: u64 = 8;
/// A direct write fails after its extent was reserved.
const DIRECT: u64 = 9;
/// The same in 7.x.
const DIRECT_NEXT: u64 = 12;
/// A buffered write gives back what it did not need.
const BUFFERED: u64 = 10;
/// A tree block that cannot be made is put back.
const PUT_BACK: u64 = 11;

struct Stacks;

impl StackResolver for Stacks {
    fn frames(&self, id: u64) -> Vec<Frame> {
        let free = ("btrfs_free_reserved_data_space", 0x175);
        let inner: &[(&str, u64)] = match id {
            CONVERT => &[("btrfs_qgroup_convert_reserved_meta", 0x5), ("btrfs_mksubvol", 0x36a)],
            RESERVE => &[
                ("btrfs_qgroup_reserve_meta", 0x5),
                ("__btrfs_qgroup_reserve_meta", 0x28),
                ("btrfs_subvolume_reserve_metadata", 0x5c),
                ("btrfs_mksubvol", 0x2e9),
            ],
            FREE => &[("__btrfs_qgroup_free_meta", 0x5), ("btrfs_mksubvol", 0x4b0)],
            CONVERT_IN_COMMIT => &[
                ("btrfs_qgroup_convert_reserved_meta", 0x5),
                ("btrfs_delayed_inode_release_metadata", 0x60),
                ("__btrfs_run_delayed_items", 0x1c0),
                ("btrfs_commit_transaction", 0x2a0),
                ("btrfs_mksubvol", 0x3f0),
            ],
            RESERVE_OF_SUBVOL => &[
                ("btrfs_qgroup_reserve_meta", 0x5),
                ("__btrfs_qgroup_reserve_meta", 0x28),
                ("btrfs_subvolume_reserve_metadata", 0x5c),
                ("create_subvol", 0x110),
                ("btrfs_mksubvol", 0x4a0),
            ],
            CONVERT_TRACED => &[
                ("bpf_prog_3f2a_convert", 0x80),
                ("bpf_trampoline_6442", 0x41),
                ("btrfs_qgroup_convert_reserved_meta", 0x9),
                ("create_snapshot.isra.0", 0x1fa),
                ("btrfs_mksubvol.constprop.0", 0x2c1),
            ],
            RESERVE_TRACED => &[
                ("btrfs_qgroup_reserve_meta", 0x9),
                ("btrfs_subvolume_reserve_metadata", 0x5c),
                ("create_snapshot.isra.0", 0x10a),
                ("btrfs_mksubvol.constprop.0", 0x2c1),
            ],
            NAMELESS => &[("", 0), ("", 0)],
            DIRECT => &[free, ("btrfs_dio_iomap_begin", 0x584)],
            DIRECT_NEXT => &[free, ("btrfs_dio_iomap_next", 0xa12)],
            PUT_BACK => &[("btrfs_block_rsv_add_bytes", 0x5), ("btrfs_alloc_tree_block", 0x3c5)],
            BUFFERED => &[free, ("btrfs_buffered_write", 0x3d1)],
            _ => return Vec::new(),
        };
        let outer = [
            ("btrfs_mksnapshot", 0x79),
            ("__btrfs_ioctl_snap_create", 0x1b1),
            ("btrfs_ioctl_snap_create_v2", 0xff),
            ("btrfs_ioctl", 0x165b),
        ];
        let direct = [("iomap_iter", 0x17d), ("__iomap_dio_rw", 0x210), ("btrfs_direct_write", 0x214)];
        let balance = [("btrfs_force_cow_block", 0x138), ("btrfs_cow_block", 0xd5), ("do_relocation", 0x24a)];
        let outer: &[(&str, u64)] = match id {
            DIRECT | DIRECT_NEXT | BUFFERED => &direct,
            PUT_BACK => &balance,
            _ => &outer,
        };
        let frame = |(at, (name, offset)): (usize, &(&str, u64))| Frame {
            address: format!("{:#x}", 0xffff_ffff_c050_0000_u64 + 0x1000 * at as u64 + offset),
            symbol: (!name.is_empty()).then(|| (*name).to_owned()),
            offset: (!name.is_empty()).then_some(*offset),
            module: Some("btrfs".to_owned()),
        };
        inner.iter().chain(outer).enumerate().map(frame).collect()
    }
}

const fn stack(id: u64) -> StackRef {
    StackRef { id, representative: false }
}

/// What the ledger finds at a snapshot of a subvolume.
fn snapshot(id: u32, root: u64, freed: u64, reserved: &[u64]) -> Finding {
    let origin = |id: &u64| Origin { bytes: 49_152, count: 1, stack: stack(*id) };
    let account = Account::RootQgroupMetaPrealloc;
    let at = (START + 286_497_000 + u64::from(id), 310);
    let violation = Violation {
        root: Some(root),
        amount: 49_152,
        stack: stack(freed),
        origins: reserved.iter().map(origin).collect(),
        explanation: format!(
            "The task took 49152 bytes of META_PREALLOC in the qgroup of subvolume 5, and gave them back to that of \
             subvolume {root}."
        ),
        ..Violation::new(FindingKind::WrongOwner, account, 0x101, at)
    };
    let task = Some(TaskRef { tid: 310, pid: 310, comm: "btrfs".to_owned() });
    Finding { task, ..Finding::new(id, violation) }
}

fn bug() -> Finding {
    snapshot(0, 256, CONVERT, &[RESERVE])
}

/// What the ledger finds at a direct write that copies and fails late.
fn direct(freed: u64, reserved: &[u64]) -> Finding {
    let mut finding = snapshot(0, 256, freed, reserved);
    let violation = &mut finding.violation;
    violation.kind = FindingKind::Underflow;
    violation.account = Account::SpaceData(SpaceCounter::BytesMayUse);
    (violation.root, violation.amount, violation.balance_before) = (None, 262_144, Some(0));
    violation.explanation =
        "262144 bytes were taken from a counter that held 0: 262144 bytes were freed that were never \
                             reserved."
            .to_owned();
    violation.twice = true;
    finding.task = Some(TaskRef { tid: 444, pid: 444, comm: "io".to_owned() });
    finding
}

fn of_kind(kind: FindingKind, account: Account) -> Finding {
    let mut finding = bug();
    (finding.violation.kind, finding.violation.account) = (kind, account);
    finding
}

fn of_summary(summary: &Summary, findings: &[Finding], policy: &Policy, doubts: &[&str]) -> Report {
    let mut facts = facts();
    facts.doubts = doubts.iter().map(|doubt| (*doubt).to_owned()).collect();
    let tests = [("a", &[0_u32][..], 0), ("b", &[0], 4), ("c", &[0, 1], 0)];
    facts.tests =
        tests.map(|(name, ids, lost)| with_ids(test(name, Verdict::Findings, &[], lost), ids)).into();
    build::build(&ReportInput { summary, findings, stacks: &Stacks, facts: &facts, policy })
}

fn with_ids(mut test: crate::report::model::Test, ids: &[u32]) -> crate::report::model::Test {
    test.finding_ids = ids.to_vec();
    test
}

fn report(findings: &[Finding], policy: &Policy, doubts: &[&str]) -> Report {
    of_summary(&summary(Verdict::Findings, &["said by the ledger"]), findings, policy, doubts)
}

fn strict() -> Policy {
    Policy { strict: true, ..Policy::default() }
}

/// Ids of the known kernel bugs of a report's findings.
fn known(findings: &[Finding]) -> Vec<Option<String>> {
    let report = report(findings, &Policy::default(), &[]);
    report.findings.into_iter().map(|finding| finding.known.map(|known| known.id)).collect()
}

#[test]
fn a_snapshot_that_is_put_into_another_subvolume_is_known() {
    let id = [Some("snapshot-prealloc-wrong-subvolume".to_owned())];
    assert_eq!(known(&[bug()]), id);
    assert_eq!(known(&[snapshot(0, 256, FREE, &[RESERVE])]), id, "it failed");
    assert_eq!(known(&[snapshot(0, 256, CONVERT_TRACED, &[RESERVE_TRACED])]), id);
}

#[test]
fn a_direct_write_that_fails_late_is_known_and_a_buffered_one_is_not() {
    let id = "direct-cow-error-frees-data-twice".to_owned();
    assert_eq!(known(&[direct(DIRECT, &[])]), [Some(id)]);
    assert_eq!(known(&[direct(DIRECT_NEXT, &[])]), known(&[direct(DIRECT, &[])]));
    assert_eq!(known(&[direct(BUFFERED, &[])]), [None]);
    assert_eq!(known(&[direct(0, &[])]), [None], "no stack");
    assert_eq!(known(&[direct(DIRECT, &[RESERVE])]), [None], "somebody owns it");
    let mut rest = direct(DIRECT, &[]);
    rest.violation.twice = false;
    assert_eq!(known(&[rest]), [None], "what the write did not need");
}

/// As the ledger reports a tree block that is put back after its extent was reserved.
fn put_back(freed: u64) -> Finding {
    let mut finding = direct(freed, &[]);
    finding.violation.kind = FindingKind::OverRelease;
    finding.violation.account = Account::SpaceMetadata(SpaceCounter::BytesMayUse);
    finding.violation.amount = 16_384;
    finding.violation.balance_before = None;
    finding.violation.explanation = "btrfs_block_rsv_add_bytes on a temporary block_rsv changed bytes_may_use and the block_rsvs \
                                     differently: since then the block_rsvs hold 16384 bytes that are not in bytes_may_use."
        .to_owned();
    finding
}

#[test]
fn a_tree_block_that_is_put_back_after_its_extent_was_reserved_is_known() {
    let id = "tree-block-error-frees-metadata-twice".to_owned();
    assert_eq!(known(&[put_back(PUT_BACK)]), [Some(id)]);
    assert_eq!(known(&[put_back(BUFFERED)]), [None]);
}

#[test]
fn the_same_account_on_another_path_is_a_finding_as_ever() {
    for (what, finding) in [
        ("it frees elsewhere", snapshot(0, 256, CONVERT_IN_COMMIT, &[RESERVE])),
        ("it reserves elsewhere", snapshot(0, 256, CONVERT, &[RESERVE_OF_SUBVOL])),
        ("some of it is reserved elsewhere", snapshot(0, 256, CONVERT, &[RESERVE, RESERVE_OF_SUBVOL])),
        ("paths the wrong way round", snapshot(0, 256, RESERVE, &[CONVERT])),
        ("no stack that freed", snapshot(0, 256, 0, &[RESERVE])),
        ("no stack that reserved", snapshot(0, 256, CONVERT, &[0])),
        ("no origin", snapshot(0, 256, CONVERT, &[])),
        ("no names", snapshot(0, 256, NAMELESS, &[RESERVE])),
        ("no names that reserved", snapshot(0, 256, CONVERT, &[NAMELESS])),
        ("another account", of_kind(FindingKind::WrongOwner, Account::RootQgroupMetaPertrans)),
        ("another kind", of_kind(FindingKind::OverRelease, Account::RootQgroupMetaPrealloc)),
    ] {
        assert_eq!(known(std::slice::from_ref(&finding)), [None], "{what}");
        let report = report(&[finding], &Policy::default(), &[]);
        assert_eq!((report.verdict.0, report.findings[0].ignored), (Verdict::Findings, None), "{what}");
    }
}

/// The fingerprint does not know who reserved.
#[test]
fn another_bug_with_the_same_fingerprint_is_not_hidden_among_the_known() {
    let other = snapshot(1, 257, CONVERT, &[RESERVE_OF_SUBVOL]);
    let report = report(&[bug(), other, snapshot(2, 258, CONVERT, &[RESERVE])], &Policy::default(), &[]);
    let found: Vec<_> =
        report.findings.iter().map(|finding| (finding.id, finding.roots, finding.ignored)).collect();
    assert_eq!(found, [(0, 2, Some(IgnoredBy::Known)), (1, 1, None)]);
    assert_eq!(report.findings[0].fingerprint, report.findings[1].fingerprint);
    assert_eq!(
        report.verdict_reasons,
        [
            "1 rule was broken: see the finding.",
            "1 finding does not count: it is of a known kernel bug (--strict counts it)."
        ]
    );
    let verdicts: Vec<Verdict> = report.tests.iter().map(|test| test.verdict.0).collect();
    assert_eq!(verdicts, [Verdict::Clean, Verdict::Inconclusive, Verdict::Findings]);
}

#[test]
fn it_counts_with_strict_only() {
    let lenient = report(&[bug()], &Policy::default(), &[]);
    assert_eq!((lenient.verdict.0, lenient.findings.len()), (Verdict::Clean, 1));
    assert_eq!(
        lenient.verdict_reasons,
        ["1 finding does not count: it is of a known kernel bug (--strict counts it)."]
    );
    let strict = report(&[bug()], &strict(), &[]);
    assert_eq!((strict.verdict.0, strict.findings[0].ignored), (Verdict::Findings, None));
    assert_eq!(strict.verdict_reasons, ["1 rule was broken: see the finding."]);
    assert_eq!(
        strict.findings[0].known, lenient.findings[0].known,
        "it says what it is, whether it counts or not"
    );
}

#[test]
fn the_ignore_file_comes_before_and_fail_on_after() {
    let fingerprint = report(&[bug()], &Policy::default(), &[]).findings[0].fingerprint.clone();
    let ignore = BTreeSet::from([fingerprint]);
    let fail_on = BTreeSet::from([FindingKind::Leak]);
    let ignored = |policy: Policy| report(&[bug()], &policy, &[]).findings[0].ignored;
    let file = Policy { ignore, ..strict() };
    assert_eq!(ignored(Policy { strict: false, ..file.clone() }), Some(IgnoredBy::IgnoreFile));
    assert_eq!(ignored(file), Some(IgnoredBy::IgnoreFile));
    let kinds = Policy { fail_on, ..strict() };
    assert_eq!(ignored(Policy { strict: false, ..kinds.clone() }), Some(IgnoredBy::Known));
    assert_eq!(ignored(kinds), Some(IgnoredBy::FailOn));
}

#[test]
fn a_known_finding_turns_no_doubt_into_clean() {
    let doubtful = report(&[bug()], &Policy::default(), &["update_bytes_pinned did not attach."]);
    assert_eq!(doubtful.verdict.0, Verdict::Inconclusive);
    assert_eq!(doubtful.verdict_reasons[0], "update_bytes_pinned did not attach.");
    // As the ledger has them: a loss, and a line of the kernel that no finding explains.
    let mut doubted = summary(Verdict::Findings, &["said by the ledger"]);
    doubted.doubts = vec!["2 records were lost.".to_owned()];
    let doubtful = of_summary(&doubted, &[bug()], &Policy::default(), &[]);
    assert_eq!(doubtful.verdict.0, Verdict::Inconclusive);
    assert_eq!(doubtful.verdict_reasons[0], "2 records were lost.");
}

#[test]
fn a_line_of_the_kernel_that_it_explains_stays_explained() {
    let mut said = summary(Verdict::Findings, &["said by the ledger"]);
    said.lines = vec![line(&[0])];
    let report = of_summary(&said, &[bug()], &Policy::default(), &[]);
    assert_eq!(report.verdict.0, Verdict::Clean);
    assert_eq!((&report.kernel_lines[0].finding_ids[..], report.kernel_lines[0].unexplained), (&[0][..], 0));
    assert!(report.findings[0].evidence.iter().any(|line| line.text.starts_with("the kernel said")));
}

#[test]
fn every_format_says_that_it_is_known() {
    let lenient = report(&[bug(), Finding { id: 1, ..leak() }], &Policy::default(), &[]);
    let known = serde_json::to_value(&lenient).unwrap()["findings"][0]["known"].clone();
    let KernelBug { id, title, versions, .. } = CATALOGUE[0];
    let doc = "docs/known/snapshot-prealloc-wrong-subvolume.md";
    assert_eq!(known, json!({ "id": id, "title": title, "versions": versions, "doc": doc }));
    assert_eq!(serde_json::to_value(&lenient).unwrap()["findings"][0]["ignored"], json!("known"));
    assert_eq!(serde_json::to_value(&lenient).unwrap()["findings"][1]["known"], json!(null));
    let wide = Look { width: 400, ..Look::PLAIN };
    let line = format!("   known        {id}: {title}; kernels {versions}; ");
    let brief = text::render(&lenient, wide, Detail::Brief);
    assert!(brief.contains(&(line.clone() + "does not count (--strict counts it)\n")), "{brief}");
    assert!(brief.starts_with("FINDINGS: 1 broken rule (1 more finding does not count)\n"), "{brief}");
    assert!(brief.contains(&format!("   read         docs/findings/wrong-owner.md, {doc}\n")), "{brief}");
    let alone = text::render(&report(&[bug()], &Policy::default(), &[]), wide, Detail::Brief);
    let headline =
        "CLEAN: no finding counts, and nothing that matters was missed (1 finding does not count)\n";
    assert!(alone.starts_with(headline), "{alone}");
    let counted = text::render(&report(&[bug()], &strict(), &[]), wide, Detail::Brief);
    assert!(counted.contains(&(line + "counts (--strict)\n")), "{counted}");
    let mut bytes = Vec::new();
    junit::write(&report(&[bug()], &Policy::default(), &[]), &mut bytes).unwrap();
    let document = String::from_utf8(bytes).unwrap();
    assert!(document.contains("failures=\"0\"") && !document.contains("<failure"), "{document}");
}

/// A finding of each entry, as the ledger makes it.
fn examples() -> BTreeMap<&'static str, Finding> {
    BTreeMap::from([
        ("snapshot-prealloc-wrong-subvolume", bug()),
        ("direct-cow-error-frees-data-twice", direct(DIRECT, &[])),
        ("tree-block-error-frees-metadata-twice", put_back(PUT_BACK)),
    ])
}

#[test]
fn each_known_kernel_bug_has_a_page_and_each_page_its_bug() {
    let folder = format!("{}/../docs/known", env!("CARGO_MANIFEST_DIR"));
    let files =
        std::fs::read_dir(&folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    let pages: BTreeSet<String> = files.filter(|name| name != "README.md").collect();
    let named: BTreeSet<String> = CATALOGUE.iter().map(|bug| format!("{}.md", bug.id)).collect();
    assert_eq!(pages, named);
    assert_eq!(named.len(), CATALOGUE.len(), "two have one id");
    let list = std::fs::read_to_string(format!("{folder}/README.md")).unwrap();
    for bug in CATALOGUE {
        assert!(
            list.contains(&format!("[{}]({}.md)", bug.id, bug.id)),
            "docs/known/README.md does not list {}",
            bug.id
        );
        let path = format!("{folder}/{}.md", bug.id);
        let page = std::fs::read_to_string(&path).unwrap();
        assert!(page.starts_with(&format!("# {}\n", bug.id)), "{path} begins with its id");
        // What stands in the program stands on the page.
        for (name, value) in [
            (
                "breaks",
                format!(
                    "[{kind}](../findings/{kind}.md) of `{}`",
                    bug.account.name(),
                    kind = bug.kind.name()
                ),
            ),
            ("kernels", bug.versions.to_owned()),
            ("evidence", bug.evidence.to_owned()),
            ("upstream fix", bug.upstream_fix.unwrap_or("none that we know of").to_owned()),
            ("heals itself", bug.heals.to_owned()),
        ] {
            let row = format!("| {name} | {value} |\n");
            assert!(page.contains(&row), "{path} lacks the row {row}");
        }
        for part in ["In the kernel", "What follows", "To see it", "What is matched", "Example"] {
            assert!(page.contains(&format!("\n## {part}\n")), "{path} lacks `## {part}`");
        }
        let mut report = report(&[examples()[bug.id].clone()], &Policy::default(), &[]);
        report.findings[0].test = None;
        assert_eq!(report.findings[0].known.as_ref().map(|known| known.id.as_str()), Some(bug.id));
        let (before, rest) = page.split_once("```text\n").expect("an example block");
        let (_, after) = rest.split_once("```\n").expect("the end of the example block");
        let example = text::render_finding(&report.findings[0], Look::PLAIN);
        let now = format!("{before}```text\n{}```\n{after}", example.trim_start_matches('\n'));
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&path, &now).unwrap();
        } else {
            assert!(
                page == now,
                "{path}: regenerate the example with `BLESS=1 cargo test -p probe-user known`"
            );
        }
    }
}
