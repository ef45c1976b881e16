//! The tests that run in guests: which binaries, on which kernels, with which files.
//!
//! A new test binary is one line in [`ENTRIES`].
use std::{
    collections::{BTreeMap, btree_map},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};

use super::{
    Release,
    emulator::Emulator,
    guest::{Guest, Source},
    headers,
    initramfs::Item,
    kernel::Kernel,
    qemu::{self, Accelerator},
};
use crate::{
    build::{self, TestedPrograms},
    machine::Machine,
    test::LIVE_ARGUMENTS,
    workspace::Workspace,
};

/// One test binary.
struct Entry {
    /// Name of the test target of `probe-user`.
    test: &'static str,
    /// Kernels it runs on.
    releases: &'static [Release],
    /// Only tests whose names contain one of these words; all if there is none.
    only: &'static str,
    /// Whether it loads the fault module.
    fault: bool,
    /// Seconds after which it hangs: several times what it needs in an emulated guest that has a processor to itself.
    seconds: u64,
}

const EVERY: &[Release] = &[Release::V6_1, Release::V6_12, Release::V7];
/// Another machine than x86-64.
const ARM: &[Release] = &[Release::Arm6_12, Release::Arm6_12Pages16K];
/// Kernels that we build.
const BUILT: &[Release] = &[Release::BuiltIn6_12, Release::Checked6_12];

/// Rights, the screen and the workloads are the same on every kernel: `live_beats`, `live_rights`, `live_top` and `live_workload`
/// run on the machine itself. In the order of running. All of a part share one boot, so that what one leaves behind in the kernel is
/// met by the next.
const ENTRIES: &[Entry] = &[
    Entry { test: "live_filesystems", releases: EVERY, only: "", fault: false, seconds: 1800 },
    // What kernels do differently shows in these.
    Entry {
        test: "live_fstests",
        releases: EVERY,
        only: "result_and_its_verdict met_in_the_middle",
        fault: false,
        seconds: 400,
    },
    // The first of our kernels that has the call.
    Entry {
        test: "live_ends",
        releases: &[Release::V7],
        only: "forced_shutdown",
        fault: false,
        seconds: 400,
    },
    Entry { test: "live_filesystems", releases: BUILT, only: "", fault: false, seconds: 3600 },
    Entry { test: "live_load", releases: BUILT, only: "", fault: false, seconds: 3600 },
    Entry { test: "live_run", releases: BUILT, only: "", fault: false, seconds: 1800 },
    Entry { test: "live_load", releases: EVERY, only: "", fault: false, seconds: 1200 },
    Entry { test: "live_record", releases: EVERY, only: "", fault: false, seconds: 900 },
    Entry { test: "live_waits", releases: EVERY, only: "", fault: false, seconds: 900 },
    Entry { test: "live_holders", releases: EVERY, only: "the_report", fault: false, seconds: 600 },
    Entry { test: "live_run", releases: EVERY, only: "", fault: false, seconds: 900 },
    Entry {
        test: "live_failures",
        releases: &[Release::V6_12, Release::V7],
        // Not scrub: its speed has a limit, and that of a guest none.
        only: "free_space recording data_that limit_of_a_qgroup held_before who_draws",
        fault: false,
        seconds: 600,
    },
    // 6.1 aborts a filesystem whose metadata is filled to the last block.
    Entry {
        test: "live_failures",
        releases: &[Release::V6_1],
        only: "data_that_is_full limit_of_a_qgroup held_before",
        fault: false,
        seconds: 600,
    },
    Entry { test: "vm_functions", releases: EVERY, only: "", fault: false, seconds: 600 },
    Entry { test: "vm_functions", releases: ARM, only: "", fault: false, seconds: 1800 },
    Entry { test: "vm_functions", releases: BUILT, only: "", fault: false, seconds: 1800 },
    Entry { test: "vm_safety", releases: BUILT, only: "", fault: false, seconds: 1800 },
    // The first hooks functions by fentry, the second by kprobes.
    Entry {
        test: "vm_safety",
        releases: &[Release::V6_12, Release::V7],
        only: "",
        fault: false,
        seconds: 900,
    },
    // With the whole demo in it.
    Entry { test: "live_signals", releases: EVERY, only: "", fault: false, seconds: 700 },
    Entry {
        test: "vm_causes",
        releases: &[Release::V6_1, Release::V6_12],
        only: "",
        fault: true,
        seconds: 400,
    },
    Entry {
        test: "vm_faults",
        releases: &[Release::V6_1, Release::V6_12],
        only: "",
        fault: true,
        seconds: 3600,
    },
];

/// A guest that says nothing for so long hangs: each test says its name, and gives up and says why before that.
const SILENCE: Duration = Duration::from_secs(800);
/// What a guest shows behind a test that failed: what the kernel said, and whether memory and the disk in it were full.
const LAST_WORDS: &str = "dmesg | tail -n 60; free; df /tmp";
/// How much slower than the machine a guest may be, under emulation.
const SLOWNESS: u32 = 8;

/// What shares a boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Tests of a kernel as it is.
    Live,
    /// Tests that make it wrong: they spoil it for others.
    Faults,
}

/// The boots that the tests of these kernels need, longest first: so that the last ones end at about the same time.
pub fn boots(releases: &[Release]) -> Vec<(Release, Part)> {
    // The newest takes longest.
    let of = |part| releases.iter().rev().map(move |release| (*release, part));
    of(Part::Live)
        .chain(of(Part::Faults))
        .filter(|(release, part)| entries(*release, *part).next().is_some())
        .collect()
}

/// What all guests need, made once: afterwards they can run side by side.
pub struct Suite {
    programs: BTreeMap<Machine, TestedPrograms>,
    /// By kernel.
    accelerators: BTreeMap<&'static str, Accelerator>,
    /// The fault module by kernel.
    faults: BTreeMap<&'static str, Item>,
}

