//! Whether this kernel can preempt programs that run with preemption on.
use std::path::Path;

use super::{
    config::{KernelConfig, Setting},
    files,
    machine::Machine,
};

/// True if a task can be preempted inside the kernel. Also true if the kernel chooses at boot and does not publish its
/// choice.
///
/// The choice can change while the kernel runs (`sched_dynamic_write()`, `kernel/sched/debug.c`). The kernel counts what
/// it then skips (`recursion_misses`), so a wrong answer here costs a clean verdict and nothing else.
#[must_use]
pub fn preempts_programs(root: &Path, machine: &Machine, config: &KernelConfig) -> bool {
    // `uname -v`, written by `scripts/mkcompile_h` or `init/Makefile`.
    if !machine.version.contains("PREEMPT") {
        return false;
    }
    if !machine.version.contains("PREEMPT_DYNAMIC") {
        return true;
    }
    // The mode in force stands in brackets: `none (voluntary) full`.
    if let Ok(modes) = files::text(&root.join("sys/kernel/debug/sched/preempt"))
        && let Some(mode) = modes.split('(').nth(1).and_then(|rest| rest.split(')').next())
    {
        return preempts(mode);
    }
    let line = files::text(&root.join("proc/cmdline")).unwrap_or_default();
    if let Some(mode) = line.split_whitespace().filter_map(|word| word.strip_prefix("preempt=")).next_back() {
        return preempts(mode);
    }
    !["CONFIG_PREEMPT_NONE", "CONFIG_PREEMPT_VOLUNTARY"]
        .iter()
        .any(|option| config.setting(option) == Setting::BuiltIn)
}

/// `preempt_modes[]`, `kernel/sched/core.c`: the others are `full` and `lazy`.
fn preempts(mode: &str) -> bool {
    !matches!(mode, "none" | "voluntary")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that fails must fail")]
    use std::fs;

    use tempfile::TempDir;

    use super::*;

    #[test]
    fn the_mode_comes_from_the_build_the_boot_and_the_running_kernel() {
        let tree = TempDir::new().unwrap();
        let put = |file: &str, text: &str| {
            let file = tree.path().join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        };
        let seen = || {
            let machine = Machine::read(tree.path());
            preempts_programs(tree.path(), &machine, &KernelConfig::read(tree.path(), "x"))
        };
        put("proc/sys/kernel/version", "#1 SMP Debian 6.1.192-2\n");
        assert!(!seen());
        for fixed in ["#1 SMP PREEMPT Thu", "#1 SMP PREEMPT_RT Thu", "#1 SMP PREEMPT_LAZY Thu"] {
            put("proc/sys/kernel/version", fixed);
            assert!(seen(), "{fixed}");
        }
        put("proc/sys/kernel/version", "#1 SMP PREEMPT_DYNAMIC Debian 6.12.117-1\n");
        assert!(seen());
        put("boot/config-x", "CONFIG_PREEMPT_VOLUNTARY=y\nCONFIG_PREEMPT_DYNAMIC=y\n");
        assert!(!seen());
        put("proc/cmdline", "quiet preempt=none preempt=full\n");
        assert!(seen());
        put("sys/kernel/debug/sched/preempt", "none (voluntary) full\n");
        assert!(!seen());
        put("sys/kernel/debug/sched/preempt", "none voluntary full (lazy)\n");
        assert!(seen());
    }
}
