//! One run of one guest: pack it, boot it, read its output, and collect its files.
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};

use super::{
    Release, console,
    emulator::Emulator,
    initramfs::{self, Item},
    kernel::Kernel,
    modules::{self, Module},
    qemu::{self, End},
    scratch,
    userland::Userland,
};
use crate::{machine::Machine, proc, workspace::Workspace};

/// The guest's first program. One serial line is the kernel's console, one has the command's output, one a tar archive.
const INIT: &str = r#"#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin:/usr/bin:/sbin:/usr/sbin HOME=/root TERM=dumb
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs -o size=75% tmp /tmp
mount -t tmpfs run /run
mount -t debugfs debug /sys/kernel/debug 2>/dev/null
mount -t tracefs tracing /sys/kernel/tracing 2>/dev/null
mkdir -p /dev/shm /dev/pts
mount -t tmpfs shm /dev/shm
ip link set lo up 2>/dev/null
for module in $(cat /modules/order); do insmod /modules/$module.ko || echo "init: $module does not load" >/dev/kmsg; done
for line in /dev/@OUTPUT@ /dev/@FILES@; do stty -F $line raw -echo; done
cd /root
sh /command >/dev/@OUTPUT@ 2>&1 </dev/null
echo $? >/out/.status
cd /
tar -cf - out @COLLECT@ >/dev/@FILES@ 2>/dev/null
sync
poweroff -f
"#;

/// Which kernel is booted.
#[derive(Clone, Debug)]
pub enum Source {
    /// Debian's, of this line.
    Debian(Release),
    /// An image of somebody's own, with all that btrfs on a loop device needs built in.
    Image(PathBuf),
}

impl Source {
    /// The machine that it runs on.
    fn machine(&self) -> Result<Machine> {
        match self {
            Self::Debian(release) => Ok(release.machine()),
            Self::Image(_) => Machine::here(),
        }
    }

    /// The image, and the modules to load.
    fn parts(&self, workspace: &Workspace) -> Result<(PathBuf, Vec<Module>)> {
        match self {
            Self::Debian(release) => {
                let kernel = Kernel::ensure(workspace, *release)?;
                let modules = modules::ordered(&kernel)?;
                Ok((kernel.image, modules))
            }
            Self::Image(image) if image.is_file() => Ok((image.clone(), Vec::new())),
            Self::Image(image) => bail!("--image {}: there is no such file here", image.display()),
        }
    }
}

/// What to boot and what to run in it.
pub struct Guest {
    /// Kernel.
    pub kernel: Source,
    /// Memory, as QEMU takes it.
    pub memory: String,
    /// When to give up.
    pub timeout: Duration,
    /// When to give up a guest that says nothing.
    pub silence: Duration,
    /// See [`qemu::Boot::counted`].
    pub counted: bool,
    /// Files besides the base.
    pub items: Vec<Item>,
    /// Files and folders of the guest to bring back, besides `/out`.
    pub collect: Vec<String>,
    /// For the guest's shell.
    pub script: String,
}

impl Guest {
    /// Boots it and returns the script's exit status. Its output goes to `output` as it comes; what was collected is
    /// unpacked below `into`.
    ///
    /// # Errors
    /// One sentence: nothing to boot, no QEMU, a panic, a hang.
    pub fn run(
        &self,
        workspace: &Workspace,
        into: Option<&Path>,
        output: &mut dyn FnMut(&[u8]),
    ) -> Result<u8> {
        let (image, modules) = self.kernel.parts(workspace)?;
        let collect: Vec<&str> = self.collect.iter().map(|path| path.trim_start_matches('/')).collect();
        let machine = self.kernel.machine()?;
        let (output_line, files_line) = qemu::lines(machine);
        let init = INIT
            .replace("@COLLECT@", &collect.join(" "))
            .replace("@OUTPUT@", output_line)
            .replace("@FILES@", files_line);
        let userland = Userland::ensure(workspace, machine)?;
        let archive = initramfs::pack(&userland, &modules, &self.items, &init, &self.script)?;
        let scratch = scratch::folder(&workspace.target.join("vm"))?;
        let initrd = scratch.path().join("initramfs");
        fs::write(&initrd, &archive).context("cannot write the initramfs: is the disk full?")?;
        drop(archive);
        let files = scratch.path().join("files.tar");
        let log = scratch.path().join("console");
        let emulator = Emulator::ensure(workspace, machine)?;
        let accelerator = qemu::accelerator(workspace, &emulator, &image)?;
        let boot = qemu::Boot {
            emulator: &emulator,
            accelerator,
            image: &image,
            initrd: &initrd,
            memory: &self.memory,
            console: &log,
            files: &files,
            timeout: self.timeout,
            silence: self.silence,
            counted: self.counted,
        };
        let end = boot.run(output)?;
        let said = fs::read(&log).unwrap_or_default();
        let said = String::from_utf8_lossy(&said);
        let unpacked = scratch.path().join("unpacked");
        fs::create_dir_all(&unpacked)?;
        // A guest that died while it wrote leaves half an archive, or none: then there is no status either.
        let _ = proc::quietly(Command::new("tar").arg("-xf").arg(&files).arg("-C").arg(&unpacked));
        let status = fs::read_to_string(unpacked.join("out/.status")).unwrap_or_default();
        let Ok(status) = status.trim().parse::<u8>() else {
            let told = match end {
                End::Ended => None,
                End::TimedOut => Some(format!("was given up after {} s", self.timeout.as_secs())),
                End::Silent => {
                    Some(format!("was given up after {} s without a word", self.silence.as_secs()))
                }
            };
            bail!("{}", console::verdict(&said, told.as_deref()));
        };
        if let Some(into) = into {
            bring(&unpacked, into, &collect)?;
        }
        for line in said.lines().filter(|line| line.contains("init: ")) {
            eprintln!("vm: {line}");
        }
        Ok(status)
    }
}

/// Copies what was asked for, and whatever lies in `/out`.
fn bring(unpacked: &Path, into: &Path, collect: &[&str]) -> Result<()> {
    let _ = fs::remove_file(unpacked.join("out/.status"));
    let mut wanted: Vec<_> = collect.iter().map(|path| unpacked.join(path)).collect();
    wanted.extend(fs::read_dir(unpacked.join("out"))?.flatten().map(|entry| entry.path()));
    for path in wanted {
        if !path.exists() {
            eprintln!("vm: the guest has no {}", path.strip_prefix(unpacked).unwrap_or(&path).display());
            continue;
        }
        proc::quietly(Command::new("cp").arg("-r").arg(&path).arg(into))?;
    }
    Ok(())
}
