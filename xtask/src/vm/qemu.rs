//! Starts QEMU, reads its output, and ends it in any case.
use std::{
    fs,
    io::Read as _,
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};

use super::{cpio::Archive, emulator::Emulator, scratch};
use crate::{machine::Machine, setup, workspace::Workspace};

/// How the guest's instructions are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accelerator {
    /// By the processor.
    Kvm,
    /// By QEMU, one thread a virtual CPU.
    Tcg,
}

/// A guest that works says so within this time even on a loaded machine; one that does not never does.
const KVM_PATIENCE: Duration = Duration::from_secs(5);
const WORD: &str = "kvm-works";

/// One boot.
pub struct Boot<'a> {
    /// Which QEMU.
    pub emulator: &'a Emulator,
    /// See [`accelerator`].
    pub accelerator: Accelerator,
    /// Kernel image.
    pub image: &'a Path,
    /// Initramfs.
    pub initrd: &'a Path,
    /// As QEMU takes it.
    pub memory: &'a str,
    /// File for the kernel's console.
    pub console: &'a Path,
    /// File for what the guest writes to its third serial line.
    pub files: &'a Path,
    /// When to give up.
    pub timeout: Duration,
    /// When to give up a guest that says nothing.
    pub silence: Duration,
    /// Where QEMU runs the instructions: the guest's clocks count them, one a nanosecond, and the time of this machine is nothing
    /// to them. On one thread, so it takes longer.
    pub counted: bool,
}

/// How a boot ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The guest switched itself off, or died.
    Ended,
    /// Its time was over.
    TimedOut,
    /// It said nothing for too long.
    Silent,
}

/// The emulated processor: all that QEMU can do, but what makes an emulated kernel slow. A kernel that is told of fast
/// string instructions uses them to copy and to clear, and QEMU does these byte by byte. Without
/// them, and with [`EMULATED`], programs take about half the time to verify.
const PROCESSOR: &str = "max,erms=off,fsrm=off,fsrs=off,fzrm=off,la57=off,smap=off,smep=off";
/// The same on arm64, where pointers that are signed as the architecture says are what is slow.
const PROCESSOR_ARM: &str = "max,pauth-impdef=on";
/// For every guest's kernel.
const COMMAND_LINE: &str = "quiet loglevel=4 panic=-1 oops=panic mitigations=off";
/// For an emulated one: no hardening that costs as much as what it hardens, and nothing that btrfs could notice.
const EMULATED: &str = "init_on_alloc=0 init_on_free=0 randomize_kstack_offset=off hardened_usercopy=off kfence.sample_interval=0";

/// Killed when we leave, on whatever way.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Boot<'_> {
    /// Runs the guest to its end, or gives it up. What it writes to its second serial line goes to `output`.
    ///
    /// # Errors
    /// There is no QEMU.
    pub fn run(&self, output: &mut dyn FnMut(&[u8])) -> Result<End> {
        let mut running = Running(self.command()?.spawn().context("cannot start QEMU")?);
        let mut pipe = running.0.stdout.take().context("QEMU has no output")?;
        let (sender, receiver) = mpsc::channel();
        let reader = thread::spawn(move || {
            let mut buffer = [0; 8192];
            while let Ok(len) = pipe.read(&mut buffer) {
                if len == 0 || sender.send(buffer[..len].to_vec()).is_err() {
                    break;
                }
            }
        });
        let deadline = Instant::now() + self.timeout;
        let end = loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match receiver.recv_timeout(left.min(self.silence)) {
                Ok(bytes) => output(&bytes),
                Err(RecvTimeoutError::Timeout) if left > self.silence => break End::Silent,
                Err(RecvTimeoutError::Timeout) => break End::TimedOut,
                Err(RecvTimeoutError::Disconnected) => break End::Ended,
            }
        };
        if end == End::Ended {
            // The pipe closes when QEMU goes; what it still writes to files is whole then.
            let _ = running.0.wait();
        }
        drop(running);
        let _ = reader.join();
        Ok(end)
    }

    fn command(&self) -> Result<Command> {
        // Dies with us even if we are killed: nobody else would end it.
        let mut command = Command::new(setup::program("setpriv", "util-linux")?);
        command.args(["--pdeathsig", "KILL"]).args(self.emulator.words()).envs(self.emulator.environment());
        let arm = self.emulator.machine == Machine::Aarch64;
        let processor = if arm { PROCESSOR_ARM } else { PROCESSOR };
        if arm && self.accelerator == Accelerator::Tcg {
            command.args(["-machine", "virt"]);
        }
        match self.accelerator {
            Accelerator::Kvm if arm => command.args(["-machine", "virt", "-accel", "kvm", "-cpu", "host"]),
            Accelerator::Kvm => command.args(["-accel", "kvm", "-cpu", "host"]),
            Accelerator::Tcg if self.counted => command
                .args(["-accel", "tcg,thread=single", "-cpu", processor])
                .args(["-icount", "shift=0,sleep=off"]),
            Accelerator::Tcg => command.args(["-accel", "tcg,thread=multi", "-cpu", processor]),
        };
        let console = if arm { "ttyAMA0" } else { "ttyS0" };
        let mut line = format!("console={console} {COMMAND_LINE}");
        if self.accelerator == Accelerator::Tcg {
            line.push(' ');
            line.push_str(EMULATED);
        }
        command
            .args(["-smp", "2", "-m", self.memory, "-no-reboot", "-nic", "none", "-display", "none"])
            .args(["-monitor", "none"])
            .arg("-kernel")
            .arg(self.image)
            .arg("-initrd")
            .arg(self.initrd)
            .args(["-append", &line])
            .arg("-serial")
            .arg(format!("file:{}", self.console.display()))
            .args(["-chardev", "stdio,id=output,signal=off", "-chardev"])
            .arg(format!("file,id=files,path={}", self.files.display()));
        // This machine has one serial line of its own.
        let line = |name: &str| {
            if arm {
                ["-device".to_owned(), format!("pci-serial,chardev={name}")]
            } else {
                ["-serial".to_owned(), format!("chardev:{name}")]
            }
        };
        command
            .args(line("output"))
            .args(line("files"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit());
        if self.accelerator == Accelerator::Kvm && self.timeout == KVM_PATIENCE {
            command.stderr(Stdio::null());
        }
        Ok(command)
    }
}

