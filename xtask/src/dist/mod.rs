//! `cargo xtask dist`: what is given to others, in `target/dist`: a tarball, a .deb, an .rpm, a list of all parts (SPDX) and
//! checksums.
//!
//! All times are the commit's, the order is fixed, and no path of this machine is in the program. `--check` installs, runs, upgrades and
//! removes what was made, `--newcomer` uses it in a fresh Debian.
mod check;
mod licences;
mod newcomer;
mod parts;
mod release;
mod sbom;
mod spec;
mod tarball;
mod tree;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};

use crate::{
    build::{self, Profile},
    proc,
    workspace::Workspace,
};

/// What `cargo xtask dist` is told.
#[derive(clap::Args, Debug)]
pub struct Options {
    /// Install what was made into an empty root, run it, upgrade it and remove it again; as root
    #[arg(long)]
    check: bool,
    /// Boot a fresh Debian in a guest and use what was made there, as a newcomer would: first answers, the unit of systemd, a
    /// container; as root, some minutes
    #[arg(long)]
    newcomer: bool,
    /// Check what is there and build nothing
    #[arg(long)]
    no_build: bool,
}

/// What this version is and where it goes.
struct Dist {
    /// Of the workspace.
    version: String,
    /// Seconds since 1970 of the commit, or as `SOURCE_DATE_EPOCH` says.
    epoch: u64,
    /// `x86_64` or `aarch64`.
    machine: &'static str,
    /// `target/dist`
    folder: PathBuf,
}

impl Dist {
    fn new(workspace: &Workspace) -> Result<Self> {
        let epoch = match std::env::var("SOURCE_DATE_EPOCH") {
            Ok(set) => set.parse().context("SOURCE_DATE_EPOCH is no number of seconds")?,
            Err(_) => {
                let mut git = Command::new("git");
                git.current_dir(&workspace.root).args(["log", "-1", "--format=%ct"]);
                proc::stdout_of(&mut git)?.trim().parse().context("the commit has no time")?
            }
        };
        Ok(Self {
            version: release::version(&workspace.root)?,
            epoch,
            machine: std::env::consts::ARCH,
            folder: workspace.target.join("dist"),
        })
    }

    /// `btrfs-probe-VERSION-MACHINE`
    fn stem(&self) -> String {
        format!("btrfs-probe-{}-{}", self.version, self.machine)
    }
}

/// Makes everything, and says where it lies.
///
/// # Errors
/// If a part cannot be built, made or checked.
pub fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    ensure!(
        !options.no_build || options.check || options.newcomer,
        "dist --no-build does nothing by itself: add --check or --newcomer"
    );
    let dist = Dist::new(workspace)?;
    if !options.no_build {
        make(workspace, &dist)?;
    }
    if options.check {
        check::run(workspace, &dist)?;
    }
    if options.newcomer {
        newcomer::run(workspace, &dist)?;
    }
    Ok(())
}

fn make(workspace: &Workspace, dist: &Dist) -> Result<()> {
    release::check(&workspace.root, &dist.version)?;
    let program = build::run(workspace, Profile::Dist)?;
    // What an earlier version left would be in the sums.
    if dist.folder.is_dir() {
        fs::remove_dir_all(&dist.folder)
            .with_context(|| format!("cannot remove {}", dist.folder.display()))?;
    }
    fs::create_dir_all(&dist.folder)?;
    let parts = parts::of(workspace)?;
    let sbom = sbom::document(dist, &parts)?;
    write(dist, &format!("{}.spdx.json", dist.stem()), sbom.as_bytes())?;
    let tree = tree::of(workspace, &program, &licences::texts(&parts)?, &sbom)?;
    write(dist, &format!("{}.tar.gz", dist.stem()), &tarball::gz(&tree, &dist.stem(), dist.epoch)?)?;
    spec::packages(workspace, dist, &tree, &dist.folder)?;
    let names = files(&dist.folder)?;
    let mut sums = Command::new("sha256sum");
    sums.current_dir(&dist.folder).args(&names);
    let sums = proc::stdout_of(&mut sums)?;
    write(dist, "SHA256SUMS", sums.as_bytes())?;
    print!("{sums}");
    println!("{}", dist.folder.display());
    Ok(())
}

fn write(dist: &Dist, name: &str, bytes: &[u8]) -> Result<()> {
    let path = dist.folder.join(name);
    fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))
}

/// Names of the files in a folder, in order.
fn files(folder: &Path) -> Result<Vec<String>> {
    let mut names: Vec<String> = fs::read_dir(folder)?
        .flatten()
        .filter(|entry| entry.path().is_file())
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    Ok(names)
}
