//! By what the functions of the functions tier are hooked, and why not by the cheaper means.
//!
//! By fentry and fexit, where the kernel lets such programs be attached: they cost a fraction of a kprobe and a kretprobe,
//! and a helper gives the arguments instead of registers. By kprobes elsewhere:
//!
//! - Where the kernel can preempt programs: while a task is preempted in a fentry program on a CPU, the kernel skips that
//!   program there for other tasks (`__bpf_prog_enter_recur()` in `kernel/bpf/trampoline.c`). Kprobe programs run with
//!   preemption off.
//! - Where the kernel refuses fentry, for all functions or for one. On the functions of a module, it takes more rights
//!   (`CAP_SYS_ADMIN`) than kprobes do.
use super::fentry::TypesOf;
use crate::{kernel::btf::ResolvedOffsets, symbols::SymbolTable};

/// By what a function is hooked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Means {
    /// A fentry program, and a fexit program where the return is watched.
    Fentry,
    /// A kprobe, and a kretprobe where the return is watched.
    Kprobe,
}

impl Means {
    /// Its name as `kind` of a hook.
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

/// Means by which this kernel can hook functions.
#[derive(Debug)]
pub struct Offers {
    /// Address of the trampoline to which functions with a return probe return, or why there are no kprobes.
    pub kprobes: Result<u64, String>,
    /// Whose types name the functions to fentry programs, or why there are none.
    pub fentry: Result<TypesOf, String>,
}

impl Offers {
    /// No means, and why.
    #[must_use]
    pub fn none(why: &str) -> Self {
        Self { kprobes: Err(why.to_owned()), fentry: Err(why.to_owned()) }
    }

    /// The offers of a kernel. `fentry` tries whether it takes such a program; it is not called where kprobes are better.
    /// `preempted`: this kernel can preempt fentry programs.
    #[must_use]
    pub fn of(
        resolved: &ResolvedOffsets,
        kprobes: Result<(), String>,
        symbols: &SymbolTable,
        preempted: bool,
        fentry: impl FnOnce() -> Result<TypesOf, String>,
    ) -> Self {
        let kprobes = kprobes.and_then(|()| usable(resolved, symbols));
        let fentry = if preempted && kprobes.is_ok() {
            Err("this kernel can preempt programs of the fentry kind, and skips them meanwhile".to_owned())
        } else {
            fentry()
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

    /// The means to try first, and why not fentry.
    #[must_use]
    pub fn first(&self) -> (Means, &str) {
        match &self.fentry {
            Ok(_) => (Means::Fentry, ""),
            Err(why) => (Means::Kprobe, why),
        }
    }
}

/// Address of the trampoline to which functions with a return probe return, if all is known that a kprobe program needs.
///
/// A function reached by a jump from the end of another watched function has it as its return address.
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