/// The serial lines of a guest for the command's output and for files.
pub const fn lines(machine: Machine) -> (&'static str, &'static str) {
    match machine {
        Machine::X86_64 => ("ttyS1", "ttyS2"),
        Machine::Aarch64 => ("ttyS0", "ttyS1"),
    }
}

/// KVM where a guest really runs under it, else TCG. A `/dev/kvm` alone says little: nested in a machine without its own
/// support it opens, and the guest never runs. Tried once; the answer is kept in `target/vm/accelerator`.
///
/// # Errors
/// There is no QEMU.
pub fn accelerator(workspace: &Workspace, emulator: &Emulator, image: &Path) -> Result<Accelerator> {
    if !emulator.machine.is_here() || !Path::new("/dev/kvm").exists() {
        return Ok(Accelerator::Tcg);
    }
    let folder = workspace.target.join("vm");
    let kept = folder.join("accelerator");
    match fs::read_to_string(&kept).as_deref() {
        Ok("kvm") => return Ok(Accelerator::Kvm),
        Ok("tcg") => return Ok(Accelerator::Tcg),
        _ => {}
    }
    let scratch = scratch::folder(&folder)?;
    let mut archive = Archive::default();
    archive.file("/bin/busybox", &fs::read(setup::program("busybox", "busybox-static")?)?, true);
    archive.folder("/dev");
    let init = format!(
        "#!/bin/busybox sh\n/bin/busybox mount -t devtmpfs dev /dev\n/bin/busybox echo {WORD} >/dev/{}\n\
         /bin/busybox poweroff -f\n",
        lines(emulator.machine).0
    );
    archive.file("/init", init.as_bytes(), true);
    let initrd = scratch.path().join("initramfs");
    fs::write(&initrd, archive.finish())?;
    let boot = Boot {
        emulator,
        accelerator: Accelerator::Kvm,
        image,
        initrd: &initrd,
        memory: "512M",
        console: &scratch.path().join("console"),
        files: &scratch.path().join("files"),
        timeout: KVM_PATIENCE,
        silence: KVM_PATIENCE,
        counted: false,
    };
    let mut said = Vec::new();
    boot.run(&mut |bytes| said.extend_from_slice(bytes))?;
    let works = String::from_utf8_lossy(&said).contains(WORD);
    fs::write(&kept, if works { "kvm" } else { "tcg" }).context("cannot write below target/vm")?;
    if !works {
        println!("vm: no guest runs under this machine's KVM, so QEMU runs the instructions itself");
    }
    Ok(if works { Accelerator::Kvm } else { Accelerator::Tcg })
}
