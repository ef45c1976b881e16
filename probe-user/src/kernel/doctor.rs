//! What this kernel lets us see, as data: rights, types, btrfs, mounts, and a remedy for what is missing.
//!
//! Collecting attaches nothing and loads nothing. Whether the hooks can be attached is added by the layer that
//! attaches them, and the text for people is written by the layer that prints.
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::errno::Errno;
use nix::libc::O_NONBLOCK;
use serde::Serialize;

use super::btf::{KernelTypes, MissingField, ResolvedOffsets, TypesError};
use super::btrfs::{self, BtrfsFacts, BtrfsPresence};
use super::caps::{Capabilities, Right};
use super::config::{KernelConfig, Setting};
use super::files::{self, shown};
use super::fsid::Fsid;
use super::machine::Machine;
use super::mountinfo;
use super::mounts::filesystems;
use crate::symbols::{SymbolTable, SymbolsError};

/// Everything that `doctor` knows.
#[derive(Clone, Debug, Serialize)]
pub struct Doctor {
    /// Which kernel.
    pub kernel: Machine,
    /// Whether we are in the initial user namespace, where rights count.
    pub initial_user_namespace: bool,
    /// Whether programs can be loaded and attached at all.
    pub can_trace: bool,
    /// Our rights; empty if they cannot be read.
    pub rights: Vec<Right>,
    /// `/sys/kernel/security/lockdown`: what the kernel withholds even from root.
    pub lockdown: Access,
    /// Where btrfs is.
    pub btrfs: BtrfsFacts,
    /// The kernel's types.
    pub btf: BtfStatus,
    /// Names for addresses.
    pub symbols: Access,
    /// tracefs; kretprobes have room for more calls at a time with it.
    pub tracefs: Access,
    /// `/dev/kmsg`: test marks and kernel warnings.
    pub kmsg: Access,
    /// Whether this kernel offers kprobes.
    pub kprobes: Access,
    /// Whether the functions tier can be taken, and if not, why.
    pub functions_tier: Access,
    /// The mounted btrfs filesystems.
    pub filesystems: Vec<MountedFilesystem>,
    /// One row a hook, added by the layer that attaches them.
    pub hooks: Vec<HookRow>,
}

/// Whether something can be used, and the sentence that says why not or what follows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Access {
    /// It can be used.
    pub available: bool,
    /// Why not and what to do, or a remark; none if there is nothing to say.
    pub note: Option<String>,
}

impl Access {
    const fn yes() -> Self {
        Self { available: true, note: None }
    }

    /// It cannot be used, and why.
    #[must_use]
    pub fn no(note: impl Into<String>) -> Self {
        Self { available: false, note: Some(note.into()) }
    }
}

/// What the BTF of this kernel gave.
#[derive(Clone, Debug, Serialize)]
pub struct BtfStatus {
    /// The BTF was read.
    pub available: bool,
    /// Why not, in a sentence with the remedy.
    pub reason: Option<String>,
    /// The types of btrfs come from the BTF of a module.
    pub split: bool,
    /// How many fields were resolved.
    pub resolved: usize,
    /// How many are looked for.
    pub wanted: usize,
    /// The fields that are missing and that nothing stands in for.
    pub missing: Vec<MissingField>,
    /// Fields that this version of btrfs does without.
    pub not_in_this_version: Vec<MissingField>,
}

/// A mounted btrfs, for people: names are escaped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MountedFilesystem {
    /// Its identity.
    pub uuid: Fsid,
    /// Its label.
    pub label: String,
    /// Its devices.
    pub devices: Vec<String>,
    /// Where it is mounted in our mount namespace.
    pub mounts: Vec<String>,
}

/// Whether a hook can be attached here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HookRow {
    /// Stable id, as in reports.
    pub id: String,
    /// How it attaches, as in reports.
    pub kind: String,
    /// What it attaches to.
    pub target: String,
    /// `attachable`, `skipped` or `failed`.
    pub state: String,
    /// Why not, or why not by the cheaper means.
    pub reason: Option<String>,
}

/// Collects the facts of the kernel with this root; `hooks` is left empty.
#[must_use]
pub fn collect(root: &Path) -> Doctor {
    let kernel = Machine::read(root);
    let config = KernelConfig::read(root, &kernel.release);
    let capabilities = Capabilities::read(root).ok();
    let btrfs = btrfs::facts(root, &kernel.release);
    let kprobes = kprobes(root, &config);
    Doctor {
        initial_user_namespace: capabilities.is_some_and(Capabilities::in_initial_namespace),
        can_trace: capabilities.is_some_and(Capabilities::can_trace),
        rights: capabilities.map(Capabilities::rights).unwrap_or_default(),
        lockdown: lockdown(root),
        btf: BtfStatus::of(KernelTypes::of_kernel(root), &btrfs),
        symbols: symbols(SymbolTable::capture(root)),
        tracefs: tracefs(root),
        kmsg: kmsg(root),
        functions_tier: functions_tier(&kprobes, btrfs.presence, &kernel),
        kprobes,
        filesystems: mounted(root),
        hooks: Vec::new(),
        btrfs,
        kernel,
    }
}

