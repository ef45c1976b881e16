//! Reservations in qgroups, and the nodes and handles that hold bytes for a while.
use std::fs;

use nix::errno::Errno;

use super::super::{
    module,
    scenario::{Amount, Bug, Scenario, Sight},
    work::{APART, LENGTH, Work, dirty, dirty_fails},
};

/// A reservation of metadata fails for a write.
const FAIL: &str = "func=btrfs_reserve_metadata_bytes action=skip ret=-28 enospc nth=1 caller=btrfs_delalloc_reserve_metadata";
/// `BTRFS_QGROUP_RSV_DATA`, the fourth argument of `btrfs_qgroup_free_refroot`.
const OF_DATA: &str = "func=btrfs_qgroup_free_refroot value=3:0";
/// One extent, one item: a node.
const NODE: i64 = 16_384;
/// One update of an item.
const UPDATE: i64 = 131_072;

const PREALLOC: &str = "root.qgroup_meta_prealloc";
const DATA: &str = "inode.qgroup_data";

const BUG: Bug = Bug {
    kind: "leak",
    account: PREALLOC,
    inode: Some(257),
    amount: Amount::Is(NODE),
    stack: "",
    origins: false,
    also: &[],
};

/// Prealloc that a task keeps is converted in place of what a delayed inode never took, and is free at the next commit.
const HEALS: Sight = Sight::NotVisible(
    "no event shows who holds prealloc; the kernel converts it later in place of what a delayed inode never took",
);
/// The kernel's log and the chain agree.
const AT_UNMOUNT: &str = "at unmount, with the subvolume and who reserves in its qgroup, without the inode";
const PREALLOC_AT_UNMOUNT: &str =
    "at unmount, if nothing has used up the bytes by then, with the subvolume and who reserves in its qgroup";
const DATA_AT_UNMOUNT: Sight = Sight::Bounded {
    bug: Bug { account: DATA, inode: None, amount: Amount::Is(LENGTH as i64), origins: true, ..BUG },
    how: AT_UNMOUNT,
};

