//! `report FILE`: the same books from a recording.
use std::path::Path;

use probe_record::stream::Source as _;

use super::{
    consume,
    exit::ExitStatus,
    facts, live,
    plan::{Goal, SessionPlan},
    selected::{Recording, Selected},
};

/// Analyses a recording.
///
/// # Errors
/// It cannot be read at all, its filter means nothing in a recording, or the report cannot be written.
pub fn replay(plan: &SessionPlan, file: &Path) -> anyhow::Result<ExitStatus> {
    live::check_outputs(plan)?;
    replay_source(plan, Recording::new(file, &plan.filter)?.open()?)
}

/// Analyses a recording that is open.
///
/// # Errors
/// The report cannot be written.
pub fn replay_source<R: std::io::Read>(
    plan: &SessionPlan,
    mut reader: Selected<R>,
) -> anyhow::Result<ExitStatus> {
    let books = consume::into_books(&mut reader, consume::Nobody);
    let (Goal::Report(report_plan) | Goal::Watch { report: report_plan, .. }) = &plan.goal else {
        anyhow::bail!("a recording cannot be recorded again: copy the file");
    };
    let report =
        facts::report(reader.header(), reader.end(), books.all_doubts(&reader), &books, &report_plan.policy);
    live::write(report_plan, &report, false)?;
    Ok(ExitStatus::of(report.verdict.0))
}