impl BtfStatus {
    fn of(types: Result<KernelTypes, TypesError>, btrfs: &BtrfsFacts) -> Self {
        let wanted = ResolvedOffsets::wanted().count();
        let none = |reason: String| Self {
            available: false,
            reason: Some(reason),
            split: false,
            resolved: 0,
            wanted,
            missing: Vec::new(),
            not_in_this_version: Vec::new(),
        };
        let types = match types {
            Ok(types) => types,
            Err(error) => return none(error.to_string()),
        };
        let resolved = types.resolve();
        let count = wanted.saturating_sub(resolved.missing.len());
        let (not_in_this_version, missing) =
            resolved.missing.iter().cloned().partition(|field| resolved.is_replaced(field.name));
        let without_module = btrfs.presence == BtrfsPresence::Module && !types.is_split();
        let reason = without_module.then(|| {
            "the btrfs module publishes no types in /sys/kernel/btf/btrfs: use a kernel with \
             CONFIG_DEBUG_INFO_BTF_MODULES=y"
                .to_owned()
        });
        Self {
            available: true,
            reason,
            split: types.is_split(),
            resolved: count,
            wanted,
            missing,
            not_in_this_version,
        }
    }
}

fn lockdown(root: &Path) -> Access {
    // The file lists all levels, the one in force in brackets.
    let text = files::text(&root.join("sys/kernel/security/lockdown")).unwrap_or_default();
    if text.contains("[confidentiality]") {
        return Access::no(
            "the kernel is locked down for confidentiality, so no program may read its memory: boot with \
             lockdown=integrity or none",
        );
    }
    Access::yes()
}

fn symbols(table: Result<SymbolTable, SymbolsError>) -> Access {
    match table {
        Ok(_) => Access::yes(),
        Err(error) => Access::no(error.to_string()),
    }
}

fn tracefs(root: &Path) -> Access {
    let mounted =
        mountinfo::read(root).unwrap_or_default().into_iter().find(|mount| mount.fs_type == "tracefs");
    match mounted {
        Some(mount) => {
            let place = format!("mounted on {}", shown(mount.mount_point.as_os_str()));
            Access { available: true, note: Some(place) }
        }
        None => Access::no(
            "not mounted: raw tracepoints are attached without it, but kretprobes follow few calls at a time",
        ),
    }
}

fn kmsg(root: &Path) -> Access {
    let opened = OpenOptions::new().read(true).custom_flags(O_NONBLOCK).open(root.join("dev/kmsg"));
    match opened.map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(0))) {
        Ok(_) => Access::yes(),
        Err(Errno::EPERM | Errno::EACCES) => Access::no(
            "may not be read: run with CAP_SYSLOG, or tests are told apart by what else shows them",
        ),
        Err(error) => Access::no(format!(
            "cannot be opened ({}), so tests are told apart by what else shows them",
            error.desc()
        )),
    }
}

/// Whether the kernel with this root offers kprobes.
#[must_use]
pub fn kprobes_of(root: &Path) -> Access {
    let release = Machine::read(root).release;
    kprobes(root, &KernelConfig::read(root, &release))
}

fn kprobes(root: &Path, config: &KernelConfig) -> Access {
    // The perf source of kprobes exists even if the configuration is not published.
    let source = root.join("sys/bus/event_source/devices/kprobe").exists();
    match (source, config.setting("CONFIG_KPROBES")) {
        (_, Setting::Off) => Access::no("this kernel was built without CONFIG_KPROBES"),
        (true, _) => Access::yes(),
        (false, _) => Access::no("this kernel offers no kprobes to perf; they need CONFIG_KPROBE_EVENTS"),
    }
}

/// Without kprobes.
fn by_fentry_alone(no_kprobes: &str, kernel: &Machine) -> String {
    let mut note = format!("by fentry, if at all: {no_kprobes}");
    if kernel.preempts_tracepoints() {
        note.push_str(ASK_FOR_IT);
    }
    note
}

/// Why the functions tier is not the default where a kernel preempts programs and has no kprobes.
pub const ASK_FOR_IT: &str =
    "; this kernel preempts such programs, so the tier has to be asked for with --tier functions";

/// The answer before anything was tried. The kernel may take fentry with or without kprobes.
fn functions_tier(kprobes: &Access, btrfs: BtrfsPresence, kernel: &Machine) -> Access {
    let note = match (btrfs, kprobes.note.as_ref().filter(|_| !kprobes.available)) {
        (BtrfsPresence::Absent, Some(no_kprobes)) => return Access::no(no_kprobes.as_str()),
        (_, None) if kernel.preempts_tracepoints() => {
            "by kprobes: this kernel preempts other programs".to_owned()
        }
        (_, None) => "by fentry, or by kprobes where the kernel refuses it".to_owned(),
        (_, Some(no_kprobes)) => by_fentry_alone(no_kprobes, kernel),
    };
    Access { available: true, note: Some(note) }
}