pub const ALL: &[Scenario] = &[
    Scenario {
        name: "prealloc_kept_by_a_failed_write",
        what: "a reservation fails, and the prealloc of its qgroup is kept",
        work: |work| failed_write(work, "skip"),
        functions: Sight::Exact(Bug {
            kind: "error-path-leak",
            stack: "btrfs_delalloc_reserve_metadata",
            origins: true,
            ..BUG
        }),
        tracepoints: Sight::Bounded {
            bug: Bug { inode: None, origins: true, ..BUG },
            how: PREALLOC_AT_UNMOUNT,
        },
    },
    Scenario {
        name: "prealloc_freed_twice_by_a_failed_write",
        what: "a reservation fails, and the prealloc of its qgroup is freed twice",
        work: |work| failed_write(work, "double"),
        functions: Sight::Exact(Bug {
            kind: "error-path-over-release",
            stack: "btrfs_delalloc_reserve_metadata",
            origins: true,
            ..BUG
        }),
        tracepoints: HEALS,
    },
    Scenario {
        name: "prealloc_of_a_write_kept",
        what: "a write ends, and the prealloc that its inode releases stays in the qgroup",
        work: write_keeps_prealloc,
        functions: Sight::Exact(Bug { stack: "btrfs_inode_rsv_release", ..BUG }),
        tracepoints: HEALS,
    },
    Scenario {
        name: "prealloc_kept_by_a_failed_transaction",
        what: "start_transaction fails, and the prealloc of its qgroup is kept",
        work: failed_transaction,
        functions: Sight::Exact(Bug {
            kind: "error-path-leak",
            inode: None,
            amount: Amount::Some,
            stack: "start_transaction",
            origins: true,
            ..BUG
        }),
        tracepoints: Sight::Bounded {
            bug: Bug { inode: None, amount: Amount::Some, origins: true, ..BUG },
            how: PREALLOC_AT_UNMOUNT,
        },
    },
    Scenario {
        name: "prealloc_of_a_delayed_inode_kept",
        what: "a delayed inode is written, and its prealloc is not converted",
        work: delayed_inode_keeps_prealloc,
        functions: Sight::Exact(Bug {
            amount: Amount::Is(UPDATE),
            stack: "btrfs_delayed_inode_release_metadata",
            ..BUG
        }),
        tracepoints: HEALS,
    },
    Scenario {
        name: "freed_data_stays_in_the_qgroup",
        what: "the mark of a range is freed, and the qgroup's counter keeps its bytes",
        work: |work| cut_off(work, "skip"),
        functions: Sight::Exact(Bug {
            account: DATA,
            amount: Amount::Is(LENGTH as i64),
            stack: "btrfs_qgroup_free_data|btrfs_invalidate_folio",
            origins: true,
            ..BUG
        }),
        tracepoints: DATA_AT_UNMOUNT,
    },
    Scenario {
        name: "freed_data_leaves_the_qgroup_twice",
        what: "the mark of a range is freed, and the qgroup's counter loses its bytes twice",
        work: |work| cut_off(work, "double"),
        functions: Sight::Exact(Bug {
            kind: "over-release",
            account: DATA,
            amount: Amount::Is(LENGTH as i64),
            stack: "btrfs_qgroup_free_data|btrfs_invalidate_folio",
            origins: true,
            also: &[("underflow", DATA)],
            ..BUG
        }),
        tracepoints: Sight::Bounded {
            bug: Bug { kind: "underflow", account: DATA, inode: None, amount: Amount::Some, ..BUG },
            how: "when the counter goes below zero, without the inode",
        },
    },
    Scenario {
        name: "written_data_stays_in_the_qgroup",
        what: "data is written, and a commit does not free what its qgroup had reserved for it",
        work: written_data,
        functions: Sight::Bounded {
            bug: Bug { account: DATA, inode: None, amount: Amount::Is(LENGTH as i64), ..BUG },
            how: "in that commit, with the subvolume and without the inode",
        },
        tracepoints: DATA_AT_UNMOUNT,
    },
    Scenario {
        name: "pertrans_never_freed",
        what: "commits do not free what qgroups had reserved for their transaction",
        work: pertrans,
        functions: Sight::Bounded {
            bug: Bug { account: "root.qgroup_meta_pertrans", inode: None, amount: Amount::Some, ..BUG },
            how: "at unmount, with the subvolume: writes convert what they reserved in the next transaction too",
        },
        tracepoints: Sight::Bounded {
            bug: Bug { account: "root.qgroup_meta_pertrans", inode: None, amount: Amount::Some, ..BUG },
            how: "at unmount, with the subvolume",
        },
    },
    Scenario {
        name: "delayed_inode_keeps_its_bytes",
        what: "btrfs_delayed_inode_release_metadata does not release delayed_block_rsv",
        work: delayed_inode_keeps_bytes,
        functions: Sight::Exact(Bug {
            account: "fs.delayed_rsv",
            amount: Amount::Is(UPDATE),
            stack: "btrfs_delayed_inode_release_metadata",
            origins: true,
            also: &[("leak", "space.metadata.bytes_may_use")],
            ..BUG
        }),
        tracepoints: Sight::Bounded {
            bug: Bug {
                account: "fs.delayed_rsv",
                inode: None,
                amount: Amount::Is(UPDATE),
                origins: true,
                also: &[("leak", "space.metadata.bytes_may_use")],
                ..BUG
            },
            how: "the level at unmount, with who reserves from the pool",
        },
    },
    Scenario {
        name: "handle_keeps_its_bytes",
        what: "btrfs_trans_release_metadata does not release trans_block_rsv",
        work: handle_keeps_bytes,
        functions: Sight::Exact(Bug {
            account: "trans.rsv",
            inode: None,
            amount: Amount::Some,
            stack: "btrfs_trans_release_metadata",
            origins: true,
            also: &[("leak", "space.metadata.bytes_may_use")],
            ..BUG
        }),
        tracepoints: Sight::Bounded {
            bug: Bug {
                account: "trans.rsv",
                inode: None,
                amount: Amount::Some,
                origins: true,
                also: &[("leak", "space.metadata.bytes_may_use")],
                ..BUG
            },
            how: "the level at unmount, with who reserves from the pool",
        },
    },
    Scenario {
        name: "failed_growth_undone_twice",
        what: "a file grows, cannot reserve metadata for what was its last block, and frees the block's data twice",
        work: failed_growth,
        functions: Sight::Exact(Bug {
            kind: "error-path-over-release",
            account: "space.data.bytes_may_use",
            amount: Amount::Is(4096),
            stack: "btrfs_truncate_block",
            origins: true,
            also: &[("underflow", "space.data.bytes_may_use")],
            ..BUG
        }),
        tracepoints: Sight::Bounded {
            bug: Bug {
                kind: "underflow",
                account: "space.data.bytes_may_use",
                inode: None,
                amount: Amount::Is(4096),
                ..BUG
            },
            how: "when the rest is taken out, in the call that comes to it last",
        },
    },
];

