//! `cargo xtask vm`: runs a command in a Debian kernel in QEMU, with our static binary, and returns its output and status.
//!
//! A guest is a kernel and an initramfs, nothing else: busybox, the programs of btrfs-progs, the modules that btrfs needs,
//! `/bin/btrfs-probe`, and the files asked for. Kernels come from Debian's packages, through package lists of our own
//! below `target/vm`; what was fetched once is not fetched again. A kernel image of one's own is booted too (`--image`).
//! There is no network and no disk: the command's output comes over one serial line as it is written, its exit status and
//! the files asked for over another, as a tar archive.
//!
//! Fixed places in the guest: `/bin/btrfs-probe`, `/lib/fault/btrfs_probe_fault.ko` where a fault module was built
//! (`headers.rs`), `/modules/NAME.ko`, some of them for tests to load, and `/modules/order` (to load btrfs again), `/tmp` in memory,
//! `/out` for what is to be collected.
//!
//! It never touches `/etc/apt` or the machine's package lists, installs no kernel, and leaves no QEMU running.
pub mod apt;
pub mod broken;
mod built;
mod console;
mod cpio;
pub mod emulator;
mod guest;
pub mod headers;
mod initramfs;
mod kernel;
pub mod loads;
mod modules;
mod qemu;
mod release;
mod scratch;
mod source;
pub mod suite;
mod userland;

use std::{path::PathBuf, time::Duration};

use anyhow::{Context as _, Result, bail};

pub use self::{
    guest::{Guest, Source},
    initramfs::Item,
    kernel::Kernel,
    modules::btrfs,
    release::Release,
};
use crate::{
    build::{self, Profile},
    machine::Machine,
    workspace::Workspace,
};

/// What `cargo xtask vm` is told.
#[derive(clap::Args, Debug)]
pub struct Options {
    /// Which kernel
    #[arg(long, value_enum, required_unless_present = "image")]
    kernel: Option<Release>,
    /// A kernel image of your own instead, with btrfs, loop devices and an 8250 console built in
    #[arg(long, value_name = "BZIMAGE", conflicts_with = "kernel")]
    image: Option<PathBuf>,
    /// Memory of the guest, as QEMU takes it
    #[arg(long, default_value = "2G")]
    memory: String,
    /// Seconds after which the guest is given up
    #[arg(long, default_value_t = 600)]
    timeout: u64,
    /// A file to put into the guest; its place there is its place here unless one is named
    #[arg(long = "file", value_name = "HOST[:GUEST]")]
    files: Vec<String>,
    /// A file or folder of the guest to bring back into the current folder
    #[arg(long = "collect", value_name = "GUEST")]
    collect: Vec<String>,
    /// Use this btrfs-probe instead of building one
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// The command, run by the guest's shell; a single word may be a whole line for it, as with ssh
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
    command: Vec<String>,
}

/// Boots, runs the command, and returns its exit status.
///
/// # Errors
/// One sentence: a package that cannot be had, a guest that hung or whose kernel panicked, a file that is missing.
pub fn run(workspace: &Workspace, options: &Options) -> Result<u8> {
    let binary = match &options.binary {
        Some(binary) => binary.clone(),
        None => {
            let machine = options.kernel.map_or_else(Machine::here, |release| Ok(release.machine()))?;
            build::run_for(workspace, Profile::Release, machine)?
        }
    };
    let mut items = vec![Item::program(binary, "/bin/btrfs-probe")];
    for file in &options.files {
        let (host, place) = file.split_once(':').unwrap_or((file, file));
        let host = PathBuf::from(host);
        if !host.is_file() {
            bail!("--file {file}: there is no such file here");
        }
        items.push(Item::program(host, place));
    }
    let kernel = match (&options.image, options.kernel) {
        (Some(image), _) => Source::Image(image.clone()),
        (None, Some(release)) => Source::Debian(release),
        (None, None) => bail!("name a kernel with --kernel or --image"),
    };
    let guest = Guest {
        kernel,
        memory: options.memory.clone(),
        timeout: Duration::from_secs(options.timeout),
        // A command may well say nothing until its end.
        silence: Duration::from_secs(options.timeout),
        counted: false,
        items,
        collect: options.collect.clone(),
        script: script(&options.command),
    };
    let here = std::env::current_dir().context("there is no current folder")?;
    let mut show = |line: &[u8]| {
        use std::io::Write as _;
        let _ = std::io::stdout().write_all(line);
        let _ = std::io::stdout().flush();
    };
    guest.run(workspace, Some(&here), &mut show)
}

/// What the guest's shell runs. A single word is a shell command of the caller's, as with ssh.
fn script(command: &[String]) -> String {
    match command {
        [whole] => whole.clone(),
        words => words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" "),
    }
}

/// A word for the shell.
fn quoted(word: &str) -> String {
    if word.chars().all(|c| c.is_ascii_alphanumeric() || "-_=./,:+@%".contains(c)) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::{quoted, script};

    #[test]
    fn a_single_word_is_a_shell_command() {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        assert_eq!(script(&words(&["mount; ls"])), "mount; ls");
        assert_eq!(script(&words(&["sh", "-c", "mount; ls"])), "sh -c 'mount; ls'");
    }

    #[test]
    fn words_reach_the_guests_shell_whole() {
        assert_eq!(quoted("--format=json"), "--format=json");
        assert_eq!(quoted("a b; c"), "'a b; c'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }
}
