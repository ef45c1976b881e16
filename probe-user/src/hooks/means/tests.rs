//! By which means functions are hooked on real kernels.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
use std::{fs::File, path::Path};

use probe_common::hook::HookId;

use super::*;
use crate::hooks::functions;

const KERNELS: [(&str, bool); 4] = [
    ("6.1.0-56-cloud-amd64", true),
    ("6.12.117+deb12-cloud-amd64", true),
    ("6.18.44-builtin", false),
    ("7.3.4+deb13-cloud-amd64", true),
];

fn types(kernel: &str) -> KernelTypes {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/kernels").join(kernel);
    let read = |file: &str| {
        let path = folder.join(file);
        path.exists().then(|| zstd::decode_all(File::open(path).unwrap()).unwrap())
    };
    KernelTypes::from_bytes(&read("vmlinux.btf.zst").unwrap(), read("btrfs.btf.zst").as_deref()).unwrap()
}

fn symbols(text: &str) -> SymbolTable {
    SymbolTable::parse(text.as_bytes()).unwrap()
}

const TRAMPOLINE: &str = "ffffffff81000000 T _stext\nffffffff81072f00 T arch_rethook_trampoline\n";

fn offers(types: &KernelTypes, kprobes: Result<(), String>, preempted: bool) -> Offers {
    Offers::of(types, &types.resolve(), kprobes, &symbols(TRAMPOLINE), preempted)
}

#[test]
fn fentry_where_btrfs_is_built_in_and_kprobes_where_it_is_a_module() {
    for (kernel, module) in KERNELS {
        let offers = offers(&types(kernel), Ok(()), false);
        assert_eq!(offers.kprobes, Ok(0xffff_ffff_8107_2f00), "{kernel}");
        let (means, why) = offers.first();
        if module {
            assert_eq!(means, Means::Kprobe, "{kernel}");
            assert!(why.contains("btrfs is a module"), "{why}");
        } else {
            assert_eq!((means, why), (Means::Fentry, ""), "{kernel}");
        }
        assert_eq!(offers.obstacle(), None);
    }
}

#[test]
fn a_kernel_that_preempts_programs_gets_kprobes_if_it_has_them() {
    let types = types("6.18.44-builtin");
    let both = offers(&types, Ok(()), true);
    let (means, why) = both.first();
    assert_eq!(means, Means::Kprobe);
    assert!(why.contains("preempt"), "{why}");
    let alone = offers(&types, Err("no kprobes".to_owned()), true);
    assert_eq!(alone.first(), (Means::Fentry, ""));
    assert_eq!(alone.obstacle(), None);
}

#[test]
fn nothing_to_hook_with_is_an_obstacle_with_both_reasons() {
    let module = offers(&types("6.12.117+deb12-cloud-amd64"), Err("no kprobes".to_owned()), false);
    let why = module.obstacle().unwrap();
    assert!(why.contains("no kprobes") && why.contains("btrfs is a module"), "{why}");
    assert_eq!(Offers::none("not asked for").obstacle().as_deref(), Some("not asked for"));
}

#[test]
fn calls_by_kprobes_are_not_paired_without_the_trampoline() {
    let types = types("6.18.44-builtin");
    let without = symbols("ffffffff81000000 T _stext\n");
    let offers = Offers::of(&types, &types.resolve(), Ok(()), &without, false);
    assert!(offers.kprobes.unwrap_err().contains("arch_rethook_trampoline"));
    assert_eq!(offers.fentry, Ok(()));
}

#[test]
fn every_function_with_its_arguments_can_be_hooked_by_either_means() {
    for (kernel, _) in KERNELS {
        let plan = functions::plan(&types(kernel), &|_| 1);
        for planned in plan.iter().filter(|planned| planned.function.required && !planned.function.optional) {
            assert_eq!(planned.left_out, None, "{kernel}");
        }
    }
}

#[test]
fn programs_are_named_by_means() {
    let named = |means: Means| {
        let function =
            functions::FUNCTIONS.iter().find(|function| function.hook == HookId::BlockRsvRelease).unwrap();
        (function.entry(means), function.exit(means).unwrap())
    };
    assert_eq!(named(Means::Kprobe), ("block_rsv_release_in".to_owned(), "block_rsv_release_out".to_owned()));
    assert_eq!(
        named(Means::Fentry),
        ("block_rsv_release_fentry".to_owned(), "block_rsv_release_fexit".to_owned())
    );
    assert_eq!(Means::Fentry.kind(true), "fentry+fexit");
    assert_eq!(Means::Kprobe.kind(false), "kprobe");
}
