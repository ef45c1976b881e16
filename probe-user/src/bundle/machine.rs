//! What a bundle says of the machine: kernel, btrfs in sysfs, mounts, the kernel's log, versions. Needs no rights; what cannot be
//! read is listed with why.
use std::{
    io::Read as _,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use super::{archive::Entry, name, names::Pseudonyms, redact};
use crate::{
    format::{counted, escape::escape},
    kernel::{config::KernelConfig, kmsg, machine::Machine, mountinfo, sysfs_tree},
};

/// Most lines of the kernel's log: the last ones.
const MOST_LINES: usize = 20_000;
/// Time that btrfs-progs have to say their version.
const PATIENCE: Duration = Duration::from_secs(5);

/// What each file is.
mod what {
    pub(super) const VERSIONS: &str = "versions of btrfs-probe, kernel (uname) and btrfs-progs";
    pub(super) const MOUNTS: &str = "mounts of btrfs";
    pub(super) const CONFIG: &str = "build configuration of the kernel";
    pub(super) const LOG: &str = "lines of btrfs in the kernel's log, as dmesg prints them";
    pub(super) const SYSFS: &str =
        "features, module and allocation of btrfs as sysfs has them, a file a line";
}

/// The files about the machine below `root`. `names`: pseudonyms, if names are to be replaced.
pub fn entries(root: &Path, mut names: Option<&mut Pseudonyms>) -> Vec<Entry> {
    let machine = Machine::read(root);
    // What is structured comes first: the log is then read by the names in it.
    let mounts = mounts(root, names.as_deref_mut());
    let sysfs = sysfs(root, names.as_deref_mut());
    let versions = versions(&machine, names.as_deref_mut());
    let config = config(root, &machine, names.is_some());
    vec![versions, mounts, sysfs, config, log(root, names)]
}

/// The files about the machine, none of which is there.
#[must_use]
pub fn left_out(why: &str) -> Vec<Entry> {
    [
        (name::VERSIONS, what::VERSIONS),
        (name::MOUNTS, what::MOUNTS),
        (name::SYSFS, what::SYSFS),
        (name::CONFIG, what::CONFIG),
        (name::LOG, what::LOG),
    ]
    .into_iter()
    .map(|(name, what)| Entry::missing(name, what, why))
    .collect()
}

fn versions(machine: &Machine, names: Option<&mut Pseudonyms>) -> Entry {
    let host = nix::sys::utsname::uname()
        .map(|uname| uname.nodename().to_string_lossy().into_owned())
        .unwrap_or_default();
    let host = match names {
        Some(names) => names.host(&host),
        None => host,
    };
    let progs = btrfs_progs().unwrap_or_else(|why| format!("not known: {why}"));
    let text = format!(
        "btrfs-probe  {}\nkernel       Linux {} {} {} {}\nboot         {}\nCPUs         {}\nbtrfs-progs  {progs}\n",
        env!("CARGO_PKG_VERSION"),
        escape(&host),
        machine.release,
        machine.version,
        machine.machine,
        machine.boot_id,
        machine.cpus,
    );
    Entry::new(name::VERSIONS, what::VERSIONS, text)
}

/// First line of `btrfs --version`.
fn btrfs_progs() -> Result<String, String> {
    let mut child = Command::new("btrfs")
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("btrfs cannot be run: {error}"))?;
    let begun = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(_)) => break,
            Ok(None) if begun.elapsed() < PATIENCE => std::thread::sleep(Duration::from_millis(5)),
            _ => {
                let _ = child.kill();
                let _ = child.wait();
                return Err("btrfs --version does not end".to_owned());
            }
        }
    }
    let mut said = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        let _ = stdout.take(4096).read_to_end(&mut said);
    }
    let line = String::from_utf8_lossy(&said).lines().next().map(escape).unwrap_or_default();
    if line.is_empty() { Err("btrfs --version says nothing".to_owned()) } else { Ok(line) }
}

fn mounts(root: &Path, mut names: Option<&mut Pseudonyms>) -> Entry {
    let mounts = match mountinfo::read(root) {
        Ok(mounts) => mounts,
        Err(error) => {
            return Entry::missing(name::MOUNTS, what::MOUNTS, format!("/proc/self/mountinfo: {error}"));
        }
    };
    let mut text = String::new();
    for mount in mounts.iter().filter(|mount| mount.is_btrfs()) {
        let source = mount.source.to_string_lossy();
        let (point, below) = (mount.mount_point.to_string_lossy(), mount.root.to_string_lossy());
        let (source, point, below, options) = match names.as_deref_mut() {
            Some(names) => (
                names.device(&source),
                names.path(&point),
                names.path(&below),
                options(&mount.super_options, names),
            ),
            None => (source.into(), point.into(), below.into(), mount.super_options.clone()),
        };
        text.push_str(&format!(
            "{} on {} subvolume {} options {}\n",
            escape(&source),
            escape(&point),
            escape(&below),
            escape(&options)
        ));
    }
    let none = text.is_empty().then(|| "no btrfs is mounted here".to_owned());
    Entry::new(name::MOUNTS, what::MOUNTS, text).but(none)
}

