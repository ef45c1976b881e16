//! Extents on disk that are reserved, and belong to no inode's range any more.
use std::fs::File;

use nix::{
    errno::Errno,
    fcntl::{FallocateFlags, fallocate},
};

use super::super::{
    scenario::{Amount, Bug, Scenario, Sight},
    work::Work,
};

const RESERVED: &str = "space.data.bytes_reserved";
/// What the preallocation asks for.
const EXTENT: i64 = 1 << 20;

const BUG: Bug = Bug {
    kind: "leak",
    account: RESERVED,
    inode: None,
    amount: Amount::Is(EXTENT),
    stack: "",
    origins: false,
    also: &[],
};

pub const ALL: &[Scenario] = &[
    Scenario {
        name: "failed_preallocation_keeps_its_extent",
        what: "a preallocation fails after its extent was reserved, and does not free the extent",
        work: extent_kept,
        functions: Sight::Exact(Bug {
            inode: Some(257),
            stack: "__btrfs_prealloc_file_range|btrfs_reserve_extent",
            origins: true,
            ..BUG
        }),
        tracepoints: Sight::Bounded { bug: BUG, how: "the level at unmount, without who reserved" },
    },
    Scenario {
        name: "failed_preallocation_frees_its_extent_twice",
        what: "a preallocation fails after its extent was reserved, and frees the extent twice",
        work: extent_freed_twice,
        functions: Sight::Exact(Bug {
            kind: "over-release",
            stack: "btrfs_free_reserved_extent",
            also: &[("underflow", RESERVED)],
            ..BUG
        }),
        tracepoints: Sight::Bounded {
            bug: Bug { kind: "underflow", ..BUG },
            how: "the level at unmount, without who freed",
        },
    },
];

fn preallocate(file: &File) -> Errno {
    fallocate(file, FallocateFlags::empty(), 0, EXTENT).expect_err("no memory")
}

/// The file of the work, whose next preallocation fails after it has reserved its extent.
fn failing(work: &Work) -> File {
    work.mount();
    let file = work.numbered("file", 257);
    work.commit();
    work.arm("func=btrfs_replace_file_extents action=skip ret=-12 nth=1");
    file
}

fn extent_kept(work: &Work) {
    let file = failing(work);
    work.arm("func=btrfs_free_reserved_extent action=skip nth=1");
    assert_eq!(preallocate(&file), Errno::ENOMEM);
    work.disarm_after(1);
    drop(file);
    work.umount();
}

fn extent_freed_twice(work: &Work) {
    let file = failing(work);
    work.arm("func=btrfs_free_reserved_extent action=double nth=1");
    assert_eq!(preallocate(&file), Errno::ENOMEM);
    work.disarm_after(1);
    drop(file);
    work.umount();
}
