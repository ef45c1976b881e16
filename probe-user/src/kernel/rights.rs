//! Rights that a session keeps when its hooks are on, and how a thread gives up the others.
//!
//! Capabilities belong to a thread, and a new thread has those of its maker. Three things of a thread are not touched, because commands
//! of the user are started with them: the bounding set, the inheritable set, and the ambient set with what it needs of the permitted one.
//! Root's commands get all of the bounding set when they are executed (`cap_bprm_creds_from_file()` in `security/commoncap.c`).
use std::{io, sync::Once};

use nix::{errno::Errno, libc};

use super::caps::Capability;

/// A part of the tool that needs rights while a session runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// Maps and programs of a session.
    Hooks,
    /// Where tasks wait for space.
    Places,
    /// The kernel's timing of our programs.
    Timing,
    /// Names of events in tracefs.
    Events,
    /// Files that are written.
    Files,
    /// Tests of a suite.
    Tests,
    /// Commands of the user.
    Commands,
    /// A listening socket.
    Listen,
}

/// A capability: its name, and its number in `include/uapi/linux/capability.h`.
type Named = (&'static str, u32);

const fn named(capability: Capability) -> Named {
    (capability.name(), capability.bit())
}

const BPF: Named = named(Capability::Bpf);
const PERFMON: Named = named(Capability::Perfmon);
const SYS_ADMIN: Named = named(Capability::SysAdmin);
const SYS_RESOURCE: Named = named(Capability::SysResource);
const DAC_OVERRIDE: Named = ("CAP_DAC_OVERRIDE", 1);
const DAC_READ_SEARCH: Named = ("CAP_DAC_READ_SEARCH", 2);
const FOWNER: Named = ("CAP_FOWNER", 3);
const KILL: Named = ("CAP_KILL", 5);
const NET_BIND_SERVICE: Named = ("CAP_NET_BIND_SERVICE", 10);
const SYS_PTRACE: Named = ("CAP_SYS_PTRACE", 19);

/// What a part of the tool keeps.
#[derive(Clone, Copy, Debug)]
pub struct Kept {
    /// Which part.
    pub need: Need,
    /// When there is that part, as docs/SECURITY.md has it.
    pub when: &'static str,
    /// Threads that keep it.
    pub threads: &'static str,
    /// Capabilities.
    pub capabilities: &'static [Named],
    /// Why.
    pub why: &'static str,
}

/// All that is ever kept. docs/SECURITY.md has the same table.
pub const TABLE: [Kept; 8] = [
    Kept {
        need: Need::Hooks,
        when: "always",
        threads: "`probe-ring`",
        capabilities: &[BPF, PERFMON],
        why: "reads maps, runs audits; `CAP_SYS_ADMIN` in their place where a session has only that",
    },
    Kept {
        need: Need::Places,
        when: "always",
        threads: "`probe-ring`",
        capabilities: &[SYS_ADMIN, SYS_PTRACE, DAC_READ_SEARCH],
        why: "`/proc/TID/stack`, `syscall` and `fdinfo` of tasks that wait long for space, and of the workers that they wait for",
    },
    Kept {
        need: Need::Timing,
        when: "`top`",
        threads: "`probe-ring`",
        capabilities: &[SYS_ADMIN],
        why: "`BPF_ENABLE_STATS`, when the screen shows the time of programs",
    },
    Kept {
        need: Need::Events,
        when: "functions by kprobes",
        threads: "`probe-ring`",
        capabilities: &[DAC_OVERRIDE],
        why: "removes its names from `kprobe_events` of tracefs at the end",
    },
    Kept {
        need: Need::Files,
        when: "`-o`, `--format F=FILE`, `record`, `--dump-to`, `--metrics`, `--fstests`",
        threads: "all but `probe-ring`",
        capabilities: &[DAC_OVERRIDE, FOWNER, SYS_RESOURCE],
        why: "writes and replaces files where it could at the start: in folders of other users, on disks with room for root only",
    },
    Kept {
        need: Need::Tests,
        when: "`--fstests`",
        threads: "all but `probe-ring`",
        capabilities: &[SYS_PTRACE, DAC_READ_SEARCH],
        why: "`/proc/PID/environ` of the scripts of tests",
    },
    Kept {
        need: Need::Commands,
        when: "`run -- CMD`, `--on`",
        threads: "all but `probe-ring`",
        capabilities: &[KILL, DAC_OVERRIDE],
        why: "starts programs wherever they are, and passes signals on to them; in `probe-waiter` of `run` and `probe-on-*` all other rights stay \
              permitted, not in effect, so that a command has what it would have without the tool",
    },
    Kept {
        need: Need::Listen,
        when: "`--metrics-listen` at a port below 1024",
        threads: "all but `probe-ring`",
        capabilities: &[NET_BIND_SERVICE],
        why: "listens there",
    },
];

/// Capabilities that stay in effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rights {
    bits: u64,
}

