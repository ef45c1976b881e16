//! What a task, a handle, a delayed node or a temporary block_rsv holds for a while.
use std::{
    fs::{self, File},
    os::unix::fs::{FileExt, OpenOptionsExt},
};

use nix::{errno::Errno, libc};

use super::super::{
    module,
    scenario::{Amount, Bug, Scenario, Sight},
    work::{APART, LENGTH, Work, dirty},
};

const DATA: &str = "space.data.bytes_may_use";
const METADATA: (&str, &str) = ("leak", "space.metadata.bytes_may_use");
/// One update of an item.
const UPDATE: i64 = 131_072;
/// One new item.
const INSERT: i64 = 262_144;

const BUG: Bug = Bug {
    kind: "leak",
    account: DATA,
    inode: None,
    amount: Amount::Is(LENGTH as i64),
    stack: "",
    origins: false,
    also: &[],
};

pub const ALL: &[Scenario] = &[
    Scenario {
        name: "direct_write_in_place_keeps_its_data",
        what: "a direct write to existing extents keeps the data that it had reserved in case of new ones",
        work: direct_write_keeps,
        functions: Sight::Exact(Bug {
            inode: Some(257),
            stack: "btrfs_dio_iomap_begin",
            origins: true,
            ..BUG
        }),
        tracepoints: Sight::Bounded { bug: BUG, how: "the level at unmount, without who reserved" },
    },
    Scenario {
        name: "direct_write_in_place_frees_its_data_twice",
        what: "a direct write to existing extents frees its data twice, while other data is reserved",
        work: direct_write_frees_twice,
        functions: Sight::Exact(Bug {
            kind: "over-release",
            inode: Some(257),
            stack: "btrfs_dio_iomap_begin",
            also: &[("underflow", DATA)],
            ..BUG
        }),
        tracepoints: Sight::Bounded {
            bug: Bug { kind: "underflow", stack: "btrfs_add_reserved_bytes", ..BUG },
            how: "when the rest is taken out, in the call that comes to it last",
        },
    },
    Scenario {
        name: "data_written_in_place_is_never_freed",
        what: "dirty data is written to existing extents, and its reservation is not freed",
        work: written_in_place,
        functions: Sight::Exact(Bug { inode: Some(257), stack: "btrfs_clear_delalloc_extent", ..BUG }),
        tracepoints: Sight::Bounded { bug: BUG, how: "the level at unmount, without who reserved" },
    },
    Scenario {
        name: "failed_start_keeps_the_bytes_of_its_handle",
        what: "start_transaction finds no memory, and keeps the bytes that it had added for its handle",
        work: failed_start,
        functions: Sight::Exact(Bug {
            kind: "error-path-leak",
            account: "trans.rsv",
            amount: Amount::Some,
            stack: "start_transaction",
            also: &[METADATA],
            ..BUG
        }),
        tracepoints: Sight::Bounded {
            bug: Bug { account: "trans.rsv", amount: Amount::Some, also: &[METADATA], ..BUG },
            how: "the level at unmount",
        },
    },
    Scenario {
        name: "handle_gives_its_bytes_back_twice",
        what: "a transaction handle releases its bytes of trans_block_rsv twice",
        work: handle_twice,
        functions: Sight::Exact(Bug {
            kind: "over-release",
            account: "trans.rsv",
            amount: Amount::Some,
            stack: "btrfs_trans_release_metadata",
            ..BUG
        }),
        tracepoints: Sight::Bounded {
            bug: Bug { kind: "underflow", account: "trans.rsv", amount: Amount::Some, ..BUG },
            how: "as the size of the pool at unmount",
        },
    },
    Scenario {
        name: "delayed_inode_gives_its_bytes_back_twice",
        what: "btrfs_delayed_inode_release_metadata releases delayed_block_rsv twice",
        work: delayed_inode_twice,
        functions: Sight::Exact(Bug {
            kind: "over-release",
            account: "fs.delayed_rsv",
            inode: Some(257),
            amount: Amount::Is(UPDATE),
            stack: "btrfs_delayed_inode_release_metadata",
            ..BUG
        }),
        tracepoints: Sight::Bounded {
            bug: Bug { kind: "over-release", account: "fs.delayed_rsv", amount: Amount::Is(UPDATE), ..BUG },
            how: "as the size of the pool, when a commit has ended and no transaction runs",
        },
    },
    Scenario {
        name: "items_of_a_directory_keep_their_bytes",
        what: "the items of a directory are written, and their bytes of delayed_block_rsv stay",
        work: items_keep,
        functions: Sight::Exact(Bug {
            account: "fs.delayed_rsv",
            inode: Some(256),
            amount: Amount::Is(INSERT),
            also: &[METADATA],
            ..BUG
        }),
        tracepoints: Sight::Bounded {
            bug: Bug { account: "fs.delayed_rsv", amount: Amount::Is(INSERT), also: &[METADATA], ..BUG },
            how: "the level at unmount, with who reserves from the pool",
        },
    },
    Scenario {
        name: "evicted_inode_keeps_its_temporary_rsv",
        what: "an inode is deleted, and the temporary block_rsv of its eviction goes with its bytes",
        work: evict_keeps,
        functions: Sight::Exact(Bug {
            account: "temp.rsv",
            amount: Amount::Some,
            stack: "btrfs_evict_inode",
            origins: true,
            also: &[METADATA],
            ..BUG
        }),
        tracepoints: Sight::Bounded {
            bug: Bug { account: METADATA.1, amount: Amount::Some, ..BUG },
            how: "the level at unmount",
        },
    },
];

