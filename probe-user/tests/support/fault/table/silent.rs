//! Correct kernels under hard conditions: no finding.
use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread::sleep,
    time::{Duration, Instant},
};

use nix::mount::{MntFlags, umount2};
use probe_workload::ioctl::btrfs;

use super::super::{
    module,
    scenario::{Scenario, Sight},
    work::{APART, LENGTH, Work, dirty},
};

/// A scenario without a bug.
const fn silent(
    name: &'static str,
    what: &'static str,
    work: fn(&Work),
    allowed: Option<&'static str>,
) -> Scenario {
    Scenario { name, what, work, functions: Sight::Silent(allowed), tracepoints: Sight::Silent(allowed) }
}

pub const ALL: &[Scenario] = &[
    silent(
        "delays_everywhere",
        "waits at the begin and end of every function of a reservation's life, four threads on one inode",
        delays_everywhere,
        None,
    ),
    silent("forced_enospc", "every fifth reservation of metadata for data fails", forced_enospc, None),
    silent(
        "forced_edquot",
        "a subvolume at its limit, and reservations of a qgroup that fail",
        forced_edquot,
        None,
    ),
    silent("memory_pressure", "inodes are evicted while they are worked on", memory_pressure, None),
    silent(
        "aborted_transaction",
        "a transaction aborts under load",
        aborted_transaction,
        Some("rules for the whole filesystem do not hold after an abort"),
    ),
    silent(
        "unmount_under_load",
        "the filesystem goes away while files are written",
        unmount_under_load,
        None,
    ),
];

/// Functions that may sleep wherever they are called. None here has more than six arguments: the fault module carries no
/// more over (btrfs_add_ordered_extent of 6.1 has nine).
const SLEEPING: &[&str] = &[
    "btrfs_delalloc_reserve_metadata",
    "btrfs_delalloc_reserve_space",
    "btrfs_delalloc_release_space",
    "btrfs_check_data_free_space",
    "btrfs_alloc_ordered_extent",
    "btrfs_finish_ordered_io",
    "btrfs_finish_one_ordered",
    "start_transaction",
    "__btrfs_end_transaction",
];
/// Functions that some caller calls with a lock held that spins.
const SPINNING: &[&str] = &[
    "btrfs_delalloc_release_metadata",
    "btrfs_delalloc_release_extents",
    "btrfs_inode_rsv_release",
    "btrfs_calculate_inode_block_rsv_size",
    "btrfs_block_rsv_add",
    "btrfs_block_rsv_refill",
    "btrfs_block_rsv_release",
    "btrfs_block_rsv_migrate",
    "btrfs_block_rsv_add_bytes",
    "btrfs_use_block_rsv",
    "btrfs_reserve_metadata_bytes",
    "btrfs_reserve_data_bytes",
    "btrfs_free_reserved_data_space",
    "btrfs_free_reserved_data_space_noquota",
    "btrfs_set_delalloc_extent",
    "btrfs_clear_delalloc_extent",
    "btrfs_merge_delalloc_extent",
    "btrfs_split_delalloc_extent",
    "btrfs_remove_ordered_extent",
    "btrfs_trans_release_metadata",
    "btrfs_add_reserved_bytes",
    "btrfs_delayed_inode_release_metadata",
];

fn delays_everywhere(work: &Work) {
    work.mount();
    let file = work.numbered("file", 257);
    let mut armed = 0;
    for (functions, wait) in [(SLEEPING, "us=300 sleep"), (SPINNING, "us=40")] {
        for function in functions {
            // Not every kernel has all of them.
            armed += u32::from(module::arm_if_known(&format!(
                "func={function} action=delay at=both {wait} every=3"
            )));
        }
    }
    assert!(armed > 24, "{armed}");
    let end = Instant::now() + Duration::from_secs(4);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let file = &file;
            scope.spawn(move || one_inode(file, thread, end));
        }
    });
    work.disarm();
    drop(file);
    work.umount();
}

/// Writes, reads back to disk, cuts off, and again.
fn one_inode(file: &File, thread: u64, end: Instant) {
    let mut round = thread;
    while Instant::now() < end {
        dirty(file, (round * 7 % 64) * LENGTH);
        match round % 5 {
            0 => file.sync_all().expect("a sync"),
            1 => file.set_len((round % 32) * LENGTH + 100).expect("a truncate"),
            _ => {}
        }
        round += 1;
    }
}

fn forced_enospc(work: &Work) {
    work.mount();
    work.arm(
        "func=btrfs_reserve_metadata_bytes action=skip ret=-28 enospc every=5 caller=btrfs_delalloc_reserve_metadata",
    );
    work.arm("func=btrfs_reserve_data_bytes action=skip ret=-28 every=11");
    let failed = writers(work, Duration::from_secs(3));
    assert!(failed > 0, "no write failed");
    work.disarm();
    work.umount();
}

