//! What `/proc` shows of the script of a test.
use std::{
    collections::BTreeMap,
    ffi::OsStr,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

/// Most ancestors that are searched for the `check` that runs a test.
const GENERATIONS: usize = 12;

/// Everything that a test's script shows of its test.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Script {
    /// `seqnum`
    pub seqnum: Option<String>,
    /// Names below `/dev` of its devices.
    pub devices: Vec<String>,
    /// `RESULT_DIR`, unless it is below a mount point of the test.
    pub results: Option<PathBuf>,
    /// Section of the configuration.
    pub section: Option<String>,
    /// Last part of its control group, if it has one of its own.
    pub scope: Option<String>,
    /// Process id of the `check` that runs it, else of its parent.
    pub run: u32,
    /// Process ids of its ancestors, nearest first.
    pub ancestors: Vec<u32>,
}

/// Reads a process. What it does not show any more stays empty.
pub fn read_script(root: &Path, pid: u32) -> Script {
    let of = root.join("proc").join(pid.to_string());
    let environment = std::fs::read(of.join("environ")).unwrap_or_default();
    let mut script = from_environment(&environment, |device| real_name(root, device));
    script.scope = std::fs::read_to_string(of.join("cgroup")).ok().and_then(|text| scope(&text));
    (script.run, script.ancestors) = run_of(root, pid);
    script
}

/// True while the process exists and is no zombie.
pub fn lives(root: &Path, pid: u32) -> bool {
    stat(root, pid).is_some_and(|(_, state, _)| !matches!(state, 'Z' | 'X'))
}

/// Processes that are scripts of tests by their name, for a run that began before the observer started.
pub fn scripts(root: &Path) -> Vec<u32> {
    let Ok(entries) = std::fs::read_dir(root.join("proc")) else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let number = |comm: &str| comm.len() >= 3 && comm.bytes().all(|byte| byte.is_ascii_digit());
    let mut found: Vec<(u32, u32)> = pids
        .filter_map(|pid| {
            stat(root, pid).filter(|(comm, ..)| number(comm)).map(|(_, _, parent)| (pid, parent))
        })
        .collect();
    // Sub-shells have the name of the script that they came from.
    let all: Vec<u32> = found.iter().map(|(pid, _)| *pid).collect();
    found.retain(|(_, parent)| !all.contains(parent));
    found.into_iter().map(|(pid, _)| pid).collect()
}

fn from_environment(environment: &[u8], real_name: impl Fn(&Path) -> Option<String>) -> Script {
    let mut values: BTreeMap<&str, &OsStr> = BTreeMap::new();
    for entry in environment.split(|byte| *byte == 0) {
        let Some(at) = entry.iter().position(|byte| *byte == b'=') else { continue };
        let (Ok(name), value) = (std::str::from_utf8(&entry[..at]), OsStr::from_bytes(&entry[at + 1..]))
        else {
            continue;
        };
        values.insert(name, value);
    }
    let path = |name: &str| values.get(name).map(Path::new).filter(|path| path.is_absolute());
    let mut devices: Vec<String> = Vec::new();
    for name in ["TEST_DEV", "SCRATCH_DEV", "SCRATCH_DEV_POOL", "SCRATCH_LOGDEV", "LOGWRITES_DEV"] {
        let list = values.get(name).map(|value| value.to_string_lossy().into_owned()).unwrap_or_default();
        for device in list.split_whitespace() {
            let Some(device) = real_name(Path::new(device)) else { continue };
            if !devices.contains(&device) {
                devices.push(device);
            }
        }
    }
    let mounts = ["TEST_DIR", "SCRATCH_MNT"].map(path);
    let results = path("RESULT_DIR")
        .filter(|results| !mounts.iter().flatten().any(|mount| results.starts_with(mount)))
        .map(Path::to_owned);
    // RESULT_BASE, a section if there are sections, the group.
    let section = results.as_deref().zip(path("RESULT_BASE")).and_then(|(results, base)| {
        let mut parts = results.strip_prefix(base).ok()?.components();
        let first = parts.next()?.as_os_str().to_str()?.to_owned();
        parts.next().map(|_| first)
    });
    let seqnum =
        values.get("seqnum").and_then(|name| name.to_str()).filter(|name| super::sign::is_name(name));
    Script { seqnum: seqnum.map(str::to_owned), devices, results, section, ..Script::default() }
}

/// The kernel's name of a device, which is what a filesystem calls it: links are followed.
fn real_name(root: &Path, device: &Path) -> Option<String> {
    let below = device.strip_prefix("/").ok()?;
    // Only the link is read: nothing is opened.
    let real = std::fs::canonicalize(root.join(below)).unwrap_or_else(|_| device.to_owned());
    let name = real.strip_prefix(root.join("dev")).or_else(|_| real.strip_prefix("/dev")).ok()?;
    let name = name.to_str()?;
    (!name.is_empty()).then(|| name.to_owned())
}

