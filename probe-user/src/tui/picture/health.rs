//! State and cost of the tool itself.

/// A hook.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HookLine {
    /// Id.
    pub id: String,
    /// Name on this kernel.
    pub target: String,
    /// Attached.
    pub attached: bool,
    /// Skipped (on purpose), or else failed.
    pub skipped: bool,
    /// Why not.
    pub reason: String,
    /// Runs so far, if they are known.
    pub hits: Option<u64>,
    /// Runs a second.
    pub rate: Option<u64>,
    /// Runs that the kernel skipped.
    pub missed: Option<u64>,
    /// Records of it in the stream.
    pub records: u64,
    /// ns a run, where it is measured.
    pub ns_per_run: Option<u64>,
    /// Share of one CPU in thousandths, where it is measured.
    pub cpu_permille: Option<u64>,
}

/// The page Health.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HealthView {
    /// Hooks of the plan.
    pub hooks: Vec<HookLine>,
    /// Ring: its size in bytes, and the most bytes found in it at once since the picture before.
    pub ring: Option<(u64, u64)>,
    /// Share of one CPU of this process, thousandths, since the picture before.
    pub cpu_permille: Option<u64>,
    /// The same of our programs in the kernel, while it is measured.
    pub programs_permille: Option<u64>,
    /// Resident memory of this process.
    pub memory: Option<u64>,
    /// Time of the last walk over all inodes; `None` in a replay, where it would differ from run to run.
    pub walk_ns: Option<u64>,
    /// Inodes that ended clean without a record.
    pub closed: Option<u64>,
    /// What `log` said, newest last.
    pub messages: Vec<String>,
    /// Kernel WARNs seen.
    pub warnings: u64,
}