fn failed_write(work: &Work, action: &str) {
    work.mount();
    work.quota();
    let file = work.numbered("file", 257);
    work.commit();
    work.arm(FAIL);
    work.arm(&format!(
        "func=__btrfs_qgroup_free_meta action={action} nth=1 caller=btrfs_delalloc_reserve_metadata"
    ));
    dirty_fails(&file, 0, Errno::ENOSPC as i32);
    work.disarm_after(1);
    drop(file);
    work.umount();
}

fn write_keeps_prealloc(work: &Work) {
    work.mount();
    work.quota();
    let file = work.numbered("file", 257);
    work.commit();
    dirty(&file, 0);
    // The first that asks for one extent: a delayed inode asks for more, and nobody starts a transaction.
    module::arm(&format!("func=btrfs_qgroup_convert_reserved_meta action=skip nth=1 value=1:{NODE}"));
    work.commit();
    work.disarm_after(1);
    drop(file);
    work.umount();
}

fn failed_transaction(work: &Work) {
    work.mount();
    work.quota();
    drop(work.numbered("file", 257));
    work.commit();
    work.arm("func=btrfs_reserve_metadata_bytes action=skip ret=-28 enospc nth=1");
    work.arm("func=__btrfs_qgroup_free_meta action=skip nth=1 caller=start_transaction");
    let error = fs::create_dir(work.path.join("folder")).expect_err("no space");
    assert_eq!(error.raw_os_error(), Some(Errno::ENOSPC as i32), "{error}");
    work.disarm_after(1);
    work.umount();
}

fn delayed_inode_keeps_prealloc(work: &Work) {
    work.mount();
    work.quota();
    let file = work.numbered("file", 257);
    work.commit();
    module::arm(
        "func=btrfs_qgroup_convert_reserved_meta action=skip nth=1 caller=btrfs_delayed_inode_release_metadata",
    );
    dirty(&file, 0);
    work.commit();
    work.disarm_after(1);
    drop(file);
    work.umount();
}

/// Dirty data is thrown away while other data of the inode stays in the qgroup.
fn cut_off(work: &Work, action: &str) {
    work.mount();
    work.quota();
    let file = work.numbered("file", 257);
    work.commit();
    dirty(&file, 0);
    work.arm(&format!("{OF_DATA} action={action}"));
    file.set_len(0).expect("a truncation");
    work.disarm();
    drop(file);
    work.umount();
}

fn written_data(work: &Work) {
    work.mount();
    work.quota();
    let file = work.numbered("file", 257);
    work.commit();
    dirty(&file, 0);
    module::arm(&format!("func=btrfs_qgroup_free_refroot action=skip nth=1 value=2:{LENGTH}"));
    work.commit();
    work.disarm_after(1);
    drop(file);
    work.umount();
}

fn pertrans(work: &Work) {
    work.mount();
    work.quota();
    let file = work.numbered("file", 257);
    work.commit();
    module::arm("func=btrfs_qgroup_free_meta_all_pertrans action=skip");
    dirty(&file, 0);
    dirty(&file, APART);
    work.commit();
    drop(file);
    work.umount();
    work.disarm();
}

fn delayed_inode_keeps_bytes(work: &Work) {
    work.mount();
    let file = work.numbered("file", 257);
    work.commit();
    module::arm("func=btrfs_block_rsv_release action=skip nth=1 caller=btrfs_delayed_inode_release_metadata");
    dirty(&file, 0);
    work.commit();
    work.disarm_after(1);
    drop(file);
    work.umount();
}

fn handle_keeps_bytes(work: &Work) {
    work.mount();
    drop(work.numbered("file", 257));
    work.commit();
    work.arm("func=btrfs_block_rsv_release action=skip nth=1 caller=btrfs_trans_release_metadata");
    fs::create_dir(work.path.join("folder")).expect("a folder");
    work.disarm_after(1);
    work.umount();
}

fn failed_growth(work: &Work) {
    work.mount();
    let file = work.numbered("file", 257);
    let cover = work.numbered("cover", 258);
    dirty(&file, 0);
    file.set_len(LENGTH - 100).expect("a truncation");
    work.commit();
    for at in 0..4 {
        dirty(&cover, at * APART);
    }
    work.arm(FAIL);
    work.arm_for(&file, "func=btrfs_free_reserved_data_space action=double nth=1");
    let error = file.set_len(APART).expect_err("no space");
    assert_eq!(error.raw_os_error(), Some(Errno::ENOSPC as i32), "{error}");
    work.disarm_after(1);
    drop((file, cover));
    work.umount();
}
