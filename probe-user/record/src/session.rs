//! What is known of a session besides its records: the session header and the session end.
//!
//! Both are JSON in a recording and plain values in the channel of a live session. Every field has a default and unknown
//! fields are ignored, so older and newer versions can read each other. What is not known is `None` or empty, never an
//! invented value.
use std::collections::BTreeMap;

use probe_common::loss::{LOSS_CLASSES, LossClass};
use serde::{Deserialize, Serialize};

/// The kernel that was observed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct KernelInfo {
    /// `uname -r`
    pub release: String,
    /// `uname -m`
    pub machine: String,
    /// `/proc/sys/kernel/random/boot_id`
    pub boot_id: String,
    /// How btrfs is part of the kernel.
    pub btrfs: BtrfsBuild,
}

/// How btrfs is part of the kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BtrfsBuild {
    /// `CONFIG_BTRFS_FS=y`
    Builtin,
    /// `CONFIG_BTRFS_FS=m`
    Module,
    /// Not known, or a value of a newer version.
    #[default]
    #[serde(other)]
    Unknown,
}

/// Tier of the session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// Raw tracepoints only.
    Tracepoints,
    /// Tracepoints and functions.
    Functions,
    /// Not known, or a value of a newer version.
    #[default]
    #[serde(other)]
    Unknown,
}

/// State of a hook in the plan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HookState {
    /// Attached.
    Attached,
    /// Left out on purpose; `reason` says why.
    Skipped,
    /// The attach failed; `reason` says why.
    Failed,
    /// Not known, or a value of a newer version.
    #[default]
    #[serde(other)]
    Unknown,
}

/// One row of the hook plan.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HookRow {
    /// [`probe_common::hook::HookId::name`]
    pub id: String,
    /// Kind of attachment, for example `raw_tracepoint`.
    pub kind: String,
    /// Name of the tracepoint or function that it was attached to on this kernel.
    pub target: String,
    /// State.
    pub state: HookState,
    /// Why it was left out or failed, or why it uses a kprobe and not fentry; empty if there is nothing to say.
    pub reason: String,
}

/// Where a filesystem was mounted, for people who read the report elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FsPlace {
    /// `fs_devices->fsid`, in the usual text form.
    pub uuid: String,
    /// Device paths.
    pub devices: Vec<String>,
    /// Mount points.
    pub mounts: Vec<String>,
}

/// [`SessionHeader::options`]: the UUIDs that `--fs` named. Commas separate the `--fs` options, `|` separates UUIDs that one
/// `--fs` means. Without it all filesystems are followed.
pub const ONLY_FILESYSTEMS: &str = "fs";

/// The session header: what is known when the hooks are attached.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SessionHeader {
    /// Version of the btrfs-probe that captured.
    pub tool_version: String,
    /// The kernel.
    pub kernel: KernelInfo,
    /// Tier.
    pub tier: Tier,
    /// Why it is not the functions tier; `None` if it is.
    pub tier_reason: Option<String>,
    /// The hook plan, one row per hook of the catalogue.
    pub hooks: Vec<HookRow>,
    /// The observed command, as given; empty if there is none.
    pub command: Vec<String>,
    /// `CLOCK_REALTIME - CLOCK_MONOTONIC` at the start, in ns: a record's time plus this is wall time.
    pub wall_offset_ns: i64,
    /// Start in ns since the Unix epoch.
    pub started_at_ns: i64,
    /// Options that affect the capture, name to value.
    pub options: BTreeMap<String, String>,
    /// Filesystems mounted at the start.
    pub filesystems: Vec<FsPlace>,
    /// `enum btrfs_flush_state` of the kernel; empty if it is not known.
    pub flush_states: BTreeMap<i32, String>,
}

/// How often the program of a hook ran, and how often the kernel skipped it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HookCount {
    /// [`probe_common::hook::HookId::name`]
    pub id: String,
    /// Runs.
    pub hits: u64,
    /// Runs that the kernel skipped (`recursion_misses`).
    pub missed: u64,
}

/// How the command ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CommandStatus {
    /// Exit code, if it exited.
    pub code: Option<i32>,
    /// Signal number, if a signal ended it.
    pub signal: Option<i32>,
}

