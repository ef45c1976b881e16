//! The fault module: loading it with what BTF says, and its commands.
use std::fs;
use std::path::Path;
use std::process::Command;

use probe_user::kernel::btf::KernelTypes;

const MODULE: &str = "/lib/fault/btrfs_probe_fault.ko";
const PARAMETERS: &str = "/sys/module/btrfs_probe_fault/parameters";

/// Loads the module, unless it is loaded.
pub fn load() {
    if Path::new(PARAMETERS).exists() {
        return;
    }
    let types = KernelTypes::of_kernel(Path::new("/")).expect("BTF");
    let mut command = Command::new("insmod");
    command.arg(MODULE);
    for member in ["vfs_inode", "lock", "outstanding_extents", "csum_bytes", "flags", "block_rsv"] {
        command.arg(format!("{member}={}", types.offset("btrfs_inode", &[member]).expect("a member")));
    }
    let offset = |of: &str, member: &str| types.offset(of, &[member]).expect("a member");
    for member in ["priority_tickets", "tickets", "reclaim_size"] {
        command.arg(format!("{member}={}", offset("btrfs_space_info", member)));
    }
    for member in ["error", "list", "wait"] {
        command.arg(format!("ticket_{member}={}", offset("reserve_ticket", member)));
    }
    assert!(command.status().expect("insmod").success(), "{MODULE} does not load");
}

/// Arms a fault that adds bytes to what a block_rsv of the filesystem holds, in a function that takes its `fs_info` first.
pub fn arm_poke(rsv: &str, bytes: i64, fault: &str) {
    let types = KernelTypes::of_kernel(Path::new("/")).expect("BTF");
    let offset = |of: &str, member: &str| types.offset(of, &[member]).expect("a member");
    let at = offset("btrfs_fs_info", rsv) + offset("btrfs_block_rsv", "reserved");
    arm(&format!("{fault} action=poke arg=0 offset={at} by={bytes}"));
}

/// Whether the release of this kernel begins like this.
pub fn kernel_is(release: &str) -> bool {
    let text = fs::read_to_string("/proc/sys/kernel/osrelease").expect("a release");
    text.starts_with(release)
}

/// Unloads it. It holds on to btrfs only through its probes.
pub fn unload() {
    assert!(Command::new("rmmod").arg("btrfs_probe_fault").status().expect("rmmod").success());
}

/// Arms one fault; the language is that of `tests/fault/command.c`.
pub fn arm(fault: &str) {
    write("arm", fault).unwrap_or_else(|error| panic!("{fault}: {error}"));
}

/// Arms one fault, unless this kernel has no such function.
pub fn arm_if_known(fault: &str) -> bool {
    match write("arm", fault) {
        Ok(()) => true,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => false,
        Err(error) => panic!("{fault}: {error}"),
    }
}

/// Ends all faults.
pub fn disarm() {
    write("disarm", "1").expect("disarm");
}

/// Lets go what faults hold, or makes them hold again.
pub fn go(yes: bool) {
    write("go", if yes { "1" } else { "0" }).expect("go");
}

/// What each armed fault did: its function and a number by name.
pub fn counts(name: &str) -> Vec<(String, u64)> {
    let text = fs::read_to_string(format!("{PARAMETERS}/arm")).expect("the faults");
    text.lines()
        .map(|line| {
            let mut words = line.split_whitespace();
            let function = words.nth(1).expect("a function").to_owned();
            let value = words.find_map(|word| word.strip_prefix(name)?.strip_prefix('=')).expect("a number");
            (function, value.parse().expect("a number"))
        })
        .collect()
}

fn write(parameter: &str, text: &str) -> std::io::Result<()> {
    fs::write(format!("{PARAMETERS}/{parameter}"), text)
}
