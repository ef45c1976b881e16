//! `doctor`: what this kernel lets us see, found by trying.
use std::path::Path;

use probe_record::{session::HookState, why};

use super::{bring_up, exit::ExitStatus, plan::DoctorPlan};
use crate::{
    format::escape::escape,
    hooks::{SEE_DOCTOR, catalogue::CATALOGUE},
    kernel::doctor::{ASK_FOR_IT, Access, Doctor, HookRow, collect},
    report::output,
};

/// Shows what can be seen here. Status 0 if a session would be able to reach `clean`, else 1.
///
/// # Errors
/// The output cannot be written.
pub fn doctor(plan: &DoctorPlan) -> anyhow::Result<ExitStatus> {
    let found = Found::now();
    let text = if plan.json { found.json()? } else { found.text() };
    output::print(text.as_bytes())?;
    Ok(if found.able { ExitStatus::Clean } else { ExitStatus::Failed })
}

/// What was found.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) doctor: Doctor,
    /// Why nothing can be traced, if so.
    refused: Option<String>,
    /// A session would be able to reach `clean`.
    able: bool,
}

impl Found {
    /// Looks, and tries the hooks.
    pub(super) fn now() -> Self {
        let root = Path::new("/");
        let mut doctor = collect(root);
        let tried = bring_up::check(root).and_then(|()| bring_up::try_hooks(root));
        let refused = match tried {
            Ok((rows, reason)) => {
                doctor.hooks = rows.into_iter().map(row).collect();
                // A try is more certain than what the kernel seems to offer.
                doctor.functions_tier = match reason {
                    Some(reason) => Access::no(reason),
                    None => by_means(&doctor),
                };
                None
            }
            // It would point to this very output.
            Err(error) => Some(why::chain(error.as_ref()).replace(SEE_DOCTOR, "")),
        };
        let able = refused.is_none() && required_attach(&doctor);
        Self { doctor, refused, able }
    }

    /// For a person.
    pub(super) fn text(&self) -> String {
        render(&self.doctor, self.refused.as_deref(), self.able) + "\n"
    }

    /// For a script.
    pub(super) fn json(&self) -> serde_json::Result<String> {
        Ok(serde_json::to_string_pretty(&self.doctor)? + "\n")
    }
}

fn row(row: probe_record::session::HookRow) -> HookRow {
    let state = match row.state {
        HookState::Attached => "attachable",
        HookState::Skipped => "skipped",
        HookState::Failed | HookState::Unknown => "failed",
    };
    let reason = (!row.reason.is_empty()).then_some(row.reason);
    HookRow { id: row.id, kind: row.kind, target: row.target, state: state.to_owned(), reason }
}

/// By which means the functions were hooked, and why not all by fentry.
fn by_means(doctor: &Doctor) -> Access {
    let attached = |kind: &str| {
        doctor
            .hooks
            .iter()
            .filter(|row| row.state == "attachable" && row.kind.starts_with(kind))
            .collect::<Vec<_>>()
    };
    let (fentry, kprobes) = (attached("fentry"), attached("kprobe"));
    let note = match (fentry.len(), kprobes.as_slice()) {
        (_, []) if doctor.kernel.preempts_tracepoints() => format!("by fentry{ASK_FOR_IT}"),
        (_, []) => "by fentry".to_owned(),
        (0, [first, ..]) => format!("by kprobes: {}", first.reason.clone().unwrap_or_default()),
        (count, _) => format!("by fentry for {count} functions, by kprobes for {}", kprobes.len()),
    };
    Access { available: true, note: Some(note) }
}

fn required_attach(doctor: &Doctor) -> bool {
    CATALOGUE
        .iter()
        .filter(|entry| entry.required)
        .all(|entry| doctor.hooks.iter().any(|row| row.id == entry.hook.name() && row.state == "attachable"))
}

/// Lines of what was found: `ok`, `MISS` for what a session needs, `no` for what it does without.
#[derive(Default)]
struct Lines(Vec<String>);

impl Lines {
    fn needed(&mut self, there: bool, what: &str, note: &str) {
        self.put(if there { "ok" } else { "MISS" }, what, note);
    }

    fn optional(&mut self, there: bool, what: &str, note: &str) {
        self.put(if there { "ok" } else { "no" }, what, note);
    }

    fn put(&mut self, mark: &str, what: &str, note: &str) {
        self.0.push(format!("{mark:<4} {what:<12} {note}").trim_end().to_owned());
    }
}

