//! Loads the kernel side, attaches and detaches the hooks.
use aya::{EbpfLoader, VerifierLogLevel, programs::RawTracePoint};
use probe_common::{hook::HookId, table::FRAMES};
use probe_record::session::{HookRow, HookState};
use zerocopy::IntoBytes;

use super::{
    audit::{no_threads, no_tickets},
    catalogue::{AUDIT_FS, AUDIT_INODE, AUDIT_MOUNTED, AUDIT_TICKETS, AUDIT_TYPE, FIND_THREADS},
    diagnostics,
    error::{AttachError, chain, first_line},
    maps::MappedMaps,
    plan::PlannedHook,
    probe::{Probe, ProbeOptions},
    sections::{of_fentry, of_kprobes, without},
    tracepoints::By,
};

impl Probe {
    /// [`Self::load`] for a session that hooks no function: without the programs for that.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn load_without_functions(object: &[u8], options: &ProbeOptions) -> Result<Self, AttachError> {
        Self::load_parts(&without(object, |section| of_kprobes(section) || of_fentry(section)), options)
    }

    /// Creates the maps and loads the audit programs; attaches nothing yet.
    ///
    /// # Errors
    /// The kernel refuses the object, or the object is not ours.
    pub fn load(object: &[u8], options: &ProbeOptions) -> Result<Self, AttachError> {
        Self::load_parts(&without(object, of_fentry), options)
    }

    fn load_parts(object: &[u8], options: &ProbeOptions) -> Result<Self, AttachError> {
        if object.is_empty() {
            return Err(AttachError::NoObject);
        }
        let ring = options.ring_bytes.next_power_of_two().max(4096);
        let level = if options.verbose { VerifierLogLevel::VERBOSE } else { VerifierLogLevel::default() };
        let mut loader = EbpfLoader::new();
        diagnostics::configure(&mut loader, options.verbose);
        let ebpf = loader
            .override_global("OFFSETS", options.offsets.as_bytes(), true)
            .override_global("SIGNATURES", options.signatures.as_bytes(), true)
            .override_global("CONFIG", options.config.as_bytes(), true)
            .map_max_entries("FRAMES", if options.config.functions == 0 { 1 } else { FRAMES.cells() })
            .map_max_entries("CPU", options.cpus)
            .map_max_entries("RING", ring)
            .verifier_log_level(level)
            .load(object)?;
        let fallbacks = options.config.fallbacks != 0;
        let mapped = MappedMaps::of(&ebpf, options.cpus)?;
        let mut probe = Self {
            ebpf,
            mapped,
            links: Vec::new(),
            programs: Vec::new(),
            with_fallback: Vec::new(),
            fallbacks,
            iterators: options.iterators,
            verbose: options.verbose,
            root_fs_type: options.root_fs_type,
            calls: Vec::new(),
            fentry: Err("no function is hooked".to_owned()),
            without: Vec::new(),
        };
        let audits = [
            (HookId::AuditInode, AUDIT_INODE),
            (HookId::AuditFs, AUDIT_FS),
            (HookId::AuditMounted, AUDIT_TYPE),
            (HookId::AuditMounted, AUDIT_MOUNTED),
        ];
        for (hook, name) in audits {
            match probe.load_program(name) {
                Ok(()) => probe.programs.push((hook, name.to_owned())),
                Err(why) => log::warn!("audits are not possible: {why}"),
            }
        }
        let of_waits = [
            (HookId::AuditTickets, AUDIT_TICKETS, no_tickets(&options.offsets)),
            (HookId::FindThreads, FIND_THREADS, no_threads(&options.offsets)),
        ];
        for (hook, name, missing) in of_waits {
            match missing.map_or_else(|| probe.load_program(name), Err) {
                Ok(()) => probe.programs.push((hook, name.to_owned())),
                Err(why) => probe.without.push((hook, first_line(&why))),
            }
        }
        Ok(probe)
    }

    pub(super) fn program(&mut self, name: &str) -> Result<&mut RawTracePoint, String> {
        let program =
            self.ebpf.program_mut(name).ok_or_else(|| format!("no program {name} in the object"))?;
        program.try_into().map_err(|error: aya::programs::ProgramError| error.to_string())
    }

    pub(super) fn load_program(&mut self, name: &str) -> Result<(), String> {
        let program = self.program(name)?;
        program.load().map_err(|error| chain(&error))?;
        self.show_verified(name);
        Ok(())
    }

    /// Logs how many instructions the verifier processed. Kernels give up at a million, so this shows how close a program
    /// is.
    pub(super) fn show_verified(&self, name: &str) {
        if log::log_enabled!(log::Level::Info)
            && let Some(counts) = self.counts_of(name)
        {
            log::info!("{name}: {} instructions verified", counts.verified);
        }
    }

    /// Attaches every hook of the plan that is not left out, in the plan's order.
    ///
    /// A hook that the kernel refuses becomes a `failed` row; the others stay. All programs are loaded before the first hook
    /// is attached: the verifier takes long, and while only some hooks are on, operations are seen in part.
    ///
    /// # Errors
    /// No hook could be attached.
    pub fn attach(&mut self, plan: &[PlannedHook]) -> Result<Vec<HookRow>, AttachError> {
        let mut rows = Vec::with_capacity(plan.len());
        let loaded: Vec<Result<By, String>> = plan
            .iter()
            .map(|hook| {
                if hook.left_out.is_some() {
                    return Ok(By::Programs(String::new()));
                }
                self.load_hook(hook.entry)
            })
            .collect();
        let mut last_error = String::from("all are left out on this kernel");
        for (hook, loaded) in plan.iter().zip(loaded) {
            let mut row = HookRow {
                id: hook.entry.hook.name().to_owned(),
                kind: "raw_tracepoint".to_owned(),
                target: hook.target.to_owned(),
                state: HookState::Skipped,
                reason: hook.left_out.clone().unwrap_or_default(),
            };
            if hook.left_out.is_none() {
                match loaded.and_then(|by| self.attach_hook(hook, by)) {
                    Ok(By::Programs(reason)) => {
                        row.state = HookState::Attached;
                        row.reason = reason;
                    }
                    Ok(By::Kprobe(_)) => {
                        row.state = HookState::Attached;
                        row.kind = "raw_tracepoint+kprobe".to_owned();
                    }
                    Err(error) => {
                        log::debug!("{}: {error}", hook.target);
                        row.state = HookState::Failed;
                        row.reason = first_line(&error);
                        last_error.clone_from(&row.reason);
                    }
                }
            }
            rows.push(row);
        }
        rows.extend(self.without.iter().map(|(hook, why)| HookRow {
            id: hook.name().to_owned(),
            kind: "on_demand".to_owned(),
            target: hook.name().to_owned(),
            state: HookState::Skipped,
            reason: why.clone(),
        }));
        if self.links.is_empty() { Err(AttachError::NoHook(last_error)) } else { Ok(rows) }
    }

    /// Detaches all hooks, last attached first, so that hooks that open accounts go before those that close them.
    pub fn detach(&mut self) {
        self.detach_functions();
        while let Some(link) = self.links.pop() {
            self.detach_link(link);
        }
    }

    /// True if a hook has a fallback program, see [`Probe::recursion_misses`].
    #[must_use]
    pub const fn has_fallbacks(&self) -> bool {
        !self.with_fallback.is_empty()
    }

    /// Times that the kernel skipped a program because it was already running on that CPU, by hook, without those
    /// events that a fallback rescued.
    ///
    /// Right when no hook fires. While hooks are on, an event can be between its two programs, skipped and not yet rescued:
    /// believe a number only when a second reading confirms it.
    #[must_use]
    pub fn recursion_misses(&self) -> Vec<(HookId, u64)> {
        let misses = |name: &str| self.counts_of(name).map_or(0, |counts| counts.misses);
        let skipped: Vec<_> = self.programs.iter().map(|(hook, name)| (*hook, misses(name))).collect();
        if self.with_fallback.is_empty() {
            return skipped;
        }
        let rescued = self.counts().rescued;
        let rescued =
            |hook: HookId| rescued.iter().find(|(of, _)| *of == hook).map_or(0, |(_, count)| *count);
        skipped
            .into_iter()
            .map(|(hook, count)| {
                (
                    hook,
                    if self.with_fallback.contains(&hook) {
                        count.saturating_sub(rescued(hook))
                    } else {
                        count
                    },
                )
            })
            .collect()
    }
}
