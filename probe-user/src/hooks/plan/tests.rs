//! The plan on the captured types of real kernels: which tracepoint each hook takes on which version.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
use std::{fs::File, path::Path};

use probe_common::hook::HookId;

use super::*;

fn plan_of(kernel: &str) -> Vec<PlannedHook> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/kernels").join(kernel);
    let read = |file: &str| {
        let path = folder.join(file);
        path.exists().then(|| zstd::decode_all(File::open(path).unwrap()).unwrap())
    };
    let types =
        KernelTypes::from_bytes(&read("vmlinux.btf.zst").unwrap(), read("btrfs.btf.zst").as_deref()).unwrap();
    plan(&types, &types.resolve())
}

const KERNELS: [&str; 4] =
    ["6.1.0-56-cloud-amd64", "6.12.117+deb12-cloud-amd64", "6.18.44-builtin", "7.3.4+deb13-cloud-amd64"];

#[test]
fn every_hook_is_taken_on_every_kernel() {
    for kernel in KERNELS {
        let plan = plan_of(kernel);
        assert_eq!(plan.len(), CATALOGUE.len());
        for hook in &plan {
            assert_eq!(hook.left_out, None, "{} on {kernel}", hook.entry.program);
        }
        assert!(missing_required(&plan).is_empty());
    }
}

/// A skipped event would take an extent from its owner, or leave a task with what it has in hand.
#[test]
fn events_that_owners_depend_on_have_a_fallback_program() {
    for entry in CATALOGUE.iter().filter(|entry| entry.functions) {
        let fallback = entry.preempted.map(|preempted| preempted.fallback);
        assert_eq!(fallback, Some(format!("{}_fallback", entry.program)).as_deref());
    }
}

#[test]
fn renamed_tracepoints_are_taken_by_the_name_of_the_kernel() {
    let target = |kernel: &str, hook: HookId| {
        plan_of(kernel).iter().find(|planned| planned.entry.hook == hook).unwrap().target
    };
    for kernel in &KERNELS[..2] {
        assert_eq!(target(kernel, HookId::FindFreeExtent), "find_free_extent");
        assert_eq!(target(kernel, HookId::QgroupUpdateReserve), "qgroup_update_reserve");
    }
    for kernel in &KERNELS[2..] {
        assert_eq!(target(kernel, HookId::FindFreeExtent), "btrfs_find_free_extent");
        assert_eq!(target(kernel, HookId::QgroupUpdateReserve), "btrfs_qgroup_update_reserve");
    }
}

#[test]
fn a_kernel_without_btrfs_types_leaves_every_btrfs_hook_out_with_a_reason() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/kernels/6.12.117+deb12-cloud-amd64");
    let base = zstd::decode_all(File::open(folder.join("vmlinux.btf.zst")).unwrap()).unwrap();
    let types = KernelTypes::from_bytes(&base, None).unwrap();
    let plan = plan(&types, &types.resolve());
    for hook in plan.iter().filter(|hook| hook.target.contains("btrfs") || hook.target.contains("bytes_")) {
        assert!(hook.left_out.as_deref().is_some_and(|why| why.contains("no tracepoint")), "{hook:?}");
    }
    assert!(!missing_required(&plan).is_empty());
}
