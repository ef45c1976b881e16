//! The steps of a test run, and which of them a run takes.
use anyhow::{Result, bail};
use clap::ValueEnum;

use super::{cargo_test, deny, msrv, shells, tally::Tally};
use crate::{
    build::{self, Profile},
    hunt,
    machine::Machine,
    proc, setup, tidy,
    vm::Release,
    workspace::Workspace,
};

/// Fuzz targets.
const FUZZ: &str = "probe-user/fuzz";

/// One step, in the order of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Step {
    /// Formatting of all crates
    Fmt,
    /// Rules of this repository that no compiler knows
    Tidy,
    /// Tools for the kernel side
    Setup,
    /// Build of the kernel side
    Kernel,
    /// Lints of the workspace, warnings are errors
    Clippy,
    /// Documentation of the workspace, private items too; warnings are errors
    Docs,
    /// Unit, property, snapshot and command-line tests: no rights needed
    Fast,
    /// Fuzz targets compile
    Fuzz,
    /// The oldest compiler that is promised, where rustup has it
    Msrv,
    /// Licences, sources and, where GitHub can be reached, advisories of what we depend on
    Deny,
    /// The HTML report in a browser, where there is a Chromium
    Html,
    /// The completions in fish and zsh, of the machine or of Debian's archive
    Shells,
    /// The static tool and the tests that live tests and guests run
    Programs,
    /// Some steps of btrfs fail in a guest, other ones each time (only in CI unless asked for)
    Hunt,
    /// Tests on the running kernel, as root
    Live,
    /// The same tests and more in a guest with Debian's Linux 6.1 (only in CI unless asked for)
    #[value(name = "vm-6.1")]
    Vm61,
    /// In a guest with Linux 6.12
    #[value(name = "vm-6.12")]
    Vm612,
    /// In a guest with Linux 7.x
    #[value(name = "vm-7.x")]
    Vm7,
    /// Some of them on arm64, emulated, with Linux 6.12 (only if asked for)
    #[value(name = "vm-arm64")]
    VmArm,
    /// On arm64 with pages of 16 KiB (only if asked for)
    #[value(name = "vm-arm64-16k")]
    VmArm16K,
    /// Some of them with btrfs built into a kernel that is built for it (only if asked for)
    #[value(name = "vm-built-in")]
    VmBuiltIn,
    /// In a kernel that checks itself (only if asked for)
    #[value(name = "vm-checked")]
    VmChecked,
}

