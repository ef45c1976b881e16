//! Installs what was made into an empty root, runs it there, upgrades it and removes it.
//!
//! The root has nothing but the package: no libc, no shell. So what runs there needs nothing else.
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail, ensure};

use super::{Dist, spec};
use crate::{proc, workspace::Workspace};

/// Places that a package must have, whatever else is in it.
const PROMISED: [&str; 10] = [
    "usr/bin/btrfs-probe",
    "usr/lib/systemd/system/btrfs-probe-watch@.service",
    "usr/lib/tmpfiles.d/btrfs-probe.conf",
    "usr/share/bash-completion/completions/btrfs-probe",
    "usr/share/doc/btrfs-probe/LICENSE-MIT",
    "usr/share/doc/btrfs-probe/README.md",
    "usr/share/doc/btrfs-probe/THIRD-PARTY-LICENCES",
    "usr/share/doc/btrfs-probe/btrfs-probe.spdx.json",
    "usr/share/doc/btrfs-probe/docs/guide.md",
    "usr/share/man/man8/btrfs-probe.8.gz",
];

/// Checks the packages in `target/dist`.
///
/// # Errors
/// What is not as it should be.
pub fn run(workspace: &Workspace, dist: &Dist) -> Result<()> {
    ensure!(proc::is_root(), "dist --check installs packages: run it as root");
    sums(dist)?;
    let root = tempfile::tempdir()?;
    let promised: BTreeSet<PathBuf> = PROMISED.iter().map(PathBuf::from).collect();

    let tarball = dist.folder.join(format!("{}.tar.gz", dist.stem()));
    let unpacked = root.path().join("tarball");
    fs::create_dir_all(unpacked.join("usr"))?;
    let mut tar = Command::new("tar");
    tar.args(["-xzf"]).arg(&tarball).args(["--strip-components=1", "-C"]).arg(unpacked.join("usr"));
    proc::quietly(&mut tar)?;
    let in_tarball = files(&unpacked)?;
    contains(&in_tarball, &promised, "the tarball")?;
    runs(&unpacked, &dist.version)?;

    let installed = root.path().join("deb");
    let database = installed.join("var/lib/dpkg");
    for folder in ["info", "updates", "triggers"] {
        fs::create_dir_all(database.join(folder))?;
    }
    fs::write(database.join("status"), "")?;
    let deb = dist.folder.join(format!("btrfs-probe-{}-{}.deb", dist.version, dist.machine));
    dpkg(&installed, &["--install".as_ref(), deb.as_os_str()])?;
    let of_package = payload(&installed)?;
    contains(&of_package, &promised, "the .deb")?;
    let as_on_debian: BTreeSet<PathBuf> = in_tarball.iter().map(|path| on_debian(path)).collect();
    let differ: Vec<_> =
        of_package.symmetric_difference(&as_on_debian).filter(|path| !path.ends_with("copyright")).collect();
    ensure!(differ.is_empty(), "the .deb and the tarball have other files: {differ:?}");
    runs(&installed, &dist.version)?;

    let newer = format!("{}+check", dist.version);
    spec::deb(workspace, dist, &spec::folder(workspace), &newer, root.path())?;
    let deb = root.path().join(format!("btrfs-probe-{newer}-{}.deb", dist.machine));
    dpkg(&installed, &["--install".as_ref(), deb.as_os_str()])?;
    ensure!(payload(&installed)? == of_package, "the upgrade left or lost a file");
    runs(&installed, &dist.version)?;
    dpkg(&installed, &["--purge".as_ref(), "btrfs-probe".as_ref()])?;
    let left = payload(&installed)?;
    ensure!(left.is_empty(), "the removed package left {left:?}");

    let rpm = dist.folder.join(format!("{}.rpm", dist.stem()));
    let how = rpm_says(&rpm)?;
    println!(
        "checked: {} files in the tarball and the .deb, which was installed, run, upgraded and removed; {how}",
        of_package.len()
    );
    Ok(())
}

