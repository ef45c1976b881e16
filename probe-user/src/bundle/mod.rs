//! A bundle: one small archive with what a bug report needs, `docs/bundle.md`.
//!
//! This folder knows what is in a bundle: how its files are called, how it is written and read, and how names are replaced in it. The
//! session layer collects the reports. A bundle that somebody sent is read with suspicion: only files of known names, each up to a
//! bound, and nothing is unpacked to the name that the archive gives it.
pub mod archive;
pub mod machine;
pub mod manifest;
pub mod names;
pub mod read;
pub mod redact;

/// The folder that all files of a bundle are in.
pub const FOLDER: &str = "btrfs-probe-bundle";
/// First bytes of a bundle: those of gzip.
pub const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Names of the files of a bundle, below [`FOLDER`].
pub mod name {
    /// What is there, and what is not and why.
    pub const MANIFEST: &str = "MANIFEST.json";
    /// What `doctor` shows.
    pub const DOCTOR_TEXT: &str = "doctor.txt";
    /// What `doctor --json` shows.
    pub const DOCTOR_JSON: &str = "doctor.json";
    /// Versions of tool, kernel and btrfs-progs.
    pub const VERSIONS: &str = "versions.txt";
    /// Mounts of btrfs.
    pub const MOUNTS: &str = "mounts.txt";
    /// Build configuration of the kernel.
    pub const CONFIG: &str = "kernel/config.txt";
    /// Lines of btrfs in the kernel's log.
    pub const LOG: &str = "kernel/log.txt";
    /// What btrfs publishes in sysfs.
    pub const SYSFS: &str = "kernel/sysfs.txt";

    /// The recording of session `number`, from 1.
    #[must_use]
    pub fn recording(number: usize) -> String {
        format!("session-{number}/recording.rsv")
    }

    /// A file about session `number`, from 1.
    #[must_use]
    pub fn of_session(number: usize, file: &str) -> String {
        format!("session-{number}/{file}")
    }

    /// Its report for a person.
    pub const REPORT_TEXT: &str = "report.txt";
    /// Its report.
    pub const REPORT_JSON: &str = "report.json";
    /// `failures` of its report: the kernel's figures at each failed reservation.
    pub const FAILURES: &str = "failures.json";
    /// Names of the addresses in its stacks.
    pub const SYMBOLS: &str = "symbols.txt";
}

/// Most sessions of a bundle.
pub const MOST_SESSIONS: usize = 64;
