//! `cargo-deb` and `cargo-generate-rpm`, built from crates.io below `target/tools`.
use std::path::PathBuf;

use anyhow::Result;

use super::crates;
use crate::workspace::Workspace;

/// A tool that makes packages, in a version that was tried.
#[derive(Clone, Copy, Debug)]
pub enum Packager {
    /// For Debian and its kind.
    Deb,
    /// For Fedora, SUSE and their kind.
    Rpm,
}

impl Packager {
    const fn package(self) -> (&'static str, &'static str) {
        match self {
            Self::Deb => ("cargo-deb", "3.8.0"),
            Self::Rpm => ("cargo-generate-rpm", "0.21.1"),
        }
    }

    /// The program; builds it once if it is not there.
    ///
    /// # Errors
    /// If it cannot be built.
    pub fn program(self, workspace: &Workspace) -> Result<PathBuf> {
        let (name, version) = self.package();
        let root = workspace.tools().join(format!("{name}-{version}"));
        let program = root.join("bin").join(name);
        if !program.is_file() {
            println!("setup: building {name} {version} (about a minute)");
            crates::install::<&str>(workspace, (name, version), &root, &[])?;
        }
        Ok(program)
    }
}
