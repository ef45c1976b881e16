//! Transactions that end and leave something that belongs to them.
use super::super::{
    module,
    scenario::{Amount, Bug, Scenario, Sight},
    work::Work,
};

const PINNED: &str = "space.metadata.bytes_pinned";
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