fn mounted(root: &Path) -> Vec<MountedFilesystem> {
    let all = filesystems(root).unwrap_or_default();
    all.into_iter()
        .map(|filesystem| MountedFilesystem {
            uuid: filesystem.fsid,
            label: shown(filesystem.label.as_ref()),
            devices: filesystem.devices.iter().map(|device| shown(device.as_ref())).collect(),
            mounts: filesystem.mounts.iter().map(|mount| shown(mount.mount_point.as_os_str())).collect(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that fails must fail")]
    use std::fs;

    use tempfile::TempDir;

    use super::*;

    #[test]
    fn an_empty_tree_gives_reasons_and_no_panic() {
        let doctor = collect(Path::new("/nonexistent"));
        assert!(!doctor.can_trace && doctor.rights.is_empty());
        assert!(doctor.btf.reason.unwrap().contains("CONFIG_DEBUG_INFO_BTF"));
        for access in
            [&doctor.symbols, &doctor.tracefs, &doctor.kmsg, &doctor.kprobes, &doctor.functions_tier]
        {
            assert!(!access.available && access.note.is_some(), "{access:?}");
        }
        assert!(doctor.lockdown.available);
        assert!(doctor.filesystems.is_empty() && doctor.hooks.is_empty());
    }

    #[test]
    fn a_kernel_with_btrfs_as_a_module() {
        let tree = TempDir::new().unwrap();
        let put = |file: &str, bytes: &[u8]| {
            let file = tree.path().join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, bytes).unwrap();
        };
        let captured = |file: &str| {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/kernels/6.1.0-56-cloud-amd64");
            zstd::decode_all(fs::File::open(folder.join(file)).unwrap()).unwrap()
        };
        put("proc/sys/kernel/osrelease", b"6.1.0-56-cloud-amd64\n");
        put("proc/modules", b"btrfs 2207744 1 - Live 0xffffffffc08d9000\n");
        put("proc/filesystems", b"\tbtrfs\n");
        put("boot/config-6.1.0-56-cloud-amd64", b"CONFIG_KPROBES=y\n");
        put("sys/bus/event_source/devices/kprobe/type", b"8\n");
        put("sys/kernel/security/lockdown", b"none integrity [confidentiality]\n");
        put("sys/kernel/btf/vmlinux", &captured("vmlinux.btf.zst"));

        // The module's types are not published: said so, and its fields are missing.
        let doctor = collect(tree.path());
        assert!(doctor.btf.reason.unwrap().contains("CONFIG_DEBUG_INFO_BTF_MODULES"));
        assert!(doctor.btf.missing.iter().any(|field| field.name == "inode_block_rsv"));

        put("sys/kernel/btf/btrfs", &captured("btrfs.btf.zst"));
        let doctor = collect(tree.path());
        assert_eq!(doctor.btrfs.presence, BtrfsPresence::Module);
        assert!(doctor.btf.split && doctor.btf.reason.is_none());
        assert_eq!(doctor.btf.missing, []);
        assert_eq!(doctor.btf.not_in_this_version.len(), 14);
        assert_eq!(doctor.btf.resolved + 14, doctor.btf.wanted);
        assert!(doctor.kprobes.available);
        assert!(doctor.functions_tier.available);
        assert!(doctor.functions_tier.note.unwrap().starts_with("by fentry, or by kprobes"));
        assert!(!doctor.lockdown.available);
    }

    #[test]
    fn kprobes_that_were_not_built() {
        let tree = TempDir::new().unwrap();
        fs::create_dir_all(tree.path().join("boot")).unwrap();
        fs::write(tree.path().join("boot/config-6.1"), "# CONFIG_KPROBES is not set\n").unwrap();
        let config = KernelConfig::read(tree.path(), "6.1");
        let off = kprobes(tree.path(), &config);
        assert!(off.note.as_ref().unwrap().contains("without CONFIG_KPROBES"));
        let kernel = Machine::read(tree.path());
        assert_eq!(functions_tier(&off, BtrfsPresence::Absent, &kernel), off);
        let module = functions_tier(&off, BtrfsPresence::Module, &kernel);
        assert!(module.available && module.note.unwrap().starts_with("by fentry, if at all"));
        assert!(
            kprobes(tree.path(), &KernelConfig::default()).note.unwrap().contains("CONFIG_KPROBE_EVENTS")
        );
    }

    #[test]
    fn this_machine_as_json() {
        let json = serde_json::to_value(collect(Path::new("/"))).unwrap();
        assert_eq!(json["kernel"]["release"], files::text(Path::new("/proc/sys/kernel/osrelease")).unwrap());
        assert_eq!(json["hooks"], serde_json::json!([]));
    }
}
