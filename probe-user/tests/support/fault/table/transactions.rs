//! Transactions that end and leave something that belongs to them.
use std::fs;

use super::super::{
    module,
    scenario::{Amount, Bug, Scenario, Sight},
    work::{Work, dirty},
};

const PINNED: &str = "space.metadata.bytes_pinned";
const DELAYED_REFS: &str = "fs.delayed_refs_rsv";
const METADATA: &str = "space.metadata.bytes_may_use";
/// What the global reserve gets too much, bytes.
const FILLED: i64 = 131_072;

const BUG: Bug = Bug {
    kind: "leak",
    account: PINNED,
    inode: None,
    amount: Amount::Some,
    stack: "btrfs_commit_transaction",
    origins: false,
    also: &[],
};

pub const ALL: &[Scenario] = &[
    Scenario {
        name: "commit_unpins_nothing",
        what: "a commit does not unpin what its transaction has pinned",
        work: unpins_nothing,
        functions: Sight::Exact(BUG),
        tracepoints: Sight::Exact(BUG),
    },
    Scenario {
        name: "finished_delayed_ref_keeps_its_bytes",
        what: "a delayed ref that has run keeps its bytes in delayed_refs_rsv",
        work: delayed_ref_keeps,
        functions: Sight::Exact(Bug { account: "fs.delayed_refs_rsv", ..BUG }),
        tracepoints: Sight::Bounded {
            bug: Bug {
                account: "fs.delayed_refs_rsv",
                stack: "",
                also: &[("leak", "space.metadata.bytes_may_use")],
                ..BUG
            },
            how: "when a commit has ended and no transaction runs",
        },
    },
    Scenario {
        name: "dropped_data_keeps_the_bytes_of_its_checksums",
        what: "a delayed ref that drops data has run, and what its checksums had reserved stays in delayed_refs_rsv",
        work: dropped_data_keeps,
        functions: Sight::Exact(Bug {
            account: DELAYED_REFS,
            stack: "btrfs_cleanup_ref_head_accounting",
            also: &[("leak", METADATA)],
            ..BUG
        }),
        tracepoints: Sight::Bounded {
            bug: Bug { account: DELAYED_REFS, stack: "", also: &[("leak", METADATA)], ..BUG },
            how: "when a commit has ended and no transaction runs",
        },
    },
    Scenario {
        name: "unpinned_bytes_fill_the_global_reserve_uncounted",
        what: "a commit unpins bytes into the global reserve, and does not count them in bytes_may_use",
        work: filled_uncounted,
        functions: Sight::Exact(Bug {
            kind: "over-release",
            account: METADATA,
            stack: "btrfs_finish_extent_commit",
            also: &[("underflow", METADATA)],
            ..BUG
        }),
        tracepoints: Sight::Bounded {
            bug: Bug {
                kind: "underflow",
                account: METADATA,
                amount: Amount::Is(3 * FILLED),
                stack: "",
                ..BUG
            },
            how: "as the level at unmount",
        },
    },
];

/// The transaction that is committed next has begun after the tool was attached.
fn settle(work: &Work) {
    work.mount();
    for number in 0..3 {
        drop(work.numbered(&format!("file{number}"), 257 + number));
        work.commit();
    }
}

fn unpins_nothing(work: &Work) {
    settle(work);
    module::arm("func=btrfs_finish_extent_commit action=skip times=1");
    drop(work.numbered("last", 260));
    work.commit();
    work.disarm_after(1);
    work.commit();
    work.umount();
}

fn delayed_ref_keeps(work: &Work) {
    settle(work);
    module::arm("func=btrfs_delayed_refs_rsv_release action=skip times=1");
    drop(work.numbered("last", 260));
    work.commit();
    work.disarm_after(1);
    work.commit();
    work.umount();
}

/// A head of data that is dropped releases for its checksums too; other heads for themselves alone, or nothing.
fn dropped_data_keeps(work: &Work) {
    settle(work);
    let file = work.numbered("data", 260);
    dirty(&file, 0);
    work.commit();
    drop(file);
    fs::remove_file(work.path.join("data")).expect("the file");
    // The leaves of checksums: from 6.7 on an argument of their own. Before that part of the one and only number, in a call that is a jump.
    let of_checksums = if module::kernel_is("6.1.") {
        "value=1:2"
    } else {
        "value=2:1 caller=btrfs_cleanup_ref_head_accounting"
    };
    module::arm(&format!("func=btrfs_delayed_refs_rsv_release action=skip times=1 {of_checksums}"));
    work.commit();
    work.disarm_after(1);
    work.commit();
    work.umount();
}

fn filled_uncounted(work: &Work) {
    settle(work);
    // Under the lock, behind the change of `bytes_pinned`. Several commits: in one of them the range may not be compared.
    let fault = "func=btrfs_try_granting_tickets caller=unpin_extent_range times=3";
    module::arm_poke("global_block_rsv", FILLED, fault);
    for number in 0..5 {
        drop(work.numbered(&format!("later{number}"), 260 + number));
        work.commit();
    }
    work.disarm_after(3);
    work.commit();
    work.umount();
}