/// The session end: what is known when the hooks are detached.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SessionEnd {
    /// End in ns since the Unix epoch.
    pub ended_at_ns: i64,
    /// Records of the stream. The writer of a recording sets it to the number that it wrote.
    pub records: u64,
    /// Loss by [`LossClass::name`] since the session began; classes without loss may be missing.
    pub loss: BTreeMap<String, u64>,
    /// Counts of the hooks that were attached.
    pub hooks: Vec<HookCount>,
    /// Status of the command; `None` if there was none or it was still running.
    pub command_status: Option<CommandStatus>,
    /// Filesystems met during the session.
    pub filesystems: Vec<FsPlace>,
}

impl SessionEnd {
    /// Adds to the loss of a class.
    pub fn add_loss(&mut self, class: LossClass, count: u64) {
        if count > 0 {
            let sum = self.loss.entry(class.name().to_owned()).or_default();
            *sum = sum.saturating_add(count);
        }
    }

    /// Loss by class number. Classes of a newer version have no number here; see [`Self::unknown_loss`].
    #[must_use]
    pub fn loss_counts(&self) -> [u64; LOSS_CLASSES] {
        LossClass::ALL.map(|class| self.loss.get(class.name()).copied().unwrap_or(0))
    }

    /// Loss in classes that this version does not know.
    #[must_use]
    pub fn unknown_loss(&self) -> u64 {
        let known = |name: &str| LossClass::ALL.iter().any(|class| class.name() == name);
        self.loss
            .iter()
            .filter(|(name, _)| !known(name))
            .fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }
}

/// The symbol of a stack address, resolved on the machine of the capture.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SymbolRow {
    /// Kernel text address as in stack records.
    #[serde(with = "hex")]
    pub address: u64,
    /// Symbol; empty if there is none.
    pub symbol: String,
    /// Bytes from the start of the symbol.
    pub offset: u64,
    /// Module; `None` for vmlinux.
    pub module: Option<String>,
}

/// As text in hex: addresses exceed 2^53, above which many JSON readers round numbers.
mod hex {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(address: &u64, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&format_args!("{address:#x}"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
        let text = String::deserialize(from)?;
        let digits = text.strip_prefix("0x").unwrap_or(&text);
        u64::from_str_radix(digits, 16).map_err(D::Error::custom)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
mod tests {
    use super::*;

    #[test]
    fn words_and_fields_of_a_newer_version_are_read() {
        let text = r#"{"tier":"oracles","kernel":{"btrfs":"userspace","planet":"mars"},"hooks":[{"id":"x","state":"napping"}],"colour":1}"#;
        let header: SessionHeader = serde_json::from_str(text).unwrap();
        assert_eq!(header.tier, Tier::Unknown);
        assert_eq!(header.kernel.btrfs, BtrfsBuild::Unknown);
        assert_eq!(header.hooks[0].state, HookState::Unknown);
        assert_eq!(header.hooks[0].id, "x");
    }

    #[test]
    fn words_are_those_of_the_report() {
        assert_eq!(serde_json::to_string(&Tier::Tracepoints).unwrap(), "\"tracepoints\"");
        assert_eq!(serde_json::to_string(&BtrfsBuild::Builtin).unwrap(), "\"builtin\"");
        assert_eq!(serde_json::to_string(&HookState::Skipped).unwrap(), "\"skipped\"");
    }

    #[test]
    fn an_address_survives_as_text() {
        let row = SymbolRow { address: 0xffff_ffff_8123_4567, symbol: "f".into(), offset: 7, module: None };
        let text = serde_json::to_string(&row).unwrap();
        assert!(text.contains("\"0xffffffff81234567\""), "{text}");
        assert_eq!(serde_json::from_str::<SymbolRow>(&text).unwrap(), row);
    }

    #[test]
    fn loss_is_kept_by_name_and_unknown_classes_are_summed() {
        let mut end = SessionEnd::default();
        end.add_loss(LossClass::FileWrite, 3);
        end.add_loss(LossClass::FileWrite, 4);
        end.add_loss(LossClass::Stack, 0);
        end.loss.insert("gamma_rays".into(), 5);
        assert_eq!(end.loss_counts()[LossClass::FileWrite as usize], 7);
        assert!(!end.loss.contains_key("stack"));
        assert_eq!(end.unknown_loss(), 5);
    }
}