fn render(doctor: &Doctor, refused: Option<&str>, able: bool) -> String {
    let mut lines = Lines::default();
    lines.needed(true, "kernel", &format!("{} {}", doctor.kernel.release, doctor.kernel.machine));
    rights(&mut lines, doctor);
    let presence = format!("{:?}", doctor.btrfs.presence).to_lowercase();
    let remedy = doctor.btrfs.remedy.clone().unwrap_or_default();
    lines.needed(doctor.btrfs.registered, "btrfs", &format!("{presence} {remedy}"));
    let btf = match &doctor.btf.reason {
        Some(reason) => reason.clone(),
        None => format!("{} of {} fields resolved", doctor.btf.resolved, doctor.btf.wanted),
    };
    lines.needed(doctor.btf.available, "BTF", &btf);
    for missing in &doctor.btf.missing {
        lines.needed(false, "", &format!("{}: {}", missing.name, missing.reason));
    }
    let note = |access: &Access| access.note.clone().unwrap_or_else(|| "available".to_owned());
    lines.optional(doctor.symbols.available, "symbols", &note(&doctor.symbols));
    lines.needed(doctor.lockdown.available, "lockdown", &note(&doctor.lockdown));
    lines.optional(doctor.kmsg.available, "kmsg", &note(&doctor.kmsg));
    // The line of the tier has the same reason where kprobes are what it lacks.
    let said = note(&doctor.functions_tier).contains(&note(&doctor.kprobes));
    if doctor.kprobes.available || !said {
        lines.optional(doctor.kprobes.available, "kprobes", &note(&doctor.kprobes));
    }
    let possible = doctor.functions_tier.available && refused.is_none();
    lines.optional(possible, "functions", &note(&doctor.functions_tier));
    for filesystem in &doctor.filesystems {
        let mounts = filesystem.mounts.iter().map(|mount| escape(mount)).collect::<Vec<_>>().join(" ");
        let text = format!("{} {} {mounts}", filesystem.uuid, filesystem.devices.join(" "));
        lines.needed(true, "filesystem", &text);
    }
    if doctor.filesystems.is_empty() {
        lines.needed(true, "filesystem", "none is mounted now");
    }
    hooks(&mut lines, doctor);
    let mut lines = lines.0;
    lines.push(String::new());
    lines.push(match (refused, able) {
        (Some(refused), _) => format!("Nothing can be traced here: {refused}"),
        (None, true) => {
            let tiers = if possible { "both tiers need" } else { "the tracepoints tier needs" };
            format!("Everything that {tiers} is there: `btrfs-probe run -- COMMAND`.")
        }
        (None, false) => {
            "Some hooks that the books need are missing: a run can only be inconclusive here.".to_owned()
        }
    });
    if refused.is_some() || !able {
        lines.push(
            "`btrfs-probe doctor --ftrace` shows how to take a trace that `btrfs-probe import` reads."
                .to_owned(),
        );
    }
    lines.join("\n")
}

/// A right that nothing needs and that has no remedy is not worth a line.
fn rights(lines: &mut Lines, doctor: &Doctor) {
    for right in doctor.rights.iter().filter(|right| right.needed || (right.remedy.is_some() && !right.held))
    {
        let remedy = right.remedy.filter(|_| !right.held).map(|remedy| format!(": {remedy}"));
        let note = format!("{}{}", right.purpose, remedy.unwrap_or_default());
        if right.needed {
            lines.needed(right.held, right.capability, &note);
        } else {
            lines.optional(right.held, right.capability, &note);
        }
    }
}

fn hooks(lines: &mut Lines, doctor: &Doctor) {
    for hook in &doctor.hooks {
        let target = if hook.id == hook.target { String::new() } else { format!(" as {}", hook.target) };
        let good = hook.state == "attachable";
        let by =
            if !good || hook.kind == "raw_tracepoint" { String::new() } else { format!(" by {}", hook.kind) };
        // What holds for all of them stands once, at the tier.
        let said =
            |reason: &String| doctor.functions_tier.note.as_ref().is_some_and(|note| note.contains(reason));
        let note = hook.reason.as_ref().filter(|reason| !said(reason)).map(|reason| format!(": {reason}"));
        let text = format!("{}{target}{by}{}", hook.id, note.unwrap_or_default());
        let required = CATALOGUE.iter().any(|entry| entry.required && entry.hook.name() == hook.id);
        if required { lines.needed(good, "hook", &text) } else { lines.optional(good, "hook", &text) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::caps::Right;

    /// Of an empty tree: nothing is there.
    fn nothing() -> Doctor {
        collect(Path::new("/nonexistent"))
    }

    #[test]
    fn what_nothing_needs_is_not_missed_and_no_reason_stands_twice() {
        let mut doctor = nothing();
        let right = |capability, needed, remedy| Right {
            capability,
            held: false,
            needed,
            purpose: "to work",
            remedy,
        };
        doctor.rights = vec![
            right("CAP_SYS_RESOURCE", false, None),
            right("CAP_SYSLOG", false, Some("take it")),
            right("CAP_BPF", true, Some("be root")),
        ];
        doctor.kprobes = Access::no("no CONFIG_KPROBES");
        doctor.functions_tier = Access::no("no CONFIG_KPROBES; no fentry either");
        let text = render(&doctor, Some("tracing needs root"), false);
        assert!(!text.contains("CAP_SYS_RESOURCE"), "{text}");
        assert!(
            text.contains("no   CAP_SYSLOG   to work: take it\nMISS CAP_BPF      to work: be root"),
            "{text}"
        );
        assert_eq!(text.matches("no CONFIG_KPROBES").count(), 1, "{text}");
        assert!(!text.contains("see `btrfs-probe doctor`"), "{text}");
    }
}
