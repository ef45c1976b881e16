//! `cargo-deny`, built from crates.io below `target/tools`.
use std::path::PathBuf;

use anyhow::Result;

use super::crates;
use crate::workspace::Workspace;

/// Builds with our oldest compiler, 1.88, and later.
const VERSION: &str = "0.20.2";

/// The program; builds it once if it is not there.
///
/// # Errors
/// If it cannot be built.
pub fn cargo_deny(workspace: &Workspace) -> Result<PathBuf> {
    let root = workspace.tools().join(format!("cargo-deny-{VERSION}"));
    let program = root.join("bin/cargo-deny");
    if !program.is_file() {
        println!("setup: building cargo-deny {VERSION} (about a minute)");
        crates::install::<&str>(workspace, ("cargo-deny", VERSION), &root, &[])?;
    }
    Ok(program)
}
