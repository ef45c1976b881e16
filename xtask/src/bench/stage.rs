//! A btrfs of our own on a loop device in RAM: made and removed.
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result};
use tempfile::TempDir;

use crate::proc;

/// Room for the workloads' chunks; sparse, so it costs only what is written.
const DEVICE_BYTES: u64 = 4 << 30;
/// Tries to unmount: a writer of the kernel's own may hold the filesystem for a moment.
const TRIES: u32 = 20;

/// What has to be undone, in reverse order; undone when dropped, so also after an error or an interrupt.
#[derive(Debug)]
enum Undo {
    Unmount(PathBuf),
    Detach(String),
}

impl Undo {
    fn undo(&self) -> Result<()> {
        match self {
            Self::Unmount(path) => unmount(path),
            Self::Detach(device) => proc::quietly(Command::new("losetup").args(["-d", device])),
        }
    }
}

/// A mounted btrfs on a loop device on a tmpfs.
#[derive(Debug)]
pub struct Stage {
    undo: Vec<Undo>,
    uuid: String,
    folder: TempDir,
}

impl Stage {
    /// Makes and mounts it.
    ///
    /// # Errors
    /// If a loop device, mkfs.btrfs or the mount is refused.
    pub fn set() -> Result<Self> {
        let folder =
            TempDir::with_prefix("btrfs-probe-bench-").context("cannot create a temporary folder")?;
        let uuid = fs::read_to_string("/proc/sys/kernel/random/uuid").context("cannot get a uuid")?;
        let mut stage = Self { undo: Vec::new(), uuid: uuid.trim().to_owned(), folder };
        let ram = stage.path("ram");
        let mount = stage.mount();
        for point in [&ram, &mount] {
            fs::create_dir(point).with_context(|| format!("cannot create {}", point.display()))?;
        }
        proc::quietly(Command::new("mount").args(["-t", "tmpfs", "btrfs-probe-bench"]).arg(&ram))?;
        stage.undo.push(Undo::Unmount(ram.clone()));
        let image = ram.join("device");
        File::create(&image)
            .and_then(|file| file.set_len(DEVICE_BYTES))
            .context("cannot make the device's file")?;
        let device = attach(&image)?;
        stage.undo.push(Undo::Detach(device.clone()));
        let mkfs = proc::which("mkfs.btrfs").context("mkfs.btrfs is missing: install btrfs-progs")?;
        proc::quietly(Command::new(mkfs).args(["-q", "-U", &stage.uuid, &device]))?;
        proc::quietly(Command::new("mount").args(["-t", "btrfs", &device]).arg(&mount))?;
        stage.undo.push(Undo::Unmount(mount));
        Ok(stage)
    }

    /// Where it is mounted.
    pub fn mount(&self) -> PathBuf {
        self.path("btrfs")
    }

    /// Its uuid.
    pub fn uuid(&self) -> &str {
        &self.uuid
    }

    /// A folder outside it, for what tracers write.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        while let Some(step) = self.undo.pop() {
            if let Err(error) = step.undo() {
                eprintln!("bench: left behind, please undo: {step:?}: {error:#}");
            }
        }
    }
}

/// In two steps, and with short options: the losetup of busybox cannot do it in one.
fn attach(image: &Path) -> Result<String> {
    let mut tries = TRIES;
    loop {
        let device = proc::stdout_of(Command::new("losetup").arg("-f"))?.trim().to_owned();
        tries -= 1;
        match proc::quietly(Command::new("losetup").arg(&device).arg(image)) {
            // Somebody else may have taken it in between.
            Err(_) if tries > 0 => thread::sleep(Duration::from_millis(100)),
            Err(error) => return Err(error),
            Ok(()) => return Ok(device),
        }
    }
}

fn unmount(path: &Path) -> Result<()> {
    let mut result = Ok(());
    for _ in 0..TRIES {
        result = proc::quietly(Command::new("umount").arg(path));
        if result.is_ok() {
            break;
        }
        thread::sleep(Duration::from_millis(100));
    }
    result
}
