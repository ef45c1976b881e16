//! `kernel.perf_event_paranoid`. Above 2, the kernels of Debian and its kind refuse perf events, and kprobes with them, to all who lack
//! `CAP_SYS_ADMIN`; in others it means no more than 2.
use std::{fs, path::Path};

use super::caps::{Capabilities, Capability};

/// The strictest setting of the kernel as it is released upstream.
const UPSTREAM: i32 = 2;

/// What to do about the refusal of a perf event, where this setting can be its cause.
#[must_use]
pub fn remedy(root: &Path, refusal: &str) -> Option<String> {
    let refused = refusal.contains("perf_event_open") && refusal.contains("denied");
    let setting: i32 =
        fs::read_to_string(root.join("proc/sys/kernel/perf_event_paranoid")).ok()?.trim().parse().ok()?;
    let admin = Capabilities::read(root).is_ok_and(|capabilities| capabilities.has(Capability::SysAdmin));
    (refused && setting > UPSTREAM && !admin).then(|| {
        format!(
            "kernel.perf_event_paranoid is {setting}: run with CAP_SYS_ADMIN, or set it to {UPSTREAM} with `sysctl`"
        )
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
    use super::*;

    const REFUSED: &str =
        "btrfs_destroy_inode cannot be attached: `perf_event_open` failed: Permission denied";

    #[test]
    fn debian_s_setting_is_named_where_it_refuses_kprobes() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let of = |refusal| remedy(root.path(), refusal);
        assert_eq!(of(REFUSED), None, "the kernel has no such setting");
        write("proc/sys/kernel/perf_event_paranoid", "3\n");
        // CAP_BPF, CAP_PERFMON and CAP_SYSLOG.
        write("proc/thread-self/status", "CapEff:\t000000c400000000\n");
        write("proc/self/uid_map", "         0          0 4294967295\n");
        assert!(of(REFUSED).unwrap().contains("kernel.perf_event_paranoid is 3"));
        assert_eq!(of("the verifier said no"), None);
        write("proc/thread-self/status", "CapEff:\t000001ffffffffff\n");
        assert_eq!(of(REFUSED), None);
        write("proc/thread-self/status", "CapEff:\t000000c400000000\n");
        write("proc/sys/kernel/perf_event_paranoid", "2\n");
        assert_eq!(of(REFUSED), None);
    }
}
