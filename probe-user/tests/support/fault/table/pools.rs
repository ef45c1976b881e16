//! Data, transactions, delayed inodes, qgroups.
use super::super::scenario::{Amount, Bug, Scenario, Sight};
use super::super::work::{APART, LENGTH, Work, dirty};

/// Dirty data is thrown away page by page.
const PAGE: i64 = 4096;
/// One update of an item.
const UPDATE: i64 = 131_072;

const BUG: Bug = Bug {
    kind: "leak",
    account: "space.data.bytes_may_use",
    inode: None,
    amount: Amount::Is(PAGE),
    stack: "close_ctree",
    origins: true,
    also: &[],
};

pub const ALL: &[Scenario] = &[
    Scenario {
        name: "data_freed_twice",
        what: "dirty data that is cut off is freed twice, while other data is reserved",
        work: data_freed_twice,
        functions: Sight::Exact(Bug {
            kind: "over-release",
            stack: "btrfs_clear_delalloc_extent",
            also: &[("underflow", "space.data.bytes_may_use")],
            ..BUG
        }),
        tracepoints: Sight::Bounded {
            bug: Bug {
                kind: "underflow",
                account: "space.data.bytes_may_use",
                inode: None,
                amount: Amount::Is(PAGE),
                stack: "btrfs_add_reserved_bytes",
                origins: false,
                also: &[],
            },
            how: "when the rest is taken out, in the call that comes to it last",
        },
    },
    Scenario {
        name: "data_never_freed",
        what: "dirty data that is cut off is not freed",
        work: data_never_freed,
        functions: Sight::Exact(Bug { inode: Some(257), stack: "btrfs_clear_delalloc_extent", ..BUG }),
        tracepoints: Sight::Bounded {
            bug: Bug {
                kind: "leak",
                account: "space.data.bytes_may_use",
                inode: None,
                amount: Amount::Is(PAGE),
                stack: "",
                origins: false,
                also: &[],
            },
            how: "the level at unmount, without who reserved",
        },
    },
    Scenario {
        name: "transaction_never_released",
        what: "a transaction handle ends without btrfs_trans_release_metadata",
        work: transaction_never_released,
        functions: Sight::Exact(Bug {
            account: "trans.rsv",
            amount: Amount::Some,
            // Where the handle ends, unless the task's next handle takes its place in memory: then it looks like the next
            // use of one and the same, and the bytes are missed at unmount.
            stack: "__btrfs_end_transaction|close_ctree",
            also: &[("leak", "space.metadata.bytes_may_use")],
            ..BUG
        }),
        tracepoints: Sight::Bounded {
            bug: Bug {
                kind: "leak",
                account: "trans.rsv",
                inode: None,
                amount: Amount::Some,
                stack: "",
                origins: true,
                also: &[("leak", "space.metadata.bytes_may_use")],
            },
            how: "the level at unmount, with who reserves from the pool",
        },
    },
    Scenario {
        name: "delayed_inode_never_released",
        what: "a delayed inode is written without btrfs_delayed_inode_release_metadata",
        work: delayed_inode_never_released,
        functions: Sight::Exact(Bug {
            account: "fs.delayed_rsv",
            inode: Some(257),
            amount: Amount::Is(UPDATE),
            stack: "btrfs_commit_transaction",
            origins: true,
            also: &[("leak", "space.metadata.bytes_may_use")],
            ..BUG
        }),
        tracepoints: Sight::Exact(Bug {
            kind: "leak",
            account: "fs.delayed_rsv",
            inode: Some(257),
            amount: Amount::Is(UPDATE),
            stack: "btrfs_delayed_update_inode",
            origins: true,
            also: &[("leak", "space.metadata.bytes_may_use")],
        }),
    },
    Scenario {
        name: "qgroup_data_never_freed",
        what: "dirty data that is cut off stays booked in its qgroup",
        work: qgroup_data_never_freed,
        functions: Sight::Exact(Bug {
            account: "inode.qgroup_data",
            inode: Some(257),
            amount: Amount::Is(LENGTH as i64),
            stack: "btrfs_clear_delalloc_extent|btrfs_destroy_inode|btrfs_qgroup_reserve_data",
            ..BUG
        }),
        tracepoints: Sight::Bounded {
            bug: Bug {
                account: "inode.qgroup_data",
                inode: None,
                amount: Amount::Is(LENGTH as i64),
                stack: "",
                origins: true,
                ..BUG
            },
            how: "at unmount, with the subvolume and who reserves in its qgroup, without the inode",
        },
    },
];

/// As a missing or a second call in the path that throws dirty pages away.
fn cut_off(work: &Work, action: &str) {
    work.mount();
    let file = work.numbered("file", 257);
    let cover = work.numbered("cover", 258);
    for at in 0..4 {
        dirty(&cover, at * APART);
    }
    dirty(&file, 0);
    work.arm(&format!(
        "func=btrfs_free_reserved_data_space_noquota action={action} nth=1 caller=btrfs_clear_delalloc_extent"
    ));
    file.set_len(0).unwrap();
    work.disarm_after(1);
    drop((file, cover));
    work.umount();
}

fn data_freed_twice(work: &Work) {
    cut_off(work, "double");
}

fn data_never_freed(work: &Work) {
    cut_off(work, "skip");
}

fn transaction_never_released(work: &Work) {
    work.mount();
    work.file("first");
    work.commit();
    work.arm("func=btrfs_trans_release_metadata action=skip nth=1");
    work.file("second");
    work.disarm_after(1);
    work.note_residue();
    work.umount();
}

fn delayed_inode_never_released(work: &Work) {
    work.mount();
    let file = work.numbered("file", 257);
    work.commit();
    work.arm("func=btrfs_delayed_inode_release_metadata action=skip nth=1");
    file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    work.commit();
    work.disarm();
    work.note_residue();
    drop(file);
    work.umount();
}

fn qgroup_data_never_freed(work: &Work) {
    work.mount();
    work.quota();
    let file = work.numbered("file", 257);
    work.commit();
    dirty(&file, 0);
    work.arm_for(&file, "func=btrfs_qgroup_free_data action=skip");
    file.set_len(0).unwrap();
    work.disarm();
    drop(file);
    work.umount();
}