impl Rights {
    /// What these parts need together.
    #[must_use]
    pub fn of(needs: &[Need]) -> Self {
        let rows = TABLE.iter().filter(|row| needs.contains(&row.need));
        let bits = rows.flat_map(|row| row.capabilities).fold(0, |bits, (_, bit)| bits | 1 << bit);
        Self { bits }
    }

    /// As a mask, like `CapEff` of `/proc/PID/status`.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.bits
    }

    /// The calling thread, and those that it makes from now on, keep only these rights. If that fails, it says so and goes on.
    pub fn keep(self) {
        self.change(|held| held.only(self.bits));
    }

    /// Like [`Rights::keep`], but the others stay permitted: for a thread that starts commands of the user.
    pub fn keep_in_effect(self) {
        self.change(|held| Sets { effective: held.only(self.bits).effective, ..held });
    }

    fn change(self, change: impl FnOnce(Sets) -> Sets) {
        let changed = Sets::read().and_then(|held| change(held).write());
        if let Err(error) = changed {
            // Each thread would say so.
            static SAID: Once = Once::new();
            SAID.call_once(|| log::warn!("rights that are not needed any more cannot be given up: {error}"));
        }
    }
}

/// Sets of capabilities of the calling thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sets {
    effective: u64,
    permitted: u64,
    inheritable: u64,
    ambient: u64,
}

/// `struct __user_cap_header_struct`
#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

/// `struct __user_cap_data_struct`, one for each 32 capabilities.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Data {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// `_LINUX_CAPABILITY_VERSION_3`: two words.
const VERSION_3: u32 = 0x2008_0522;
/// More than the kernel has.
const CAPABILITIES: u32 = 64;

impl Sets {
    /// What is left if only `wanted` is kept.
    const fn only(self, wanted: u64) -> Self {
        const TRACE: u64 = 1 << BPF.1 | 1 << PERFMON.1;
        // Rights from before 5.8, when there was only this one.
        let stands_in =
            if wanted & TRACE != 0 && self.effective & TRACE != TRACE { 1 << SYS_ADMIN.1 } else { 0 };
        let wanted = wanted | stands_in;
        Self {
            effective: self.effective & wanted,
            // What is not permitted cannot be ambient.
            permitted: self.permitted & (wanted | self.ambient),
            ..self
        }
    }

    fn read() -> io::Result<Self> {
        let header = Header { version: VERSION_3, pid: 0 };
        let mut data = [Data::default(); 2];
        // SAFETY: both point to what the kernel reads and writes for this version.
        let done = unsafe { libc::syscall(libc::SYS_capget, &raw const header, data.as_mut_ptr()) };
        Errno::result(done)?;
        let [low, high] = data;
        let whole = |low: u32, high: u32| u64::from(high) << 32 | u64::from(low);
        Ok(Self {
            effective: whole(low.effective, high.effective),
            permitted: whole(low.permitted, high.permitted),
            inheritable: whole(low.inheritable, high.inheritable),
            ambient: (0..CAPABILITIES).filter(|bit| is_ambient(*bit)).fold(0, |bits, bit| bits | 1 << bit),
        })
    }

