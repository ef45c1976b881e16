//! Our rights: the effective capabilities of this thread, and what each is used for.
//!
//! The kernel checks them in the initial user namespace. In another one (a rootless container) `/proc/thread-self/status` shows
//! them all the same, but they have no effect.
use std::io;
use std::path::Path;

use serde::Serialize;

use super::files;

/// A capability that some part of the tool uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capability {
    /// Loading programs and making maps.
    Bpf,
    /// Tracing programs: raw tracepoints, reading kernel memory, stacks.
    Perfmon,
    /// Stands in for the two above, and opens tracefs.
    SysAdmin,
    /// Addresses in `/proc/kallsyms`, and `/dev/kmsg` under `dmesg_restrict`.
    Syslog,
    /// Limits of our own process.
    SysResource,
}

impl Capability {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Bpf, Self::Perfmon, Self::SysAdmin, Self::Syslog, Self::SysResource];

    /// Its number in `include/uapi/linux/capability.h`.
    #[must_use]
    pub const fn bit(self) -> u32 {
        match self {
            Self::SysAdmin => 21,
            Self::SysResource => 24,
            Self::Syslog => 34,
            Self::Perfmon => 38,
            Self::Bpf => 39,
        }
    }

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bpf => "CAP_BPF",
            Self::Perfmon => "CAP_PERFMON",
            Self::SysAdmin => "CAP_SYS_ADMIN",
            Self::Syslog => "CAP_SYSLOG",
            Self::SysResource => "CAP_SYS_RESOURCE",
        }
    }
}

/// One row of what `doctor` says of our rights.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Right {
    /// Name of the capability.
    pub capability: &'static str,
    /// Whether it is in effect.
    pub held: bool,
    /// Whether nothing can be traced without it; false where another one stands in.
    pub needed: bool,
    /// What it is for.
    pub purpose: &'static str,
    /// What to do about its absence, in a sentence; none if nothing is lost.
    pub remedy: Option<&'static str>,
}

/// The effective capabilities of the thread that read them: others may have given up theirs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    effective: u64,
    initial_namespace: bool,
}

impl Capabilities {
    /// Reads those of this thread.
    ///
    /// # Errors
    /// `/proc/thread-self/status` cannot be read or has no `CapEff` line.
    pub fn read(root: &Path) -> io::Result<Self> {
        let status = files::text(&root.join("proc/thread-self/status"))?;
        let effective = effective(&status).ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidData, "/proc/thread-self/status has no CapEff line")
        })?;
        // Without user namespaces there is no such file, and only the initial one.
        let map = files::text(&root.join("proc/self/uid_map")).ok();
        let initial_namespace = map.is_none_or(|map| map.split_whitespace().eq(["0", "0", "4294967295"]));
        Ok(Self { effective, initial_namespace })
    }

    /// Whether a capability is in effect where the kernel asks for it.
    #[must_use]
    pub const fn has(self, capability: Capability) -> bool {
        self.initial_namespace && self.effective >> capability.bit() & 1 == 1
    }

    /// Whether we are in the initial user namespace.
    #[must_use]
    pub const fn in_initial_namespace(self) -> bool {
        self.initial_namespace
    }

    /// Whether programs can be loaded and attached: `CAP_BPF` and `CAP_PERFMON`, or `CAP_SYS_ADMIN` for both.
    #[must_use]
    pub const fn can_trace(self) -> bool {
        self.has(Capability::SysAdmin) || self.has(Capability::Bpf) && self.has(Capability::Perfmon)
    }

    /// Every capability with its use, and the remedy where its absence costs something.
    #[must_use]
    pub fn rights(self) -> Vec<Right> {
        Capability::ALL.map(|capability| self.right(capability)).into()
    }

    fn right(self, capability: Capability) -> Right {
        const TRACE: &str = "run as root in the initial user namespace, or give the binary its rights with \
                             `setcap cap_bpf,cap_perfmon,cap_syslog+ep`";
        let held = self.has(capability);
        let admin = self.has(Capability::SysAdmin);
        let (purpose, needed, remedy) = match capability {
            Capability::Bpf => ("load programs and make maps", !admin, Some(TRACE)),
            Capability::Perfmon => {
                ("attach to tracepoints, read kernel memory, take stacks", !admin, Some(TRACE))
            }
            Capability::SysAdmin => {
                ("stands in for CAP_BPF and CAP_PERFMON; fentry on a btrfs module takes it", false, None)
            }
            Capability::Syslog => (
                "names in stacks (/proc/kallsyms), test marks and kernel warnings (/dev/kmsg)",
                false,
                Some("run with CAP_SYSLOG, or stacks may show addresses only"),
            ),
            // Maps are charged to the memory cgroup since 5.11, not to RLIMIT_MEMLOCK.
            Capability::SysResource => ("raise our own limits; not used on kernels of today", false, None),
        };
        let stands_in = admin && matches!(capability, Capability::Bpf | Capability::Perfmon);
        Right {
            capability: capability.name(),
            held,
            needed,
            purpose,
            remedy: remedy.filter(|_| !held && !stands_in),
        }
    }
}