/// A file of one extent on disk, opened for direct writes in place.
fn written(work: &Work) -> File {
    work.mount_with("nodatacow");
    let file = work.numbered("file", 257);
    dirty(&file, 0);
    work.commit();
    file
}

fn write_direct(work: &Work) {
    let file = File::options().write(true).custom_flags(libc::O_DIRECT).open(work.path.join("file"));
    let mut bytes = vec![9; LENGTH as usize + 4096];
    let start = bytes.as_ptr().align_offset(4096);
    let bytes = &mut bytes[start..start + LENGTH as usize];
    file.expect("the file").write_all_at(bytes, 0).expect("a direct write");
}

fn direct_write_keeps(work: &Work) {
    let file = written(work);
    work.arm("func=btrfs_free_reserved_data_space action=skip nth=1 caller=btrfs_dio_iomap_begin");
    write_direct(work);
    work.disarm_after(1);
    drop(file);
    work.umount();
}

fn direct_write_frees_twice(work: &Work) {
    let file = written(work);
    let cover = work.numbered("cover", 258);
    for at in 0..4 {
        dirty(&cover, at * APART);
    }
    work.arm("func=btrfs_free_reserved_data_space action=double nth=1 caller=btrfs_dio_iomap_begin");
    write_direct(work);
    work.disarm_after(1);
    drop((file, cover));
    work.umount();
}

fn written_in_place(work: &Work) {
    let file = written(work);
    dirty(&file, 0);
    module::arm(
        "func=btrfs_free_reserved_data_space_noquota action=skip nth=1 caller=btrfs_clear_delalloc_extent",
    );
    work.commit();
    file.sync_all().expect("a sync");
    work.disarm_after(1);
    drop(file);
    work.umount();
}

fn failed_start(work: &Work) {
    work.mount();
    // Without quotas, starts of transactions are not followed.
    work.quota();
    drop(work.numbered("file", 257));
    work.commit();
    work.arm("func=join_transaction action=skip ret=-12 nth=1 caller=start_transaction");
    work.arm("func=btrfs_block_rsv_release action=skip nth=1 caller=start_transaction");
    let error = fs::create_dir(work.path.join("folder")).expect_err("no memory");
    assert_eq!(error.raw_os_error(), Some(Errno::ENOMEM as i32), "{error}");
    work.disarm_after(1);
    work.umount();
}

fn handle_twice(work: &Work) {
    work.mount();
    drop(work.numbered("file", 257));
    work.commit();
    work.arm("func=btrfs_block_rsv_release action=double nth=1 caller=btrfs_trans_release_metadata");
    fs::create_dir(work.path.join("folder")).expect("a folder");
    work.disarm_after(1);
    work.umount();
}

fn delayed_inode_twice(work: &Work) {
    work.mount();
    let file = work.numbered("file", 257);
    work.commit();
    module::arm(
        "func=btrfs_block_rsv_release action=double nth=1 caller=btrfs_delayed_inode_release_metadata",
    );
    dirty(&file, 0);
    work.commit();
    work.disarm_after(1);
    drop(file);
    work.umount();
}

fn items_keep(work: &Work) {
    work.mount();
    drop(work.numbered("file", 257));
    work.commit();
    fs::create_dir(work.path.join("folder")).expect("a folder");
    module::arm("func=btrfs_block_rsv_release action=skip nth=1 caller=btrfs_insert_delayed_item");
    work.commit();
    work.disarm_after(1);
    work.umount();
}

fn evict_keeps(work: &Work) {
    work.mount();
    drop(work.numbered("file", 257));
    work.commit();
    work.arm("func=btrfs_block_rsv_release action=skip nth=1 caller=btrfs_free_block_rsv");
    fs::remove_file(work.path.join("file")).expect("a removal");
    work.disarm_after(1);
    work.umount();
}
