//! Where things are: the repository, cargo's target folder, and what we put into it.
use std::{env, ffi::OsString, path::PathBuf, process::Command};

use anyhow::{Context as _, Result};

use crate::proc;

/// The paths every task starts from.
#[derive(Clone, Debug)]
pub struct Workspace {
    /// Root of the repository.
    pub root: PathBuf,
    /// Cargo's target folder, wherever the user put it.
    pub target: PathBuf,
    /// The cargo that runs us.
    cargo: OsString,
}

impl Workspace {
    /// Asks cargo where the workspace and its target folder are.
    ///
    /// # Errors
    /// If cargo cannot read the manifests.
    pub fn find() -> Result<Self> {
        // At run time and not at compile time: a moved or copied checkout keeps its target folder.
        let here = env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(&cargo);
        command.current_dir(&here).args(["metadata", "--no-deps", "--format-version", "1"]);
        let metadata: serde_json::Value = serde_json::from_str(&proc::stdout_of(&mut command)?)
            .context("`cargo metadata` printed no JSON")?;
        let path = |key: &str| {
            metadata[key]
                .as_str()
                .map(PathBuf::from)
                .with_context(|| format!("`cargo metadata` names no {key}"))
        };
        Ok(Self { root: path("workspace_root")?, target: path("target_directory")?, cargo })
    }

    /// A cargo command of the toolchain that runs us, at the root of the workspace.
    #[must_use]
    pub fn cargo(&self) -> Command {
        let mut command = Command::new(&self.cargo);
        command.current_dir(&self.root);
        proc::forget_outer_package(&mut command);
        command
    }

    /// Tools that `setup` installs: `target/tools`.
    #[must_use]
    pub fn tools(&self) -> PathBuf {
        self.target.join("tools")
    }

    /// Where a finished eBPF object is put: `target/ebpf/<name>.bpf.o`.
    #[must_use]
    pub fn object(&self, name: &str) -> PathBuf {
        self.target.join("ebpf").join(format!("{name}.bpf.o"))
    }

    /// A workspace that exists only below a temporary folder.
    #[cfg(test)]
    pub fn for_test(root: &std::path::Path) -> Self {
        Self { root: root.to_owned(), target: root.join("target"), cargo: "cargo".into() }
    }
}