impl Suite {
    /// Fetches the kernels and what else is missing, and builds the fault module. `programs`: what the guests run.
    ///
    /// # Errors
    /// Something does not build or cannot be fetched.
    pub fn prepare(workspace: &Workspace, programs: &TestedPrograms, releases: &[Release]) -> Result<Self> {
        let vm = workspace.target.join("vm");
        let mut of = BTreeMap::from([(programs.machine, programs.stripped(&vm.join("programs"))?)]);
        let mut faults = BTreeMap::new();
        let mut accelerators = BTreeMap::new();
        for release in releases {
            let machine = release.machine();
            if let btree_map::Entry::Vacant(none) = of.entry(machine) {
                let folder = vm.join(format!("programs-{}", machine.debian()));
                none.insert(build::for_tests(workspace, machine)?.stripped(&folder)?);
            }
            let emulator = Emulator::ensure(workspace, machine)?;
            let kernel = Kernel::ensure(workspace, *release)?;
            accelerators.insert(release.name(), qemu::accelerator(workspace, &emulator, &kernel.image)?);
            if entries(*release, Part::Faults).next().is_some() {
                let module = headers::fault_module(workspace, &kernel)?;
                let place = format!("/lib/fault/{}.ko", headers::MODULE);
                faults.insert(release.name(), Item::program(module, place));
            }
        }
        Ok(Self { programs: of, accelerators, faults })
    }

    /// Fetches what [`Suite::prepare`] needs from the net.
    ///
    /// # Errors
    /// Something cannot be fetched.
    pub fn fetch(workspace: &Workspace, releases: &[Release]) -> Result<()> {
        for release in releases {
            Emulator::ensure(workspace, release.machine())?;
            Kernel::ensure(workspace, *release)?;
        }
        Ok(())
    }

    /// Runs one part of the tests on one kernel; what they print goes to `output`.
    ///
    /// # Errors
    /// The guest did not come to its end, or a binary failed.
    pub fn run(
        &self,
        workspace: &Workspace,
        (release, part): (Release, Part),
        output: &mut dyn FnMut(&[u8]),
    ) -> Result<()> {
        let mut items = self.items(release, part)?;
        if part == Part::Faults {
            items.extend(self.faults.get(release.name()).cloned());
        }
        let kvm = self.accelerators.get(release.name()) == Some(&Accelerator::Kvm);
        let slowness = if kvm { 1 } else { SLOWNESS };
        let mut script = format!(
            "export CI=true RUST_BACKTRACE=1 BTRFS_PROBE_TEST_TIER=tracepoints BTRFS_PROBE_GUEST=1 BTRFS_PROBE_BIN=/bin/btrfs-probe BTRFS_PROBE_TEST_PATIENCE={slowness}\nworst=0\n"
        );
        let arguments = LIVE_ARGUMENTS.join(" ");
        for Entry { test, only, seconds, .. } in entries(release, part) {
            script.push_str(&format!(
                "echo; echo '── {test} ──'\ntimeout -s KILL {seconds} /tests/{test} {only} {arguments}\n\
                 status=$?; [ $status = 0 ] || {{ echo \"{test} ended with status $status\"; {LAST_WORDS}; worst=1; }}\n\
                 case $status in 0|101) ;; *) echo 'test result: FAILED. 0 passed; 1 failed';; esac\n"
            ));
        }
        script.push_str("exit $worst\n");
        let timeout =
            Duration::from_secs(60 + entries(release, part).map(|entry| entry.seconds).sum::<u64>());
        let guest = Guest {
            kernel: Source::Debian(release),
            // Above a gibibyte are the programs, which lie in memory too. Tests fill a gibibyte with images of filesystems, and the
            // kernel needs one while 80 of them are mounted.
            memory: "4G".to_owned(),
            timeout,
            silence: SILENCE,
            counted: false,
            items,
            collect: Vec::new(),
            script,
        };
        match guest.run(workspace, None, output)? {
            0 => Ok(()),
            _ => bail!("tests failed in the guest"),
        }
    }

    /// The tool, the examples and the tests, where the tests look for them.
    fn items(&self, release: Release, part: Part) -> Result<Vec<Item>> {
        let programs = self.programs.get(&release.machine()).context("nothing was built for this machine")?;
        let TestedPrograms { machine: _, tool, tests, examples } = programs;
        // Not where cargo built it, which may lie below what the guest mounts over.
        let mut items = vec![Item::program(tool.clone(), "/bin/btrfs-probe")];
        // Examples are looked for beside the folder of the test.
        items.extend(
            examples.iter().map(|(name, path)| Item::program(path.clone(), format!("/examples/{name}"))),
        );
        for Entry { test, .. } in entries(release, part) {
            let found = tests.iter().find(|(name, _)| name == test);
            let (_, path) = found.with_context(|| format!("cargo built no test {test}"))?;
            items.push(Item::program(path.clone(), format!("/tests/{test}")));
        }
        Ok(items)
    }
}

fn entries(release: Release, part: Part) -> impl Iterator<Item = &'static Entry> {
    let faults = part == Part::Faults;
    ENTRIES.iter().filter(move |entry| entry.releases.contains(&release) && entry.fault == faults)
}

#[cfg(test)]
mod tests {
    use super::{Part, boots};
    use crate::vm::Release;

    #[test]
    fn a_kernel_without_a_fault_module_has_one_boot() {
        assert_eq!(
            boots(&[Release::V6_12, Release::V7]),
            [(Release::V7, Part::Live), (Release::V6_12, Part::Live), (Release::V6_12, Part::Faults)]
        );
    }
}
