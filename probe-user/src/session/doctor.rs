//! `doctor`: what this kernel lets us see, found by trying.
use std::path::Path;

use probe_record::session::HookState;

use super::{bring_up, exit::ExitStatus, plan::DoctorPlan};
use crate::{
    format::escape::escape,
    hooks::catalogue::CATALOGUE,
    kernel::doctor::{Access, Doctor, HookRow, collect},
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
        let refused = match bring_up::try_hooks(root) {
            Ok((rows, reason)) => {
                doctor.hooks = rows.into_iter().map(row).collect();
                // A try is more certain than what the kernel seems to offer.
                doctor.functions_tier = match reason {
                    Some(reason) => Access::no(reason),
                    None => by_means(&doctor),
                };
                None
            }
            Err(error) => Some(format!("{error:#}")),
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
    let mut note = match (fentry.len(), kprobes.as_slice()) {
        (_, []) => "by fentry".to_owned(),
        (0, [first, ..]) => format!("by kprobes: {}", first.reason.clone().unwrap_or_default()),
        (count, _) => format!("by fentry for {count} functions, by kprobes for {}", kprobes.len()),
    };
    if doctor.kernel.preempts_tracepoints() {
        note.push_str("; this kernel preempts programs, so it has to be asked for with --tier functions");
    }
    Access { available: true, note: Some(note) }
}

fn required_attach(doctor: &Doctor) -> bool {
    CATALOGUE
        .iter()
        .filter(|entry| entry.required)
        .all(|entry| doctor.hooks.iter().any(|row| row.id == entry.hook.name() && row.state == "attachable"))
}

fn render(doctor: &Doctor, refused: Option<&str>, able: bool) -> String {
    let mut lines = Vec::new();
    let mut line = |good: bool, what: &str, note: String| {
        lines.push(format!("{} {what:<12} {note}", if good { "ok  " } else { "MISS" }));
    };
    line(true, "kernel", format!("{} {}", doctor.kernel.release, doctor.kernel.machine));
    for right in doctor.rights.iter().filter(|right| right.needed || !right.held) {
        let remedy = if right.held { "" } else { right.remedy.unwrap_or_default() };
        line(right.held, right.capability, format!("{} {remedy}", right.purpose).trim_end().to_owned());
    }
    let remedy = doctor.btrfs.remedy.clone().unwrap_or_default();
    line(
        doctor.btrfs.registered,
        "btrfs",
        format!("{:?} {remedy}", doctor.btrfs.presence).trim_end().to_lowercase(),
    );
    let btf = match &doctor.btf.reason {
        Some(reason) => reason.clone(),
        None => format!("{} of {} fields resolved", doctor.btf.resolved, doctor.btf.wanted),
    };
    line(doctor.btf.available, "BTF", btf);
    for missing in &doctor.btf.missing {
        line(false, "", format!("{}: {}", missing.name, missing.reason));
    }
    for (what, access) in [
        ("symbols", &doctor.symbols),
        ("lockdown", &doctor.lockdown),
        ("kmsg", &doctor.kmsg),
        ("kprobes", &doctor.kprobes),
        ("functions", &doctor.functions_tier),
    ] {
        let note = access.note.clone().unwrap_or_else(|| "available".to_owned());
        line(access.available, what, note);
    }
    for filesystem in &doctor.filesystems {
        let mounts = filesystem.mounts.iter().map(|mount| escape(mount)).collect::<Vec<_>>().join(" ");
        line(true, "filesystem", format!("{} {} {mounts}", filesystem.uuid, filesystem.devices.join(" ")));
    }
    if doctor.filesystems.is_empty() {
        line(true, "filesystem", "none is mounted now".to_owned());
    }
    for hook in &doctor.hooks {
        let target = if hook.id == hook.target { String::new() } else { format!(" as {}", hook.target) };
        let good = hook.state == "attachable";
        let by =
            if !good || hook.kind == "raw_tracepoint" { String::new() } else { format!(" by {}", hook.kind) };
        // What holds for all of them stands once, at the tier.
        let said =
            |reason: &String| doctor.functions_tier.note.as_ref().is_some_and(|note| note.contains(reason));
        let note = hook.reason.as_ref().filter(|reason| !said(reason)).map(|reason| format!(": {reason}"));
        let note = note.unwrap_or_default();
        line(good, "hook", format!("{}{target}{by}{note}", hook.id));
    }
    lines.push(String::new());
    lines.push(match (refused, able) {
        (Some(refused), _) => format!("Nothing can be traced here: {refused}"),
        (None, true) => {
            "Everything the tracepoint tier needs is there: `btrfs-probe run -- COMMAND`.".to_owned()
        }
        (None, false) => {
            "Some hooks that the books need are missing: a run can only be inconclusive here.".to_owned()
        }
    });
    lines.join("\n")
}