    fn write(self) -> io::Result<()> {
        let header = Header { version: VERSION_3, pid: 0 };
        let word = |shift: u32| {
            let half = |bits: u64| u32::try_from(bits >> shift & u64::from(u32::MAX)).unwrap_or(0);
            Data {
                effective: half(self.effective),
                permitted: half(self.permitted),
                inheritable: half(self.inheritable),
            }
        };
        let data = [word(0), word(32)];
        // SAFETY: both point to what the kernel reads for this version.
        let done = unsafe { libc::syscall(libc::SYS_capset, &raw const header, data.as_ptr()) };
        Errno::result(done)?;
        Ok(())
    }
}

/// An unknown capability is an error, and not ambient.
fn is_ambient(bit: u32) -> bool {
    // SAFETY: it takes numbers and changes nothing.
    unsafe { libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_IS_SET, bit, 0, 0) == 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Sets = Sets { effective: u64::MAX, permitted: u64::MAX, inheritable: 0, ambient: 0 };

    #[test]
    fn only_what_is_wanted_and_was_held_stays() {
        let ring = Rights::of(&[Need::Hooks]);
        assert_eq!(ring.bits(), 1 << 38 | 1 << 39);
        let kept = ALL.only(ring.bits());
        assert_eq!((kept.effective, kept.permitted), (ring.bits(), ring.bits()));
        let files = Rights::of(&[Need::Files]).bits();
        assert_eq!(kept.only(files), Sets::default(), "nothing is gained");
        assert_eq!(Rights::of(&[]).bits(), 0);
    }

    #[test]
    fn the_right_that_stands_in_for_two_others_stays_in_their_place() {
        let old = Sets { effective: 1 << 21, permitted: 1 << 21, ..Sets::default() };
        assert_eq!(old.only(Rights::of(&[Need::Hooks]).bits()), old);
        assert_eq!(old.only(Rights::of(&[Need::Files]).bits()), Sets::default());
    }

    #[test]
    fn ambient_rights_stay_permitted_for_commands() {
        let ambient = 1 << 38 | 1 << 39 | 1 << 34;
        let held = Sets { effective: ambient, permitted: ambient, inheritable: ambient, ambient };
        let kept = held.only(1 << 39);
        // 38 is not wanted, but as 39 alone stands for both, nothing stands in here.
        assert_eq!(kept, Sets { effective: 1 << 39, ..held });
    }

    #[test]
    fn every_part_has_one_row() {
        let mut needs: Vec<Need> = TABLE.iter().map(|row| row.need).collect();
        needs.sort_unstable();
        needs.dedup();
        assert_eq!(needs.len(), TABLE.len());
    }

    /// docs/SECURITY.md is what people read.
    #[test]
    fn the_page_has_this_table() {
        let page = include_str!("../../../SECURITY.md");
        let rows = TABLE.map(|row| {
            let names: Vec<String> = row.capabilities.iter().map(|(name, _)| format!("`{name}`")).collect();
            format!("| {} | {} | {} | {} |", row.when, names.join(", "), row.threads, row.why)
        });
        let table = rows.join("\n");
        assert!(page.contains(&table), "SECURITY.md should have\n{table}");
    }

    /// In a thread of its own: what it gives up is gone.
    #[test]
    fn a_thread_gives_up_its_rights_and_others_keep_theirs() {
        let Ok(before) = Sets::read() else { return };
        let after = std::thread::spawn(|| {
            Rights::of(&[Need::Hooks]).keep();
            Sets::read().unwrap_or(ALL)
        });
        assert_eq!(after.join().ok(), Some(before.only(Rights::of(&[Need::Hooks]).bits())));
        assert_eq!(Sets::read().ok(), Some(before));
    }
}