fn effective(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(line.trim(), 16).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that fails must fail")]
    use std::fs;

    use proptest::prelude::*;
    use tempfile::TempDir;

    use super::*;

    fn of(status: &str, map: Option<&str>) -> io::Result<Capabilities> {
        let tree = TempDir::new().unwrap();
        let folder = tree.path().join("proc/self");
        fs::create_dir_all(&folder).unwrap();
        fs::create_dir(tree.path().join("proc/thread-self")).unwrap();
        fs::write(tree.path().join("proc/thread-self/status"), status).unwrap();
        if let Some(map) = map {
            fs::write(folder.join("uid_map"), map).unwrap();
        }
        Capabilities::read(tree.path())
    }

    const INITIAL: &str = "         0          0 4294967295\n";

    #[test]
    fn root_of_a_machine_and_of_a_container() {
        let status = "Name:\tx\nCapPrm:\t000001fffeffffff\nCapEff:\t000001fffeffffff\nCapBnd:\t0\n";
        let root = of(status, Some(INITIAL)).unwrap();
        assert!(root.can_trace() && root.has(Capability::Syslog) && !root.has(Capability::SysResource));
        assert!(root.rights().iter().all(|right| right.remedy.is_none()));

        let container = of(status, Some("0 100000 65536\n")).unwrap();
        assert!(!container.can_trace() && !container.in_initial_namespace());
        assert!(container.rights().iter().any(|right| right.needed && right.remedy.is_some()));
        assert!(of(status, None).unwrap().can_trace());
    }

    #[test]
    fn bpf_and_perfmon_are_enough_but_one_is_not() {
        let with = |bits: u64| of(&format!("CapEff:\t{bits:016x}\n"), Some(INITIAL)).unwrap();
        assert!(with(1 << 38 | 1 << 39).can_trace());
        assert!(with(1 << 21).can_trace());
        let bpf = with(1 << 39);
        assert!(!bpf.can_trace());
        let wanting =
            bpf.rights().into_iter().filter(|right| right.needed && !right.held).collect::<Vec<_>>();
        assert_eq!(wanting.iter().map(|right| right.capability).collect::<Vec<_>>(), ["CAP_PERFMON"]);
    }

    /// The screen of `top` had given up its rights before the thread that attaches looked for its own.
    #[test]
    fn rights_are_those_of_the_thread_that_asks() {
        let of_here = || Capabilities::read(Path::new("/")).map(|read| read.effective).unwrap();
        let before = of_here();
        let given_up = std::thread::spawn(move || {
            crate::kernel::rights::Rights::of(&[]).keep();
            of_here()
        });
        assert_eq!((given_up.join().unwrap(), of_here()), (0, before));
    }

    #[test]
    fn a_status_without_the_line_is_an_error() {
        assert!(of("Name:\tx\n", None).is_err());
        assert!(of("CapEff:\tzz\n", None).is_err());
    }

    proptest! {
        #[test]
        fn any_text(text: String) {
            effective(&text);
        }
    }
}