fn sums(dist: &Dist) -> Result<()> {
    let mut command = Command::new("sha256sum");
    command.current_dir(&dist.folder).args(["--check", "--strict", "--quiet", "SHA256SUMS"]);
    proc::quietly(&mut command).context("run `cargo xtask dist` first")
}

/// The program does what needs no rights, and doctor finds the kernel.
fn runs(root: &Path, version: &str) -> Result<()> {
    let within = |arguments: &[&str]| {
        let mut command = Command::new("chroot");
        command.arg(root).arg("/usr/bin/btrfs-probe").args(arguments);
        command.output().context("chroot cannot be run")
    };
    let said = within(&["--version"])?;
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    ensure!(said.trim() == format!("btrfs-probe {version}"), "--version says {said:?}");
    let broken = within(&["demo", "--broken"])?;
    let text = String::from_utf8_lossy(&broken.stdout).into_owned();
    ensure!(
        broken.status.code() == Some(3) && text.contains("FINDINGS: 4 broken rules"),
        "demo --broken ended with {}: {text}",
        broken.status
    );
    // With the kernel's own filesystems, in a mount namespace that ends with the command.
    let script = "mkdir -p \"$1/proc\" \"$1/sys\" && mount --rbind /proc \"$1/proc\" && mount --rbind /sys \"$1/sys\" \
                  && exec chroot \"$1\" /usr/bin/btrfs-probe doctor";
    let mut doctor = Command::new("unshare");
    doctor.args(["--mount", "--propagation", "private", "sh", "-c", script, "sh"]).arg(root);
    let said = proc::stdout_of(&mut doctor)?;
    ensure!(said.contains("kernel"), "doctor says {said}");
    for folder in ["proc", "sys"] {
        fs::remove_dir(root.join(folder))?;
    }
    Ok(())
}

/// Where the .deb has a file of the tarball.
fn on_debian(path: &Path) -> PathBuf {
    match path.to_str().and_then(|path| path.strip_prefix("usr/")) {
        Some(at) => Path::new("usr").join(spec::on_debian(at)),
        None => path.to_owned(),
    }
}

fn dpkg(root: &Path, arguments: &[&std::ffi::OsStr]) -> Result<()> {
    let mut command = Command::new("dpkg");
    command.arg(format!("--root={}", root.display())).arg("--log=/dev/null").args(arguments);
    proc::quietly(&mut command)
}

/// Files below `root` but those of dpkg itself.
fn payload(root: &Path) -> Result<BTreeSet<PathBuf>> {
    Ok(files(root)?.into_iter().filter(|path| !path.starts_with("var/lib/dpkg")).collect())
}

fn files(root: &Path) -> Result<BTreeSet<PathBuf>> {
    let mut found = BTreeSet::new();
    let mut open = vec![root.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder)?.flatten() {
            let path = entry.path();
            if path.is_dir() {
                open.push(path);
            } else {
                found.insert(path.strip_prefix(root)?.to_owned());
            }
        }
    }
    Ok(found)
}

fn contains(files: &BTreeSet<PathBuf>, promised: &BTreeSet<PathBuf>, what: &str) -> Result<()> {
    let missing: Vec<_> = promised.difference(files).collect();
    if !missing.is_empty() {
        bail!("{what} lacks {missing:?}");
    }
    Ok(())
}

/// What `rpm` reads from the .rpm, where there is one.
fn rpm_says(rpm: &Path) -> Result<String> {
    if proc::which("rpm").is_none() {
        let bytes = fs::read(rpm).context("there is no .rpm")?;
        ensure!(bytes.starts_with(&[0xed, 0xab, 0xee, 0xdb]), "{} is no .rpm", rpm.display());
        return Ok("the .rpm was only made: no rpm here to read it".to_owned());
    }
    let mut command = Command::new("rpm");
    command.args(["--query", "--list", "--package", "--nosignature"]).arg(rpm);
    let listed = proc::stdout_of(&mut command)?;
    for promised in PROMISED {
        ensure!(listed.lines().any(|line| line == format!("/{promised}")), "the .rpm lacks /{promised}");
    }
    Ok("rpm lists the files of the .rpm".to_owned())
}
