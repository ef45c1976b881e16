//! By which means functions are hooked on real kernels.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop at the first surprise")]
use std::{fs::File, path::Path};

use probe_common::hook::HookId;

use super::*;
use crate::{hooks::functions, kernel::btf::KernelTypes};

const KERNELS: [&str; 4] =
    ["6.1.0-56-cloud-amd64", "6.12.117+deb12-cloud-amd64", "6.18.44-builtin", "7.3.4+deb13-cloud-amd64"];

fn read(kernel: &str, file: &str) -> Option<Vec<u8>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/kernels").join(kernel).join(file);
    path.exists().then(|| zstd::decode_all(File::open(path).unwrap()).unwrap())
}

fn types(kernel: &str) -> KernelTypes {
    let module = read(kernel, "btrfs.btf.zst");
    KernelTypes::from_bytes(&read(kernel, "vmlinux.btf.zst").unwrap(), module.as_deref()).unwrap()
}

/// Those of vmlinux alone.
fn alone(kernel: &str) -> KernelTypes {
    KernelTypes::from_bytes(&read(kernel, "vmlinux.btf.zst").unwrap(), None).unwrap()
}

fn symbols(text: &str) -> SymbolTable {
    SymbolTable::parse(text.as_bytes()).unwrap()
}

const TRAMPOLINE: &str = "ffffffff81000000 T _stext\nffffffff81072f00 T arch_rethook_trampoline\n";

fn taken() -> Result<TypesOf, String> {
    Ok(TypesOf::Kernel)
}

fn refused() -> Result<TypesOf, String> {
    Err("the kernel refuses fentry".to_owned())
}

fn offers(
    types: &KernelTypes,
    kprobes: Result<(), String>,
    preempted: bool,
    fentry: impl FnOnce() -> Result<TypesOf, String>,
) -> Offers {
    Offers::of(&types.resolve(), kprobes, &symbols(TRAMPOLINE), preempted, fentry)
}

#[test]
fn fentry_where_the_kernel_takes_it_and_kprobes_elsewhere() {
    for kernel in KERNELS {
        let types = types(kernel);
        let both = offers(&types, Ok(()), false, taken);
        assert_eq!(both.kprobes, Ok(0xffff_ffff_8107_2f00), "{kernel}");
        assert_eq!(both.first(), (Means::Fentry, ""), "{kernel}");
        let kprobes = offers(&types, Ok(()), false, refused);
        assert_eq!(kprobes.first(), (Means::Kprobe, "the kernel refuses fentry"), "{kernel}");
        assert_eq!((both.obstacle(), kprobes.obstacle()), (None, None), "{kernel}");
    }
}

#[test]
fn a_kernel_that_preempts_programs_gets_kprobes_if_it_has_them() {
    let types = types("6.18.44-builtin");
    let both = offers(&types, Ok(()), true, || panic!("fentry is not tried"));
    let (means, why) = both.first();
    assert_eq!(means, Means::Kprobe);
    assert!(why.contains("preempt"), "{why}");
    let alone = offers(&types, Err("no kprobes".to_owned()), true, taken);
    assert_eq!(alone.first(), (Means::Fentry, ""));
    assert_eq!(alone.obstacle(), None);
}

#[test]
fn nothing_to_hook_with_is_an_obstacle_with_both_reasons() {
    let none = offers(&types("6.12.117+deb12-cloud-amd64"), Err("no kprobes".to_owned()), false, refused);
    let why = none.obstacle().unwrap();
    assert!(why.contains("no kprobes") && why.contains("refuses fentry"), "{why}");
    assert_eq!(Offers::none("not asked for").obstacle().as_deref(), Some("not asked for"));
}

#[test]
fn calls_by_kprobes_are_not_paired_without_the_trampoline() {
    let types = types("6.18.44-builtin");
    let without = symbols("ffffffff81000000 T _stext\n");
    // Then fentry is tried even if its programs can be preempted.
    let offers = Offers::of(&types.resolve(), Ok(()), &without, true, taken);
    assert!(offers.kprobes.as_ref().unwrap_err().contains("arch_rethook_trampoline"));
    assert_eq!(offers.first(), (Means::Fentry, ""));
}

#[test]
fn every_function_with_its_arguments_can_be_hooked_by_either_means() {
    for kernel in KERNELS {
        let types = types(kernel);
        let plan =
            functions::plan(&types, &|name| vec![functions::Place { address: 1, symbol: name.to_owned() }]);
        for planned in plan.iter().filter(|planned| planned.function.required && !planned.function.optional) {
            assert_eq!(planned.left_out, None, "{kernel}");
        }
        // A fentry program names its function by this id, of the module's types where there is one.
        let own = alone(kernel);
        for planned in plan.iter().filter(|planned| planned.left_out.is_none()) {
            assert_eq!(
                types.function(&planned.name).unwrap().id,
                planned.type_id,
                "{kernel} {}",
                planned.name
            );
            assert_eq!(own.function(&planned.name).is_err(), types.is_split(), "{kernel} {}", planned.name);
        }
    }
}

/// Linux 6.6 built with gcc 12 has no `btrfs_calculate_inode_block_rsv_size` but a clone that takes parts of `fs_info` instead, of which
/// BTF says nothing.
#[test]
fn the_inode_of_a_clone_is_looked_for_and_a_part_of_a_function_is_none() {
    let kernel = "6.12.117+deb12-cloud-amd64";
    let planned = |suffix: &str, of: &str| {
        let symbols = |name: &str| {
            let symbol = if name == of { format!("{name}{suffix}") } else { name.to_owned() };
            vec![functions::Place { address: 1, symbol }]
        };
        let plan = functions::plan(&types(kernel), &symbols);
        plan.into_iter().find(|planned| planned.function.hook.name() == of).unwrap()
    };
    // BTF knows it here: its arguments are where the types say, and only fentry has no name for it.
    let known = planned(".isra.0", "btrfs_calculate_inode_block_rsv_size");
    assert_eq!((known.left_out, known.type_id), (None, 0));
    assert_eq!(known.name, "btrfs_calculate_inode_block_rsv_size.isra.0");
    assert_eq!(known.signature.subject, 1);
    let part = planned(".part.0", "btrfs_block_rsv_add");
    assert!(part.left_out.unwrap().contains("only btrfs_block_rsv_add.part.0 is a function"));
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
