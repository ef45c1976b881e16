//! Block_rsvs that do not hold what `bytes_may_use` contains.
use std::fs::{self, File};

use nix::fcntl::{FallocateFlags, fallocate};

use super::super::{
    module,
    scenario::{Amount, Bug, Scenario, Sight},
    work::Work,
};

const METADATA: &str = "space.metadata.bytes_may_use";
/// What is added or taken, bytes.
const BYTES: i64 = 131_072;
/// More than a chunk of data on a filesystem of this size, bytes.
const MORE_THAN_A_CHUNK: i64 = 96 << 20;
/// A release that frees bytes grants tickets: the one place in it where another function of btrfs is called.
const IN_A_RELEASE: &str = "func=btrfs_try_granting_tickets caller=btrfs_block_rsv_release";

const BUG: Bug = Bug {
    kind: "leak",
    account: METADATA,
    inode: None,
    amount: Amount::Some,
    stack: "btrfs_block_rsv_release",
    origins: false,
    also: &[],
};

pub const ALL: &[Scenario] = &[
    Scenario {
        name: "release_takes_too_much_out_of_a_pool",
        what: "a release takes bytes out of the global reserve too, and does not free them",
        work: pool_loses,
        functions: Sight::Exact(BUG),
        tracepoints: Sight::Bounded { bug: Bug { stack: "", ..BUG }, how: "the level at unmount" },
    },
    Scenario {
        name: "release_leaves_bytes_in_a_pool",
        what: "a release frees bytes, and trans_block_rsv gets them too",
        work: pool_gains,
        functions: Sight::Exact(Bug { kind: "over-release", also: &[("underflow", METADATA)], ..BUG }),
        tracepoints: Sight::Bounded {
            bug: Bug { kind: "underflow", stack: "", ..BUG },
            how: "as the level at unmount",
        },
    },
    Scenario {
        name: "new_chunk_keeps_its_bytes",
        what: "a handle that has made a chunk ends, and its bytes of chunk_block_rsv stay",
        work: chunk_keeps,
        functions: Sight::Exact(Bug {
            account: "fs.chunk_rsv",
            stack: "__btrfs_end_transaction",
            origins: true,
            also: &[("leak", "space.system.bytes_may_use")],
            ..BUG
        }),
        tracepoints: Sight::Bounded {
            bug: Bug {
                account: "fs.chunk_rsv",
                stack: "",
                also: &[("leak", "space.system.bytes_may_use")],
                ..BUG
            },
            how: "the level at unmount",
        },
    },
];

/// Some releases of a task that is alone: if one of them is not, the others are compared.
fn poke(work: &Work, rsv: &str, bytes: i64) {
    work.mount();
    drop(work.numbered("file", 257));
    work.commit();
    module::arm_poke(rsv, bytes, &format!("{IN_A_RELEASE} times=3 tgid={}", std::process::id()));
    for number in 0..8 {
        fs::create_dir(work.path.join(format!("folder{number}"))).expect("a folder");
    }
    work.disarm_after(3);
    work.umount();
}

fn pool_loses(work: &Work) {
    poke(work, "global_block_rsv", -BYTES);
}

fn pool_gains(work: &Work) {
    poke(work, "trans_block_rsv", BYTES);
}

fn chunk_keeps(work: &Work) {
    work.mount();
    work.commit();
    // Compilers inline it in one of its callers.
    for caller in ["__btrfs_end_transaction", "btrfs_trans_release_chunk_metadata"] {
        module::arm(&format!("func=btrfs_block_rsv_release action=skip caller={caller}"));
    }
    let file = File::create(work.path.join("file")).expect("a file");
    fallocate(&file, FallocateFlags::empty(), 0, MORE_THAN_A_CHUNK).expect("room");
    work.disarm();
    drop(file);
    work.umount();
}
