//! How functions are chosen by name and type.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
use probe_common::{hook::HookId, signature::NO_ARG};

use super::{FUNCTIONS, Function, FunctionProto, Place, SEARCHED, of_clone, signature, text_of_btrfs, typed};

const NAME: &str = "start_transaction";

fn function() -> &'static Function {
    FUNCTIONS.iter().find(|function| function.hook == HookId::StartTransaction).unwrap()
}

fn proto(id: u32, args: &[&str]) -> FunctionProto {
    FunctionProto { id, args: args.iter().map(|arg| (*arg).to_owned()).collect() }
}

fn of_btrfs(id: u32) -> FunctionProto {
    let flush = "enum btrfs_reserve_flush_enum";
    proto(id, &["struct btrfs_root *", "unsigned int", "unsigned int", flush, "bool"])
}

/// Where btrfs and ACPI are built in, vmlinux has the types of two functions of this name, and one symbol.
#[test]
fn a_name_that_another_file_of_the_kernel_has_too_is_told_apart_by_its_arguments() {
    let acpi = || proto(7, &["struct acpi_ec *"]);
    let take = |protos: Vec<FunctionProto>, is_ours: bool| typed(function(), NAME, protos, || is_ours);
    for protos in [vec![acpi(), of_btrfs(9)], vec![of_btrfs(9), acpi()]] {
        assert_eq!(take(protos.clone(), true).unwrap().0, 9);
        // Ours was inlined, and the symbol is the other one's.
        assert!(take(protos, false).unwrap_err().contains("several functions"));
    }
    assert!(take(vec![of_btrfs(8), of_btrfs(9)], true).unwrap_err().contains("several functions"));
    assert!(take(vec![], true).unwrap_err().contains("no function"));
    assert!(take(vec![acpi()], true).unwrap_err().contains("none is what the books need"));
    assert_eq!(take(vec![of_btrfs(9)], false).unwrap().0, 9);
}

#[test]
fn the_text_of_btrfs_is_where_its_own_names_are() {
    let symbols = |name: &str| {
        let addresses: &[u64] = match name {
            "btrfs_block_rsv_add" => &[300],
            "btrfs_destroy_inode" => &[100],
            NAME => &[900],
            _ => &[],
        };
        addresses.iter().map(|address| Place { address: *address, symbol: name.to_owned() }).collect()
    };
    assert_eq!(text_of_btrfs(&symbols), Some(100..=300));
    assert_eq!(text_of_btrfs(&|_| vec![]), None);
}

#[test]
fn only_a_clone_whose_subject_can_be_found_is_hooked_without_its_type() {
    let none = || Err("this kernel's BTF has no function".to_owned());
    let searched = FUNCTIONS.iter().find(|function| function.hook == HookId::CalculateInodeRsv).unwrap();
    assert_eq!(of_clone(searched, none()).unwrap(), (0, SEARCHED));
    assert!(of_clone(function(), none()).is_err());
}

/// From 6.2 to 6.5 the bytes come from a block_rsv, and bytes_may_use may not change by them as well.
#[test]
fn a_migration_to_delayed_refs_rsv_says_whether_a_block_rsv_pays() {
    let name = "btrfs_migrate_to_delayed_refs_rsv";
    let function = FUNCTIONS.iter().find(|function| function.hook.name() == name).unwrap();
    let args = |args: &[&str]| args.iter().map(|arg| (*arg).to_owned()).collect::<Vec<_>>();
    let paid = args(&["struct btrfs_fs_info *", "struct btrfs_block_rsv *", "u64"]);
    let reserved = args(&["struct btrfs_fs_info *", "u64"]);
    let of = |args: &[String]| {
        let found = signature(function, name, args).unwrap();
        (found.second, found.numbers[0])
    };
    assert_eq!((of(&paid), of(&reserved)), ((1, 2), (NO_ARG, 1)));
}
