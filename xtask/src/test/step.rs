//! The steps of a test run, and which of them a run takes.
use anyhow::{Result, bail};
use clap::ValueEnum;

use super::{cargo_test, tally::Tally};
use crate::{
    build::{self, Profile},
    proc, setup, tidy,
    vm::Release,
    workspace::Workspace,
};

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
    /// Unit, property, snapshot and command-line tests: no rights needed
    Fast,
    /// The static tool and the tests that live tests and guests run
    Programs,
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
            Self::Fast => "fast",
            Self::Programs => "programs",
            Self::Live => "live",
            Self::Vm61 => "vm-6.1",
            Self::Vm612 => "vm-6.12",
            Self::Vm7 => "vm-7.x",
        }
    }

    /// Whether test binaries run in it.
    pub const fn runs_tests(self) -> bool {
        matches!(self, Self::Fast | Self::Live) || self.release().is_some()
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
        }
    }

    /// The kernel of a step that runs in a guest.
    pub const fn release(self) -> Option<Release> {
        match self {
            Self::Vm61 => Some(Release::V6_1),
            Self::Vm612 => Some(Release::V6_12),
            Self::Vm7 => Some(Release::V7),
            _ => None,
        }
    }

    /// Whether it is pointless after `other` failed.
    pub const fn needs(self, other: Self) -> bool {
        match self {
            Self::Kernel => matches!(other, Self::Setup),
            Self::Programs => matches!(other, Self::Setup | Self::Kernel),
            Self::Live | Self::Vm61 | Self::Vm612 | Self::Vm7 => {
                matches!(other, Self::Setup | Self::Kernel | Self::Programs)
            }
            _ => false,
        }
    }

    /// Runs it, if it is no job; tests are counted in `tally`.
    ///
    /// # Errors
    /// If it failed.
    pub fn run(self, workspace: &Workspace, tally: &mut Tally) -> Result<()> {
        match self {
            Self::Fmt => fmt(workspace),
            Self::Tidy => tidy::run(workspace),
            Self::Setup => setup::run(workspace).map(drop),
            Self::Kernel => build::kernel_side(workspace).map(drop),
            Self::Clippy => clippy(workspace),
            Self::Fast => cargo_test::fast(workspace, tally),
            Self::Programs => build::for_tests(workspace).map(drop),
            Self::Live | Self::Vm61 | Self::Vm612 | Self::Vm7 => bail!("a job is run with the others"),
        }
    }
}

/// The steps that a run takes, in order: those asked for and what they need, or all.
pub fn plan(only: &[Step], ci: bool) -> Vec<Step> {
    let all = Step::value_variants();
    let wanted = |step: &Step| {
        if only.is_empty() {
            step.release().is_none() || ci
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
    let workspace_status = proc::aloud(workspace.cargo().args(["fmt", "--all", "--check"]))?;
    // The kernel side is a workspace of its own.
    let kernel_status = proc::aloud(
        workspace.cargo().current_dir(workspace.root.join("probe-ebpf")).args(["fmt", "--all", "--check"]),
    )?;
    if !(workspace_status.success() && kernel_status.success()) {
        bail!("run `cargo fmt --all` here and in probe-ebpf/");
    }
    Ok(())
}

fn clippy(workspace: &Workspace) -> Result<()> {
    let mut command = build::cargo(workspace, Profile::Debug, "clippy")?;
    command.args(["--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"]);
    if !proc::aloud(&mut command)?.success() {
        bail!("mend the lints above");
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
        assert_eq!(plan(&[], true), Step::value_variants());
    }
}