/// Options of a mount (`btrfs_show_options()`): values that are numbers or words of btrfs stay.
fn options(options: &str, names: &mut Pseudonyms) -> String {
    let plain = ["compress", "compress-force", "space_cache", "discard", "commit", "rescue", "fatal_errors"];
    let option = |option: &str| match option.split_once('=') {
        None => option.to_owned(),
        Some((key, value)) if plain.contains(&key) || value.bytes().all(|byte| byte.is_ascii_digit()) => {
            format!("{key}={value}")
        }
        Some((key, value)) => format!("{key}={}", names.path(value)),
    };
    options.split(',').map(option).collect::<Vec<_>>().join(",")
}

fn sysfs(root: &Path, mut names: Option<&mut Pseudonyms>) -> Entry {
    let mut text = String::new();
    let mut unreadable = 0;
    for file in sysfs_tree::of_btrfs(root) {
        let mut path = file.path.clone();
        let is_device = path.iter().any(|folder| folder == "devices");
        let mut value = match file.value {
            Some(Ok(value)) => value,
            Some(Err(why)) => {
                unreadable += 1;
                format!("cannot be read: {why}")
            }
            None => String::new(),
        };
        if let (Some(names), Some(last)) = (names.as_deref_mut(), path.last_mut()) {
            if is_device {
                *last = names.device(last);
            }
            if last == "label" {
                value = names.label(&value);
            }
        }
        text.push_str(format!("{} {}", escape(&path.join("/")), escape(&value)).trim_end());
        text.push('\n');
    }
    if text.is_empty() {
        return Entry::missing(name::SYSFS, what::SYSFS, "there is no btrfs in /sys/fs");
    }
    let why = (unreadable > 0).then(|| format!("{unreadable} files could not be read; their lines say why"));
    Entry::new(name::SYSFS, what::SYSFS, text).but(why)
}

fn config(root: &Path, machine: &Machine, redacted: bool) -> Entry {
    let config = KernelConfig::read(root, &machine.release);
    match config.text() {
        Some(text) if redacted => Entry::new(name::CONFIG, what::CONFIG, redact::config(text))
            .but(Some("without its strings, since names were replaced".to_owned())),
        Some(text) => Entry::new(name::CONFIG, what::CONFIG, text),
        None => Entry::missing(
            name::CONFIG,
            what::CONFIG,
            "neither /proc/config.gz nor a config of this kernel below /boot or /lib/modules can be read",
        ),
    }
}

fn log(root: &Path, names: Option<&mut Pseudonyms>) -> Entry {
    let (lines, before) = match kmsg::lines_of_btrfs(root, MOST_LINES) {
        Ok(read) => read,
        Err(error) => {
            let why = format!("/dev/kmsg: {error} (needs root, or kernel.dmesg_restrict=0)");
            return Entry::missing(name::LOG, what::LOG, why);
        }
    };
    let mut why = Vec::new();
    if before > 0 {
        why.push(format!("only the last {} lines, {before} before them are not there", lines.len()));
    }
    if lines.is_empty() {
        why.push("the kernel's log has no line of btrfs now".to_owned());
    }
    let mut text = String::new();
    match names {
        None => lines.iter().for_each(|line| text.push_str(&format!("{}\n", escape(line)))),
        Some(names) => {
            let mut without = 0_u64;
            for line in &lines {
                match redact::log_line(line, names) {
                    (line, true) => text.push_str(&format!("{}\n", escape(&line))),
                    (_, false) => without += 1,
                }
            }
            if without > 0 {
                why.push(format!("without {}, whose texts may have names", counted(without, "line")));
            }
        }
    }
    let why = (!why.is_empty()).then(|| why.join("; "));
    Entry::new(name::LOG, what::LOG, text).but(why)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]
    use super::*;
    use crate::bundle::archive::Content;

    #[test]
    fn options_with_names_lose_them() {
        let mut names = Pseudonyms::default();
        let shown = "rw,space_cache=v2,compress=zstd:3,subvolid=256,subvol=/tax,context=system_u";
        let told = "rw,space_cache=v2,compress=zstd:3,subvolid=256,subvol=/name-1,context=name-2";
        assert_eq!(options(shown, &mut names), told);
    }

    #[test]
    fn an_empty_machine_says_why_of_each_file() {
        let entries = entries(Path::new("/nonexistent"), None);
        let there = entries.iter().filter(|entry| !matches!(entry.content, Content::Missing));
        assert_eq!(there.map(|entry| entry.name.as_str()).collect::<Vec<_>>(), [name::VERSIONS]);
        for entry in entries.iter().filter(|entry| matches!(entry.content, Content::Missing)) {
            assert!(entry.why.as_ref().is_some_and(|why| why.len() > 10), "{entry:?}");
        }
    }
}
