//! The counters and the reserve of one inode.
use super::super::scenario::{Amount, Bug, Scenario, Sight};
use super::super::work::{APART, LENGTH, Work, dirty};

const LEFT: &[(&str, &str)] = &[
    ("leak", "inode.meta_rsv"),
    ("leak", "inode.outstanding_extents"),
    ("leak", "inode.csum_bytes"),
    ("leak", "space.metadata.bytes_may_use"),
];
const WRAPPED: &[(&str, &str)] = &[
    ("underflow", "inode.outstanding_extents"),
    ("underflow", "inode.csum_bytes"),
    ("leak", "inode.outstanding_extents"),
    ("leak", "inode.csum_bytes"),
    ("leak", "inode.meta_rsv"),
    ("leak", "space.metadata.bytes_may_use"),
];

pub const ALL: &[Scenario] = &[
    Scenario {
        name: "release_extents_twice",
        what: "btrfs_delalloc_release_extents is called twice at the end of one write",
        work: release_extents_twice,
        functions: Sight::Exact(Bug {
            kind: "over-release",
            account: "inode.outstanding_extents",
            inode: Some(257),
            amount: Amount::Is(1),
            stack: "btrfs_delalloc_release_extents",
            origins: true,
            also: WRAPPED,
        }),
        tracepoints: Sight::Bounded {
            bug: Bug {
                kind: "underflow",
                account: "inode.outstanding_extents",
                inode: Some(257),
                amount: Amount::Some,
                stack: "btrfs_remove_ordered_extent",
                origins: true,
                also: WRAPPED,
            },
            how: "when the counter wraps, in the call that comes to it last",
        },
    },
    Scenario {
        name: "release_metadata_twice",
        what: "btrfs_delalloc_release_metadata is called twice at the end of one ordered extent",
        work: release_metadata_twice,
        functions: Sight::Exact(Bug {
            kind: "over-release",
            account: "inode.csum_bytes",
            inode: Some(257),
            amount: Amount::Is(LENGTH as i64),
            stack: "btrfs_remove_ordered_extent",
            origins: true,
            also: WRAPPED,
        }),
        tracepoints: Sight::Bounded {
            bug: Bug {
                kind: "underflow",
                account: "inode.csum_bytes",
                inode: Some(257),
                amount: Amount::Is(LENGTH as i64),
                stack: "btrfs_destroy_inode",
                origins: true,
                also: WRAPPED,
            },
            how: "when the inode is destroyed",
        },
    },
    Scenario {
        name: "release_extents_forgotten",
        what: "a write never calls btrfs_delalloc_release_extents",
        work: release_extents_forgotten,
        functions: Sight::Exact(Bug {
            kind: "leak",
            account: "inode.outstanding_extents",
            inode: Some(257),
            amount: Amount::Is(1),
            stack: "btrfs_delalloc_reserve_metadata",
            origins: true,
            also: LEFT,
        }),
        tracepoints: Sight::Exact(Bug {
            kind: "leak",
            account: "inode.outstanding_extents",
            inode: Some(257),
            amount: Amount::Is(1),
            stack: "btrfs_destroy_inode",
            origins: true,
            also: LEFT,
        }),
    },
    Scenario {
        name: "release_metadata_forgotten",
        what: "an ordered extent ends without btrfs_delalloc_release_metadata",
        work: release_metadata_forgotten,
        functions: Sight::Exact(Bug {
            kind: "leak",
            account: "inode.csum_bytes",
            inode: Some(257),
            amount: Amount::Is(LENGTH as i64),
            stack: "btrfs_remove_ordered_extent",
            origins: true,
            also: LEFT,
        }),
        tracepoints: Sight::Exact(Bug {
            kind: "leak",
            account: "inode.csum_bytes",
            inode: Some(257),
            amount: Amount::Is(LENGTH as i64),
            stack: "btrfs_destroy_inode",
            origins: true,
            also: LEFT,
        }),
    },
    Scenario {
        name: "reserve_never_released",
        what: "the counters of an inode go down, and btrfs_inode_rsv_release is never called for it",
        work: reserve_never_released,
        functions: Sight::Exact(Bug {
            kind: "leak",
            account: "inode.meta_rsv",
            inode: Some(257),
            amount: Amount::Noted("metadata"),
            stack: "btrfs_delalloc_release_metadata",
            origins: true,
            also: LEFT,
        }),
        tracepoints: Sight::Exact(Bug {
            kind: "leak",
            account: "inode.meta_rsv",
            inode: Some(257),
            amount: Amount::Noted("metadata"),
            stack: "btrfs_destroy_inode",
            origins: true,
            also: LEFT,
        }),
    },
    Scenario {
        name: "counted_without_event",
        what: "outstanding_extents of an inode goes up by one, and no event tells it",
        work: counted_without_event,
        functions: SLIPPED,
        tracepoints: SLIPPED,
    },
];
/// The extent is never taken back: what it holds stays behind too.
const SLIPPED: Sight = Sight::Bounded {
    bug: Bug {
        kind: "counter-mismatch",
        account: "inode.outstanding_extents",
        inode: Some(257),
        amount: Amount::Is(1),
        stack: "btrfs_delalloc_release_extents",
        origins: true,
        also: LEFT,
    },
    how: "one-sided: at the next change, whose event shows another counter before it than the change before had left",
};

fn counted_without_event(work: &Work) {
    work.mount();
    let file = work.numbered("file", 257);
    dirty(&file, 0);
    work.arm_for(&file, "func=btrfs_delalloc_release_extents action=slip by=1 nth=1");
    dirty(&file, APART);
    work.disarm_after(1);
    drop(file);
    work.umount();
}

fn release_extents_twice(work: &Work) {
    work.mount();
    let file = work.numbered("file", 257);
    dirty(&file, 0);
    work.arm_for(&file, "func=btrfs_delalloc_release_extents action=double nth=1");
    dirty(&file, APART);
    work.disarm_after(1);
    drop(file);
    work.umount();
}

fn release_metadata_twice(work: &Work) {
    work.mount();
    let file = work.numbered("file", 257);
    dirty(&file, 0);
    dirty(&file, APART);
    work.arm_for(
        &file,
        "func=btrfs_delalloc_release_metadata action=double nth=1 caller=btrfs_remove_ordered_extent",
    );
    file.sync_all().unwrap();
    work.disarm_after(1);
    drop(file);
    work.umount();
}

fn release_extents_forgotten(work: &Work) {
    work.mount();
    let file = work.numbered("file", 257);
    work.arm_for(&file, "func=btrfs_delalloc_release_extents action=skip nth=1");
    dirty(&file, 0);
    work.disarm_after(1);
    drop(file);
    work.umount();
}

fn release_metadata_forgotten(work: &Work) {
    work.mount();
    let file = work.numbered("file", 257);
    dirty(&file, 0);
    work.arm_for(
        &file,
        "func=btrfs_delalloc_release_metadata action=skip nth=1 caller=btrfs_remove_ordered_extent",
    );
    file.sync_all().unwrap();
    work.disarm_after(1);
    drop(file);
    work.umount();
}

fn reserve_never_released(work: &Work) {
    work.mount();
    let file = work.numbered("file", 257);
    work.commit();
    work.arm_for(&file, "func=btrfs_inode_rsv_release action=skip");
    dirty(&file, 0);
    file.sync_all().unwrap();
    work.disarm();
    work.note_residue();
    drop(file);
    work.umount();
}
