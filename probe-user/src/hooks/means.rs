//! By what the functions of the function tier are hooked, and why not by what costs less.
//!
//! fentry and fexit where the kernel lets programs of that kind be attached to it: an entry and its return cost a fraction of
//! what a kprobe and a kretprobe do, and arguments come from a helper instead of from registers. kprobes elsewhere:
//!
//! - Where btrfs is a module: such a program names its function in the module's BTF when it is loaded, which the loader
//!   does not offer.
//! - Where the kernel can preempt programs: `__bpf_prog_enter_recur()` (`kernel/bpf/trampoline.c`) skips a program while
//!   another task that was preempted in it waits on the same CPU. Programs of kprobes run with preemption off.
//! - Where the kernel refuses, for all functions or for one.
use crate::{
    kernel::btf::{KernelTypes, ResolvedOffsets},
    symbols::SymbolTable,
};

/// By what a function is hooked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Means {
    /// A fentry program, and a fexit program where the return is watched.
    Fentry,
    /// A kprobe, and a kretprobe where the return is watched.
    Kprobe,
}

impl Means {
    /// As `kind` of a hook.
    #[must_use]
    pub const fn kind(self, returns: bool) -> &'static str {
        match (self, returns) {
            (Self::Fentry, true) => "fentry+fexit",
            (Self::Fentry, false) => "fentry",
            (Self::Kprobe, true) => "kprobe+kretprobe",
            (Self::Kprobe, false) => "kprobe",
        }
    }
}

/// What this kernel has to hook functions with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offers {
    /// Where functions with a return probe return to, or why there are no kprobes.
    pub kprobes: Result<u64, String>,
    /// Why fentry is not taken; whether the kernel takes it shows when it is tried.
    pub fentry: Result<(), String>,
}

impl Offers {
    /// Nothing, and why.
    #[must_use]
    pub fn none(why: &str) -> Self {
        Self { kprobes: Err(why.to_owned()), fentry: Err(why.to_owned()) }
    }

    /// Before anything was tried. `preempted`: this kernel can preempt programs of the fentry kind.
    #[must_use]
    pub fn of(
        types: &KernelTypes,
        resolved: &ResolvedOffsets,
        kprobes: Result<(), String>,
        symbols: &SymbolTable,
        preempted: bool,
    ) -> Self {
        let kprobes = kprobes.and_then(|()| usable(resolved, symbols));
        let fentry = if types.is_split() {
            Err("btrfs is a module, and the loader attaches fentry to the kernel proper only".to_owned())
        } else if preempted && kprobes.is_ok() {
            Err("this kernel can preempt programs of the fentry kind, and skips them meanwhile".to_owned())
        } else {
            Ok(())
        };
        Self { kprobes, fentry }
    }

    /// Why no function can be hooked at all, if none can.
    #[must_use]
    pub fn obstacle(&self) -> Option<String> {
        match (&self.kprobes, &self.fentry) {
            (Err(kprobes), Err(fentry)) if kprobes == fentry => Some(kprobes.clone()),
            (Err(kprobes), Err(fentry)) => Some(format!("{kprobes}; no fentry either: {fentry}")),
            _ => None,
        }
    }

    /// What is tried first, and why not fentry.
    #[must_use]
    pub fn first(&self) -> (Means, &str) {
        match &self.fentry {
            Ok(()) => (Means::Fentry, ""),
            Err(why) => (Means::Kprobe, why),
        }
    }
}

/// Where functions with a return probe return to, if all is known that a kprobe's program needs.
///
/// A function that was jumped to at the end of another one that is watched has that place as its return address.
fn usable(resolved: &ResolvedOffsets, symbols: &SymbolTable) -> Result<u64, String> {
    if let Some(why) = resolved.why_missing("regs_sp").or_else(|| resolved.why_missing("regs_arg0")) {
        return Err(format!("registers cannot be resolved: {why}"));
    }
    ["arch_rethook_trampoline", "__kretprobe_trampoline"]
        .into_iter()
        .find_map(|name| symbols.named(name).next())
        .map(|(address, _)| address)
        .ok_or_else(|| {
            "/proc/kallsyms shows no arch_rethook_trampoline, by which calls are paired".to_owned()
        })
}

#[cfg(test)]
mod tests;
