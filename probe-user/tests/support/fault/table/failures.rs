//! Reservations that fail, and releases that go elsewhere.
use std::fs::File;
use std::os::fd::AsRawFd;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::errno::Errno;

use super::super::module;
use super::super::scenario::{Amount, Bug, Scenario, Sight};
use super::super::work::{APART, LENGTH, Work, dirty, dirty_fails};

/// A reservation of metadata fails in the reservation itself, as it does when there is no space.
const FAIL: &str = "func=btrfs_reserve_metadata_bytes action=skip ret=-28 enospc nth=1 caller=btrfs_delalloc_reserve_metadata";
/// It becomes visible before it is made, and fails. Armed after a `remember` of the call that it happens in.
const PUBLISH: &str = "func=btrfs_reserve_metadata_bytes action=publish ret=-28 enospc nth=1 caller=btrfs_delalloc_reserve_metadata";
const REMEMBER: &str = "func=btrfs_delalloc_reserve_metadata action=remember nth=1";
/// What one more extent and its checksums add to the size of an inode's reserve: one tree insertion, since the
/// checksums fit into a leaf that is counted already.
const ONE_EXTENT: i64 = 262_144;

const BUG: Bug = Bug {
    kind: "error-path-leak",
    account: "space.data.bytes_may_use",
    inode: None,
    amount: Amount::Is(LENGTH as i64),
    stack: "btrfs_do_write_iter",
    origins: true,
    also: &[],
};
const PUBLISHED: Bug = Bug {
    kind: "publish-before-reserve",
    account: "inode.outstanding_extents",
    inode: Some(257),
    amount: Amount::Is(1),
    origins: false,
    stack: "btrfs_delalloc_reserve_metadata",
    ..BUG
};

pub const ALL: &[Scenario] = &[
    Scenario {
        name: "failure_not_undone",
        what: "a reservation fails, and the data that was reserved before it is kept",
        work: failure_not_undone,
        functions: Sight::Exact(BUG),
        tracepoints: Sight::Bounded {
            bug: Bug {
                kind: "leak",
                account: "space.data.bytes_may_use",
                inode: None,
                amount: Amount::Is(LENGTH as i64),
                stack: "",
                origins: false,
                also: &[],
            },
            how: "the level at unmount, without who reserved",
        },
    },
    Scenario {
        name: "failure_undone_twice",
        what: "a reservation fails, and the data that was reserved before it is freed twice",
        work: failure_undone_twice,
        functions: Sight::Exact(Bug {
            kind: "error-path-over-release",
            also: &[("underflow", "space.data.bytes_may_use")],
            ..BUG
        }),
        tracepoints: Sight::Bounded {
            bug: Bug {
                kind: "underflow",
                account: "space.data.bytes_may_use",
                inode: None,
                amount: Amount::Is(LENGTH as i64),
                stack: "btrfs_add_reserved_bytes",
                origins: false,
                also: &[],
            },
            how: "when the rest is taken out, in the call that comes to it last",
        },
    },
    Scenario {
        name: "published_then_counters_undone",
        what: "the counters of an inode show a reservation that then fails; nobody raced, the counters are undone",
        work: published_then_counters_undone,
        functions: Sight::Exact(PUBLISHED),
        tracepoints: Sight::Exact(PUBLISHED),
    },
    Scenario {
        name: "published_then_released",
        what: "the same, and bytes are freed that were never reserved",
        work: published_then_released,
        functions: Sight::Exact(Bug {
            kind: "error-path-over-release",
            account: "inode.meta_rsv",
            inode: Some(257),
            amount: Amount::Is(ONE_EXTENT),
            also: &[("publish-before-reserve", "inode.outstanding_extents")],
            ..BUG
        }),
        tracepoints: Sight::Bounded {
            bug: Bug {
                kind: "error-path-over-release",
                account: "inode.meta_rsv",
                inode: Some(257),
                amount: Amount::Is(ONE_EXTENT),
                origins: false,
                stack: "btrfs_delalloc_reserve_metadata",
                also: &[("publish-before-reserve", "inode.outstanding_extents")],
            },
            how: "one-sided: whether a release had left the bytes is not visible",
        },
    },
    Scenario {
        name: "published_raced_then_counters_undone",
        what: "a release on the inode leaves bytes for a reservation that then fails, and only the counters are undone",
        work: published_raced_then_counters_undone,
        functions: Sight::Exact(Bug {
            kind: "error-path-leak",
            account: "inode.meta_rsv",
            inode: Some(257),
            amount: Amount::Noted("metadata"),
            also: &[
                ("publish-before-reserve", "inode.outstanding_extents"),
                ("leak", "inode.meta_rsv"),
                ("leak", "space.metadata.bytes_may_use"),
            ],
            ..BUG
        }),
        tracepoints: Sight::Bounded {
            bug: Bug {
                kind: "leak",
                account: "inode.meta_rsv",
                inode: Some(257),
                amount: Amount::Noted("metadata"),
                stack: "btrfs_destroy_inode",
                origins: true,
                also: &[
                    ("leak", "space.metadata.bytes_may_use"),
                    ("publish-before-reserve", "inode.outstanding_extents"),
                ],
            },
            how: "as what the inode still holds when it is destroyed",
        },
    },
    Scenario {
        name: "published_raced_then_released",
        what: "the same, and what the release left is freed, as is right",
        work: published_raced_then_released,
        functions: Sight::Exact(PUBLISHED),
        tracepoints: Sight::Bounded {
            bug: Bug { also: &[("error-path-over-release", "inode.meta_rsv")], ..PUBLISHED },
            how: "and what is freed is named too, one-sided: that a release had left it is not visible",
        },
    },
    Scenario {
        name: "released_on_the_wrong_inode",
        what: "a write ends with btrfs_delalloc_release_extents of another inode",
        work: released_on_the_wrong_inode,
        functions: Sight::Exact(Bug {
            kind: "wrong-owner",
            account: "inode.outstanding_extents",
            inode: Some(258),
            amount: Amount::Is(1),
            also: &[
                ("leak", "inode.outstanding_extents"),
                ("leak", "inode.meta_rsv"),
                ("underflow", "inode.outstanding_extents"),
                ("over-release", "inode.outstanding_extents"),
                ("leak", "space.metadata.bytes_may_use"),
            ],
            ..BUG
        }),
        tracepoints: Sight::Bounded {
            bug: Bug {
                kind: "underflow",
                account: "inode.outstanding_extents",
                inode: Some(258),
                amount: Amount::Some,
                stack: "btrfs_remove_ordered_extent",
                origins: true,
                also: &[
                    ("leak", "inode.outstanding_extents"),
                    ("leak", "inode.meta_rsv"),
                    ("leak", "space.metadata.bytes_may_use"),
                ],
            },
            how: "as a counter that wraps on one inode and one that is left on the other",
        },
    },
];

