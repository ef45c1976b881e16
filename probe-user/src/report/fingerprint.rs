//! Fingerprints: one number for "the same fault", on any run and any machine.
//!
//! FNV-1a, 64 bits (offset basis `0xcbf29ce484222325`, prime `0x100000001b3`), over these bytes:
//! 1. the kind's name and a NUL,
//! 2. the account's name and a NUL,
//! 3. for each function of the symbol path, innermost first: its name and a newline.
//!
//! The symbol path leaves out what can differ for the same fault: addresses and offsets; compiler suffixes (`.isra.0`,
//! `.constprop.0`, `.part.0`, `.cold`); the frames of tracing itself at the inner end (they depend on how the hook was
//! attached); and everything from the entry into the kernel outwards (it depends on the machine and the kernel's version).
//! A frame without a symbol counts as `?`.
//!
//! A finding without a stack has only its kind and account. To ignore it is to ignore all findings of that kind and account
//! that have no stack; the documents say so.
use probe_ledger::{Account, FindingKind};

use super::model::Frame;

/// 16 hex digits.
#[must_use]
pub fn fingerprint(kind: FindingKind, account: Account, stack: &[Frame]) -> String {
    let mut hash = Fnv::default();
    hash.write(kind.name().as_bytes());
    hash.write(&[0]);
    hash.write(account.name().as_bytes());
    hash.write(&[0]);
    for symbol in symbol_path(stack) {
        hash.write(symbol.as_bytes());
        hash.write(b"\n");
    }
    format!("{:016x}", hash.0)
}

/// Function names of a stack, as they go into the fingerprint.
#[must_use]
pub fn symbol_path(stack: &[Frame]) -> Vec<&str> {
    let names = stack.iter().map(|frame| frame.symbol.as_deref().map_or("?", base_name));
    names.skip_while(|name| is_tracing(name)).take_while(|name| !is_entry(name)).collect()
}

/// The name of a function as it is in the source: without what the compiler put behind it.
#[must_use]
pub fn base_name(symbol: &str) -> &str {
    // A leading dot belongs to the name (function descriptors of some machines).
    match symbol.get(1..).and_then(|rest| rest.find('.')) {
        Some(at) => symbol.get(..=at).unwrap_or(symbol),
        None => symbol,
    }
}

/// Frames of the tracing machinery, innermost in a stack that a BPF program took.
#[must_use]
pub fn is_tracing(name: &str) -> bool {
    const PREFIXES: [&str; 7] =
        ["bpf_", "__bpf_", "__traceiter_", "__probestub_", "trace_call_bpf", "kprobe_", "ftrace_"];
    PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// Frames at and beyond the entry into the kernel.
fn is_entry(name: &str) -> bool {
    const PREFIXES: [&str; 12] = [
        "__x64_sys_",
        "__ia32_sys_",
        "__arm64_sys_",
        "__se_sys_",
        "ksys_",
        "x64_sys_call",
        "do_syscall_64",
        "entry_SYSCALL_",
        "el0",
        "kthread",
        "ret_from_fork",
        "asm_",
    ];
    PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stack(names: &[&str]) -> Vec<Frame> {
        let frame = |(at, name): (usize, &&str)| Frame {
            address: format!("{:#x}", 0xffff_ffff_8100_0000_u64 + at as u64),
            symbol: (**name != *"?").then(|| (*name).to_owned()),
            offset: Some(at as u64 * 7),
            module: None,
        };
        names.iter().enumerate().map(frame).collect()
    }

    fn of(names: &[&str]) -> String {
        fingerprint(FindingKind::Leak, Account::InodeMetaRsv, &stack(names))
    }

    /// The value is part of the contract: files of known fingerprints must outlive versions of the tool.
    #[test]
    fn the_hash_is_fnv_1a_over_the_documented_bytes() {
        let mut reference: u64 = 0xcbf2_9ce4_8422_2325;
        for byte in b"leak\0inode.meta_rsv\0btrfs_destroy_inode\nevict\n" {
            reference ^= u64::from(*byte);
            reference = reference.wrapping_mul(0x100_0000_01b3);
        }
        assert_eq!(of(&["btrfs_destroy_inode", "evict"]), format!("{reference:016x}"));
        assert_eq!(of(&["btrfs_destroy_inode", "evict"]), "975a1548ef832711");
    }

    #[test]
    fn addresses_offsets_suffixes_tracing_and_entry_do_not_matter() {
        let plain = of(&["btrfs_inode_rsv_release", "btrfs_dirty_pages"]);
        let traced = of(&[
            "bpf_prog_3f2a_space_reservation",
            "bpf_trace_run5",
            "__traceiter_btrfs_space_reservation",
            "btrfs_inode_rsv_release.isra.0",
            "btrfs_dirty_pages.constprop.0.cold",
            "__x64_sys_write",
            "do_syscall_64",
        ]);
        assert_eq!(plain, traced);
    }

    #[test]
    fn kind_account_and_path_do_matter() {
        let frames = stack(&["btrfs_inode_rsv_release"]);
        let leak = fingerprint(FindingKind::Leak, Account::InodeMetaRsv, &frames);
        assert_ne!(leak, fingerprint(FindingKind::OverRelease, Account::InodeMetaRsv, &frames));
        assert_ne!(leak, fingerprint(FindingKind::Leak, Account::InodeCsumBytes, &frames));
        assert_ne!(leak, of(&["btrfs_inode_rsv_release", "btrfs_evict_inode"]));
        assert_ne!(leak, of(&["?"]));
        assert_ne!(of(&["?"]), of(&[]));
    }

    #[test]
    fn a_base_name_ends_at_the_compilers_suffix() {
        assert_eq!(base_name("run_delalloc_range.constprop.0"), "run_delalloc_range");
        assert_eq!(base_name(".leading"), ".leading");
        assert_eq!(base_name(""), "");
    }
}
