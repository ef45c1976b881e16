//! Which files a user gets, with their places below a prefix such as `/usr`.
use std::{fs, io::Write as _, path::Path, process::Command};

use anyhow::{Context as _, Result, bail};
use flate2::{Compression, GzBuilder};

use crate::{proc, workspace::Workspace};

/// A file below the prefix.
pub struct Entry {
    /// Where it goes, without a slash at its begin.
    pub at: String,
    /// Its content.
    pub bytes: Vec<u8>,
    /// Whether it can be run.
    pub program: bool,
}

/// Files of the repository that are installed, and where.
const COPIED: [(&str, &str); 3] = [
    ("packaging/btrfs-probe-watch@.service", "lib/systemd/system/btrfs-probe-watch@.service"),
    ("packaging/btrfs-probe.tmpfiles", "lib/tmpfiles.d/btrfs-probe.conf"),
    ("packaging/Containerfile", "share/doc/btrfs-probe/Containerfile"),
];
/// Pages at the root of the repository.
const PAGES: [&str; 9] = [
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CODE_OF_CONDUCT.md",
    "CONTRIBUTING.md",
    "LICENSE-APACHE",
    "LICENSE-GPL-2.0",
    "LICENSE-MIT",
    "README.md",
    "SECURITY.md",
];
/// Where zsh looks as it is built everywhere but on Debian ([`super::spec`]).
pub const ZSH: &str = "share/zsh/site-functions/_btrfs-probe";
/// Shells and where their completions go.
const COMPLETIONS: [(&str, &str); 3] = [
    ("bash", "share/bash-completion/completions/btrfs-probe"),
    ("fish", "share/fish/vendor_completions.d/btrfs-probe.fish"),
    ("zsh", ZSH),
];

/// All files, in order of their places.
///
/// # Errors
/// If one is missing, or the program does not print its page.
pub fn of(workspace: &Workspace, program: &Path, licences: &str, sbom: &str) -> Result<Vec<Entry>> {
    let read = |path: &Path| fs::read(path).with_context(|| format!("cannot read {}", path.display()));
    let mut tree = vec![Entry { at: "bin/btrfs-probe".to_owned(), bytes: read(program)?, program: true }];
    let mut add = |at: String, bytes: Vec<u8>| tree.push(Entry { at, bytes, program: false });
    for (from, at) in COPIED {
        add(at.to_owned(), read(&workspace.root.join(from))?);
    }
    for name in PAGES {
        add(format!("share/doc/btrfs-probe/{name}"), read(&workspace.root.join(name))?);
    }
    for path in pages(&workspace.root)? {
        add(format!("share/doc/btrfs-probe/{path}"), read(&workspace.root.join(&path))?);
    }
    add("share/doc/btrfs-probe/THIRD-PARTY-LICENCES".to_owned(), licences.as_bytes().to_vec());
    add("share/doc/btrfs-probe/btrfs-probe.spdx.json".to_owned(), sbom.as_bytes().to_vec());
    for (shell, at) in COMPLETIONS {
        add(at.to_owned(), said(program, &["completions", shell])?.into_bytes());
    }
    add("share/man/man8/btrfs-probe.8.gz".to_owned(), packed(said(program, &["man"])?.as_bytes())?);
    tree.sort_by(|a, b| a.at.cmp(&b.at));
    Ok(tree)
}

/// Kept for a test of ours alone.
const KEPT: &str = "docs/schema/released/";

/// Files below `docs` that git knows.
fn pages(root: &Path) -> Result<Vec<String>> {
    let mut git = Command::new("git");
    git.current_dir(root).args(["ls-files", "-z", "docs"]);
    let listing = proc::stdout_of(&mut git)?;
    let pages: Vec<String> = listing
        .split('\0')
        .filter(|path| !path.is_empty() && !path.starts_with(KEPT))
        .map(str::to_owned)
        .collect();
    if pages.is_empty() {
        bail!("git knows no file below docs: packages are made from a checkout");
    }
    Ok(pages)
}

fn said(program: &Path, arguments: &[&str]) -> Result<String> {
    proc::stdout_of(Command::new(program).args(arguments))
}

/// gzip without a time and without a name, so that the same text gives the same bytes.
pub fn packed(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut packer = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
    packer.write_all(bytes)?;
    Ok(packer.finish()?)
}