impl Step {
    /// Name in the summary and for `--only`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fmt => "fmt",
            Self::Tidy => "tidy",
            Self::Setup => "setup",
            Self::Kernel => "kernel",
            Self::Clippy => "clippy",
            Self::Docs => "docs",
            Self::Fast => "fast",
            Self::Fuzz => "fuzz",
            Self::Msrv => "msrv",
            Self::Deny => "deny",
            Self::Html => "html",
            Self::Shells => "shells",
            Self::Programs => "programs",
            Self::Hunt => "hunt",
            Self::Live => "live",
            Self::Vm61 => "vm-6.1",
            Self::Vm612 => "vm-6.12",
            Self::Vm7 => "vm-7.x",
            Self::VmArm => "vm-arm64",
            Self::VmArm16K => "vm-arm64-16k",
            Self::VmBuiltIn => "vm-built-in",
            Self::VmChecked => "vm-checked",
        }
    }

    /// Whether test binaries run in it.
    pub const fn runs_tests(self) -> bool {
        matches!(self, Self::Fast | Self::Html | Self::Shells | Self::Live) || self.release().is_some()
    }

    /// Whether it is one of those that run side by side.
    pub const fn is_job(self) -> bool {
        matches!(self, Self::Live) || self.release().is_some()
    }

    /// The step of a kernel that runs in a guest.
    pub const fn of_release(release: Release) -> Self {
        match release {
            Release::V6_1 => Self::Vm61,
            Release::V6_12 => Self::Vm612,
            Release::V7 => Self::Vm7,
            Release::Arm6_12 => Self::VmArm,
            Release::Arm6_12Pages16K => Self::VmArm16K,
            Release::BuiltIn6_12 => Self::VmBuiltIn,
            Release::Checked6_12 => Self::VmChecked,
        }
    }

    /// The kernel of a step that runs in a guest.
    pub const fn release(self) -> Option<Release> {
        match self {
            Self::Vm61 => Some(Release::V6_1),
            Self::Vm612 => Some(Release::V6_12),
            Self::Vm7 => Some(Release::V7),
            Self::VmArm => Some(Release::Arm6_12),
            Self::VmArm16K => Some(Release::Arm6_12Pages16K),
            Self::VmBuiltIn => Some(Release::BuiltIn6_12),
            Self::VmChecked => Some(Release::Checked6_12),
            _ => None,
        }
    }

    /// Whether it boots a guest.
    pub const fn needs_guest(self) -> bool {
        matches!(self, Self::Hunt) || self.release().is_some()
    }

    /// Whether it runs only if asked for: it needs programs and a guest of another machine, or a kernel that is to be built, which
    /// takes long and no other step shares.
    pub fn is_costly(self) -> bool {
        self.release().is_some_and(|release| !release.machine().is_here() || release.built().is_some())
    }

    /// Whether it is pointless after `other` failed.
    pub const fn needs(self, other: Self) -> bool {
        match self {
            Self::Kernel => matches!(other, Self::Setup),
            Self::Programs => matches!(other, Self::Setup | Self::Kernel),
            _ if self.needs_guest() || self.is_job() => {
                matches!(other, Self::Setup | Self::Kernel | Self::Programs)
            }
            _ => false,
        }
    }

    /// Runs it, if it is no job; tests are counted in `tally`. Returns what of it cannot be checked on this machine, and why:
    /// no failure, not even in CI.
    ///
    /// # Errors
    /// If it failed.
    pub fn run(self, workspace: &Workspace, tally: &mut Tally) -> Result<Option<String>> {
        match self {
            Self::Msrv => return msrv::run(workspace),
            Self::Deny => return deny::run(workspace),
            Self::Html => return cargo_test::browser(workspace, tally),
            Self::Shells => return shells::run(workspace, tally),
            Self::Fmt => fmt(workspace),
            Self::Tidy => tidy::run(workspace),
            Self::Setup => setup::run(workspace).map(drop),
            Self::Kernel => build::kernel_side(workspace).map(drop),
            Self::Clippy => clippy(workspace),
            Self::Docs => docs(workspace),
            Self::Fast => cargo_test::fast(workspace, tally),
            Self::Fuzz => fuzz(workspace),
            Self::Programs => build::for_tests(workspace, Machine::here()?).map(drop),
            Self::Hunt => hunt::slice(workspace),
            Self::Live
            | Self::Vm61
            | Self::Vm612
            | Self::Vm7
            | Self::VmArm
            | Self::VmArm16K
            | Self::VmBuiltIn
            | Self::VmChecked => {
                bail!("a job is run with the others")
            }
        }
        .map(|()| None)
    }
}

/// The steps that a run takes, in order: those asked for and what they need, or all.
pub fn plan(only: &[Step], ci: bool) -> Vec<Step> {
    let all = Step::value_variants();
    let wanted = |step: &Step| {
        if only.is_empty() {
            !step.needs_guest() || (ci && !step.is_costly())
        } else {
            only.contains(step) || only.iter().any(|asked| asked.needs(*step))
        }
    };
    all.iter().copied().filter(wanted).collect()
}

/// In CI a test that needs rights or a guest must run.
///
/// # Errors
/// If one was skipped there.
pub fn no_skip(ci: bool, tally: &Tally) -> Result<()> {
    if !ci {
        return Ok(());
    }
    match (tally.skipped.first(), tally.ignored) {
        (Some(reason), _) => bail!("a test was skipped, which CI does not allow: {reason}"),
        (None, 0) => Ok(()),
        (None, ignored) => bail!("{ignored} tests were ignored, which CI does not allow"),
    }
}

