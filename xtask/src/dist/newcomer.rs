//! A newcomer's first minutes with the packages: a fresh Debian with systemd in a guest, its own kernel, its own podman.
//!
//! `check` looks at the packages in an empty root of this machine; here they meet what they are for.
use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail, ensure};

use super::{Dist, spec};
use crate::{machine::Machine, proc, setup, vm::emulator::Emulator, workspace::Workspace};

const SUITE: &str = "trixie";
const MIRROR: &str = "http://deb.debian.org/debian";
/// Besides what a minimal Debian has.
const PACKAGES: &str = "systemd,systemd-sysv,udev,dbus,kmod,procps,btrfs-progs,man-db,rpm,zstd,ca-certificates,podman,crun,passt,\
                        nftables,iproute2,linux-image-cloud-amd64,initramfs-tools";
const SCRIPT: &str = include_str!("../../../tests/newcomer/guest.sh");
const UNIT: &str = include_str!("../../../tests/newcomer/newcomer.service");
/// The last line where all went well.
const WELL: &str = "newcomer: ok";
/// Longest run, seconds: a guest that is emulated takes five minutes on a quiet machine.
const PATIENCE: &str = "2400";

/// Boots the guest, lets the script run in it and shows what it says.
///
/// # Errors
/// What is missing on this machine, or what did not go as it should.
pub fn run(workspace: &Workspace, dist: &Dist) -> Result<()> {
    ensure!(proc::is_root(), "dist --newcomer makes a Debian: run it as root");
    let debian = debian(&workspace.target.join("vm"))?;
    let scratch = tempfile::tempdir_in(&workspace.target)?;
    give(workspace, dist, &debian, scratch.path())?;
    let disk = scratch.path().join("disk");
    let mut make = Command::new(setup::program("mkfs.ext4", "e2fsprogs")?);
    make.args(["-q", "-d"]).arg(&debian).arg(&disk).arg("6G");
    proc::quietly(&mut make)?;
    let console = scratch.path().join("console");
    let said = boot(workspace, &debian, &disk, &console)?;
    if !said.lines().any(|line| line.trim() == WELL) {
        let console = fs::read(&console).unwrap_or_default();
        bail!(
            "the newcomer met something that is not as it should be; the console said last:\n{}",
            String::from_utf8_lossy(&console[console.len().saturating_sub(2000)..])
        );
    }
    Ok(())
}

/// The folder with a fresh Debian, made once.
fn debian(vm: &Path) -> Result<PathBuf> {
    let root = vm.join("newcomer");
    let ready = vm.join("newcomer.ready");
    if ready.is_file() {
        return Ok(root);
    }
    let program = setup::program("mmdebstrap", "mmdebstrap")?;
    if root.is_dir() {
        fs::remove_dir_all(&root).with_context(|| format!("cannot remove {}", root.display()))?;
    }
    fs::create_dir_all(vm)?;
    let mut make = Command::new(program);
    make.args(["--variant=minbase", "--aptopt=APT::Install-Recommends \"false\""]);
    make.arg(format!("--include={PACKAGES}")).arg(SUITE).arg(&root).arg(MIRROR);
    println!("making a Debian in {}", root.display());
    proc::quietly(&mut make).context("no Debian can be made here")?;
    fs::write(&ready, "")?;
    Ok(root)
}

/// Puts packages and script into it.
fn give(workspace: &Workspace, dist: &Dist, debian: &Path, scratch: &Path) -> Result<()> {
    let new = debian.join("root/new");
    fs::create_dir_all(&new)?;
    for kind in ["deb", "rpm", "tar.gz"] {
        let made = dist.folder.join(format!("{}.{kind}", dist.stem()));
        fs::copy(&made, new.join(format!("btrfs-probe.{kind}")))
            .with_context(|| format!("{} is missing: run `cargo xtask dist` first", made.display()))?;
    }
    let newer = format!("{}+newer", dist.version);
    spec::deb(workspace, dist, &spec::folder(workspace), &newer, scratch)?;
    fs::copy(
        scratch.join(format!("btrfs-probe-{newer}-{}.deb", dist.machine)),
        new.join("btrfs-probe-newer.deb"),
    )?;
    fs::write(debian.join("root/guest.sh"), SCRIPT)?;
    let units = debian.join("etc/systemd/system");
    fs::write(units.join("newcomer.service"), UNIT)?;
    let wanted = units.join("multi-user.target.wants");
    fs::create_dir_all(&wanted)?;
    let link = wanted.join("newcomer.service");
    if link.symlink_metadata().is_err() {
        std::os::unix::fs::symlink("/etc/systemd/system/newcomer.service", link)?;
    }
    Ok(())
}

/// What the script said.
fn boot(workspace: &Workspace, debian: &Path, disk: &Path, console: &Path) -> Result<String> {
    let emulator = Emulator::ensure(workspace, Machine::X86_64)?;
    // Both die with us even if we are killed: nobody else would end them.
    let with_us = ["--pdeathsig", "KILL"];
    let mut command = Command::new(setup::program("setpriv", "util-linux")?);
    command.args(with_us).args(["timeout", PATIENCE, "setpriv"]).args(with_us);
    command.args(emulator.words()).envs(emulator.environment());
    command
        .args([
            "-accel",
            "tcg,thread=multi",
            "-cpu",
            "max,la57=off,smap=off,smep=off",
            "-smp",
            "2",
            "-m",
            "2G",
        ])
        .args(["-no-reboot", "-nic", "none", "-display", "none", "-monitor", "none", "-kernel"])
        .arg(only(&debian.join("boot"), "vmlinuz-")?)
        .arg("-initrd")
        .arg(only(&debian.join("boot"), "initrd.img-")?)
        .args(["-append", "root=/dev/vda rw console=ttyS0 panic=-1 mitigations=off quiet", "-drive"])
        .arg(format!("file={},format=raw,if=virtio", disk.display()))
        .arg("-serial")
        .arg(format!("file:{}", console.display()))
        .args(["-serial", "stdio"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    let mut running = command.spawn().context("QEMU cannot be started")?;
    let mut said = String::new();
    if let Some(output) = running.stdout.take() {
        for line in BufReader::new(output).split(b'\n') {
            let line = String::from_utf8_lossy(&line?).trim_end().to_owned() + "\n";
            std::io::stdout().write_all(line.as_bytes())?;
            said.push_str(&line);
        }
    }
    running.wait()?;
    Ok(said)
}

/// The one file of a folder whose name begins so.
fn only(folder: &Path, begin: &str) -> Result<PathBuf> {
    fs::read_dir(folder)?
        .flatten()
        .find(|entry| entry.file_name().to_string_lossy().starts_with(begin))
        .map(|entry| entry.path())
        .with_context(|| format!("{} has no {begin}*", folder.display()))
}
