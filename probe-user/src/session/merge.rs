//! `report A B C --merge`: many sessions in one report.
use std::path::PathBuf;

use super::{
    exit::{ExitStatus, UsageError},
    live,
    plan::{Goal, SessionPlan},
    read_report,
};
use crate::format::escape::escape;
use crate::report::{merge, output::Format};

/// Analyses these recordings, one after the other, and writes one report.
///
/// # Errors
/// One of them cannot be read, or a format is not possible for many sessions.
pub fn merge(plan: &SessionPlan, files: &[PathBuf]) -> anyhow::Result<ExitStatus> {
    let Goal::Report(report) = &plan.goal else {
        anyhow::bail!("recordings cannot be recorded again: copy the files");
    };
    if let Some(output) =
        report.outputs.iter().find(|output| !matches!(output.format, Format::Text | Format::Json))
    {
        let text =
            format!("--merge makes text and JSON, not {}: make that of each recording", output.format.name());
        return Err(UsageError(text).into());
    }
    if let Some(twice) =
        files.iter().enumerate().find_map(|(at, file)| files[..at].iter().find(|other| *other == file))
    {
        return Err(UsageError(format!("{} was named twice", escape(&twice.to_string_lossy()))).into());
    }
    live::check_outputs(plan)?;
    let mut reports = Vec::with_capacity(files.len());
    for file in files {
        let name = file.to_string_lossy().into_owned();
        reports.push((name, read_report::read(file, &plan.filter, &report.policy)?));
    }
    let merged = merge::merge(&reports);
    let mut failed = None;
    for output in &report.outputs {
        let mut bytes = Vec::new();
        if output.format == Format::Json {
            merge::write_json(&merged, &mut bytes)?;
        } else {
            bytes = merge::render(&merged, output.look(report.style)).into_bytes();
        }
        if let Err(error) = output.put(&bytes) {
            failed.get_or_insert(error);
        }
    }
    match failed {
        Some(error) => Err(error.into()),
        None => Ok(ExitStatus::of(merged.verdict.0)),
    }
}