fn fmt(workspace: &Workspace) -> Result<()> {
    // The kernel side and the fuzz targets are workspaces of their own.
    let mut unformatted = Vec::new();
    for folder in [".", "probe-ebpf", FUZZ] {
        let mut command = workspace.cargo();
        command.current_dir(workspace.root.join(folder)).args(["fmt", "--all", "--check"]);
        if !proc::aloud(&mut command)?.success() {
            unformatted.push(folder);
        }
    }
    match unformatted[..] {
        [] => Ok(()),
        _ => bail!("run `cargo fmt --all` in {}", unformatted.join(" and ")),
    }
}

fn clippy(workspace: &Workspace) -> Result<()> {
    let mut command = build::cargo(workspace, Profile::Debug, "clippy")?;
    command.args(["--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"]);
    if !proc::aloud(&mut command)?.success() {
        bail!("mend the lints above");
    }
    Ok(())
}

fn docs(workspace: &Workspace) -> Result<()> {
    let mut command = build::cargo(workspace, Profile::Debug, "doc")?;
    let denied = "-D warnings";
    let flags =
        command.get_envs().find(|(name, _)| *name == "RUSTDOCFLAGS").and_then(|(_, value)| value?.to_str());
    let flags = flags.map_or_else(|| denied.to_owned(), |flags| format!("{flags} {denied}"));
    command.env("RUSTDOCFLAGS", flags);
    command.args(["--quiet", "--workspace", "--no-deps", "--document-private-items", "--keep-going"]);
    if !proc::aloud(&mut command)?.success() {
        bail!("mend the documentation above");
    }
    Ok(())
}

fn fuzz(workspace: &Workspace) -> Result<()> {
    let mut command = workspace.cargo();
    command.current_dir(workspace.root.join(FUZZ)).args(["check", "--quiet", "--locked", "--target-dir"]);
    // For them all alone: cargo-fuzz has its own flags and its own folder.
    command.arg(workspace.target.join("fuzz"));
    if !proc::aloud(&mut command)?.success() {
        bail!("the fuzz targets do not compile, or {FUZZ}/Cargo.lock is out of date");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_asked_for_brings_what_it_needs_in_order() {
        assert_eq!(plan(&[Step::Live], false), [Step::Setup, Step::Kernel, Step::Programs, Step::Live]);
        assert_eq!(plan(&[Step::Fast, Step::Fmt], true), [Step::Fmt, Step::Fast]);
    }

    #[test]
    fn in_ci_every_test_of_a_step_runs() {
        let tally = |lines: &[&str]| {
            let mut tally = Tally::default();
            lines.iter().for_each(|line| tally.line(line));
            tally
        };
        let ignored = tally(&["test result: ok. 3 passed; 0 failed; 1 ignored"]);
        let skipped = tally(&["SKIPPED: needs root", "test result: ok. 3 passed; 0 failed; 0 ignored"]);
        for tally in [&ignored, &skipped] {
            assert!(no_skip(true, tally).is_err(), "{tally}");
            assert!(no_skip(false, tally).is_ok(), "{tally}");
        }
        assert!(no_skip(true, &tally(&["test result: ok. 3 passed; 0 failed; 0 ignored"])).is_ok());
    }

    #[test]
    fn a_whole_run_leaves_out_guests_only_outside_ci() {
        assert!(!plan(&[], false).contains(&Step::Vm7));
        assert!(!plan(&[], false).contains(&Step::Hunt));
        let costly = Step::value_variants().iter().filter(|step| step.is_costly()).count();
        assert_eq!(plan(&[], true).len() + costly, Step::value_variants().len());
        assert_eq!(plan(&[Step::VmArm], false).last(), Some(&Step::VmArm));
    }
}