/// A write fails while other data is reserved; the call that gives its data back is dealt with.
fn undone(work: &Work, action: &str) {
    work.mount();
    let file = work.numbered("file", 257);
    let cover = work.numbered("cover", 258);
    work.commit();
    for at in 0..4 {
        dirty(&cover, at * APART);
    }
    work.arm(FAIL);
    work.arm_for(&file, &format!("func=btrfs_free_reserved_data_space action={action} nth=1"));
    dirty_fails(&file, 0, Errno::ENOSPC as i32);
    work.disarm_after(1);
    drop((file, cover));
    work.umount();
}

fn failure_not_undone(work: &Work) {
    undone(work, "skip");
}

fn failure_undone_twice(work: &Work) {
    undone(work, "double");
}

/// One extent of the file is dirty, a second is published and fails.
fn published(work: &Work, undo: &str) {
    work.mount();
    let file = work.numbered("file", 257);
    work.commit();
    dirty(&file, 0);
    work.arm_for(&file, REMEMBER);
    work.arm(&format!("{PUBLISH} undo={undo}"));
    dirty_fails(&file, APART, Errno::ENOSPC as i32);
    work.disarm_after(1);
    drop(file);
    work.umount();
}

fn published_then_counters_undone(work: &Work) {
    published(work, "counters");
}

fn published_then_released(work: &Work) {
    published(work, "release");
}

/// The first extent is written out and released while the second is visible.
fn raced(work: &Work, undo: &str) {
    work.mount();
    let file = work.numbered("file", 257);
    work.commit();
    dirty(&file, 0);
    module::go(false);
    work.arm_for(&file, REMEMBER);
    work.arm(&format!("{PUBLISH} undo={undo} hold sleep us=200000000"));
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| dirty_fails(&file, APART, Errno::ENOSPC as i32));
        until("the reservation is visible", || module::counts("holding").iter().any(|(_, held)| *held > 0));
        // Counts the ends of ordered extents, and does nothing to them.
        work.arm_for(&file, "func=btrfs_remove_ordered_extent action=count");
        write_out(&file);
        until("the ordered extent ended", || {
            module::counts("acted")
                .iter()
                .any(|(name, times)| name == "btrfs_remove_ordered_extent" && *times > 0)
        });
        sleep(Duration::from_millis(200));
        module::go(true);
        writer.join().unwrap();
    });
    work.disarm_after(1);
    work.note_residue();
    drop(file);
    work.umount();
}

/// Starts writing a file out and waits for the pages, without the inode's lock, which the writer holds.
fn write_out(file: &File) {
    let flags = nix::libc::SYNC_FILE_RANGE_WAIT_BEFORE
        | nix::libc::SYNC_FILE_RANGE_WRITE
        | nix::libc::SYNC_FILE_RANGE_WAIT_AFTER;
    // SAFETY: no memory is handed over, and the descriptor is open for the whole call.
    let result = unsafe { nix::libc::sync_file_range(file.as_raw_fd(), 0, 0, flags) };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
}

fn until(what: &str, mut reached: impl FnMut() -> bool) {
    let start = Instant::now();
    while !reached() {
        assert!(start.elapsed() < crate::support::deadline(15), "{what}: never");
        sleep(Duration::from_millis(5));
    }
}

fn published_raced_then_counters_undone(work: &Work) {
    raced(work, "counters");
}

fn published_raced_then_released(work: &Work) {
    raced(work, "release");
}

fn released_on_the_wrong_inode(work: &Work) {
    work.mount();
    let file = work.numbered("file", 257);
    let other = work.numbered("other", 258);
    work.commit();
    dirty(&file, 0);
    dirty(&other, 0);
    work.arm_for(
        &file,
        &format!("func=btrfs_delalloc_release_extents action=swap nth=1 other={}", other.as_raw_fd()),
    );
    dirty(&file, APART);
    work.disarm_after(1);
    drop((file, other));
    work.umount();
}