/// `/system.slice/fs269.scope` to `fs269.scope`.
fn scope(cgroup: &str) -> Option<String> {
    let path = cgroup.lines().find_map(|line| line.strip_prefix("0::"))?;
    let last = path.rsplit('/').next()?;
    last.ends_with(".scope").then(|| last.to_owned())
}

/// The `check` that runs a process, and all its ancestors.
fn run_of(root: &Path, pid: u32) -> (u32, Vec<u32>) {
    let mut parent = stat(root, pid).map_or(0, |(_, _, parent)| parent);
    let first = parent;
    let mut found: Option<(u32, Vec<u8>)> = None;
    let mut ancestors = Vec::new();
    for _ in 0..GENERATIONS {
        let Some((comm, _, next)) = stat(root, parent) else { break };
        ancestors.push(parent);
        let line = command_line(root, parent);
        let sub_shell = found.as_ref().is_none_or(|(_, inner)| *inner == line);
        // Its sub-shells have the same name and arguments: the outermost is the run. A wrapper of that name is not.
        if sub_shell && (comm == "check" || is_shell_on_check(&comm, &line)) {
            found = Some((parent, line));
        }
        if next <= 1 {
            break;
        }
        parent = next;
    }
    (found.map_or(first, |(pid, _)| pid), ancestors)
}

/// The arguments of a process, each followed by a NUL.
fn command_line(root: &Path, pid: u32) -> Vec<u8> {
    std::fs::read(root.join("proc").join(pid.to_string()).join("cmdline")).unwrap_or_default()
}

/// True for `bash ./check`, and not for `sh -c './check ...'`, whose child it is.
fn is_shell_on_check(comm: &str, line: &[u8]) -> bool {
    let mut words = line.split(|byte| *byte == 0).skip(1);
    let option = |word: &&[u8]| word.starts_with(b"-") || word.starts_with(b"+");
    let command = |word: &[u8]| word.starts_with(b"-") && !word.starts_with(b"--") && word.contains(&b'c');
    let read = words.find(|word| !option(word) || command(word)).filter(|word| !command(word));
    let is_check = |word: &[u8]| Path::new(OsStr::from_bytes(word)).file_name() == Some(OsStr::new("check"));
    ["bash", "sh", "dash", "ksh", "zsh"].contains(&comm) && read.is_some_and(is_check)
}

/// Name, state and parent of a process.
fn stat(root: &Path, pid: u32) -> Option<(String, char, u32)> {
    let text = std::fs::read_to_string(root.join("proc").join(pid.to_string()).join("stat")).ok()?;
    // The name is in brackets, and may contain brackets itself.
    let (open, close) = (text.find('(')?, text.rfind(')')?);
    let comm = text.get(open + 1..close)?.to_owned();
    let mut rest = text.get(close + 1..)?.split_whitespace();
    let state = rest.next()?.chars().next()?;
    Some((comm, state, rest.next()?.parse().ok()?))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn dev(path: &Path) -> Option<String> {
        Some(path.strip_prefix("/dev").ok()?.to_str()?.to_owned())
    }

    #[test]
    fn the_environment_names_test_devices_and_results() {
        let text = "seqnum=generic/269\0TEST_DEV=/dev/loop30\0SCRATCH_DEV=/dev/loop31\0\
                    SCRATCH_DEV_POOL=/dev/loop31 /dev/loop32\0RESULT_BASE=/r\0RESULT_DIR=/r/generic\0TEST_DIR=/t\0";
        let script = from_environment(text.as_bytes(), dev);
        assert_eq!(script.seqnum.as_deref(), Some("generic/269"));
        assert_eq!(script.devices, ["loop30", "loop31", "loop32"]);
        assert_eq!(script.results.as_deref(), Some(Path::new("/r/generic")));
        assert_eq!(script.section, None);
    }

    #[test]
    fn a_section_is_a_folder_between_base_and_group() {
        let script = from_environment(b"RESULT_BASE=/r\0RESULT_DIR=/r/quota/btrfs\0", dev);
        assert_eq!(script.section.as_deref(), Some("quota"));
    }

    #[test]
    fn results_below_a_mount_of_the_test_are_left_alone() {
        let script = from_environment(b"RESULT_DIR=/t/results/generic\0TEST_DIR=/t\0", dev);
        assert_eq!(script.results, None);
        let script = from_environment(b"RESULT_DIR=relative/generic\0seqnum=../../x\0", dev);
        assert_eq!((script.results, script.seqnum), (None, None));
    }

    #[test]
    fn a_scope_of_its_own_is_the_last_part_of_the_control_group() {
        assert_eq!(scope("0::/system.slice/fs269.scope\n").as_deref(), Some("fs269.scope"));
        assert_eq!(scope("0::/user.slice\n"), None);
        assert_eq!(scope("1:cpu:/x.scope\n"), None);
    }

    #[test]
    fn we_live_and_have_a_parent() {
        let root = Path::new("/");
        assert!(lives(root, std::process::id()));
        assert!(!lives(root, u32::MAX));
        assert_eq!(read_script(root, std::process::id()).run, nix::unistd::getppid().as_raw() as u32);
    }
}