/// Four threads, each with files of its own and one that they share. Returns how many writes were refused.
fn writers(work: &Work, time: Duration) -> u64 {
    let end = Instant::now() + time;
    let path = work.path.join("shared");
    let shared =
        File::options().create(true).truncate(false).write(true).open(&path).or_else(|_| File::open(&path));
    let shared = shared.expect("a file");
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|thread| {
                let shared = &shared;
                scope.spawn(move || {
                    let mut failed = 0;
                    let mut round = 0;
                    while Instant::now() < end {
                        let name = work.path.join(format!("{thread}.{}", round % 8));
                        let opened = File::options().create(true).truncate(true).write(true).open(&name);
                        let results = [
                            opened
                                .as_ref()
                                .map_or(Ok(()), |own| own.write_all_at(&[7; LENGTH as usize], APART)),
                            shared.write_all_at(&[7; LENGTH as usize], (round % 16) * LENGTH),
                            if round % 4 == 0 { shared.sync_all() } else { Ok(()) },
                            if round % 7 == 0 { fs::remove_file(&name) } else { Ok(()) },
                        ];
                        failed += results.iter().filter(|result| result.is_err()).count() as u64;
                        round += 1;
                    }
                    failed
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("a writer")).sum()
    })
}

fn forced_edquot(work: &Work) {
    work.mount();
    work.quota();
    let root = btrfs::open_dir(&work.path).unwrap();
    btrfs::qgroup_limit(&root, 5, Some(6 << 20)).unwrap();
    drop(root);
    work.arm("func=btrfs_qgroup_reserve_data action=skip ret=-122 every=9");
    let failed = writers(work, Duration::from_secs(3));
    assert!(failed > 0, "no write failed");
    work.disarm();
    work.umount();
}

fn memory_pressure(work: &Work) {
    work.mount();
    work.note("acted", 0);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                // Dentries and inodes, then pages too.
                for what in ["2", "3"] {
                    let _ = fs::write("/proc/sys/vm/drop_caches", what);
                }
                sleep(Duration::from_millis(30));
            }
        });
        writers(work, Duration::from_secs(2));
        // Many inodes, none of them open for longer than its write.
        for number in 0..300 {
            let file = work.file(&format!("many.{number}"));
            dirty(&file, 0);
        }
        let _hog = hog();
        writers(work, Duration::from_secs(2));
        done.store(true, Ordering::Relaxed);
    });
    work.umount();
}

/// Two thirds of what is free, touched.
fn hog() -> Vec<u8> {
    let text = fs::read_to_string("/proc/meminfo").expect("meminfo");
    let free = text.lines().find_map(|line| line.strip_prefix("MemAvailable:")).expect("MemAvailable");
    let kib: usize = free.trim().trim_end_matches(" kB").parse().expect("a number");
    vec![1; (kib << 10) / 3 * 2]
}

fn aborted_transaction(work: &Work) {
    work.mount();
    let file = work.numbered("file", 257);
    work.file("shared");
    work.commit();
    for at in 0..8 {
        dirty(&file, at * APART);
    }
    // Once, by whoever commits.
    module::arm("func=btrfs_run_delayed_items action=skip ret=-5 nth=1 caller=btrfs_commit_transaction");
    // The commit at the end of a sync may abort before ours does.
    writers(work, Duration::from_secs(1));
    let error = btrfs::sync(btrfs::open_dir(Path::new(&work.path)).unwrap());
    assert!(error.is_err(), "the transaction did not abort");
    let _ = writers(work, Duration::from_secs(1));
    work.disarm_after(1);
    drop(file);
    work.umount();
}

fn unmount_under_load(work: &Work) {
    work.note("acted", 0);
    for _ in 0..3 {
        work.mount();
        std::thread::scope(|scope| {
            let load = scope.spawn(|| {
                let files: Vec<_> = (0..4).map(|number| work.file(&format!("held.{number}"))).collect();
                let end = Instant::now() + Duration::from_secs(2);
                let mut at = 0;
                while Instant::now() < end {
                    for file in &files {
                        dirty(file, at % (16 * APART));
                    }
                    at += APART;
                }
            });
            sleep(Duration::from_millis(700));
            // Out of sight at once; gone with the last file.
            umount2(&work.path, MntFlags::MNT_DETACH).expect("a lazy umount");
            load.join().expect("the load");
        });
        sleep(Duration::from_millis(500));
    }
}
