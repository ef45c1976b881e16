//! `report FILE`: the same books from a recording.
use std::path::Path;

use probe_record::stream::Source as _;

use super::{
    consume,
    exit::ExitStatus,
    facts, live,
    plan::{Goal, SessionPlan},
    selected::{Recording, Selected},
    trace::{Tracer, Tracing},
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
    let (Goal::Report(report_plan) | Goal::Watch { report: report_plan, .. }) = &plan.goal else {
        anyhow::bail!("a recording cannot be recorded again: copy the file");
    };
    let mut tracer = Tracer::wanted(report_plan, reader.header());
    let books = consume::into_books(&mut reader, Tracing { tracer: tracer.as_mut(), other: consume::Nobody });
    let report =
        facts::report(reader.header(), reader.end(), books.all_doubts(&reader), &books, &report_plan.policy);
    live::write(report_plan, &report, tracer, false)?;
    Ok(ExitStatus::of(report.verdict.0))
}
