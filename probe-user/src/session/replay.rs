//! `report FILE`: the same books from a recording.
use std::{path::Path, time::Duration};

use probe_record::stream::Source;

use super::{
    books::Books,
    bundle_read, consume,
    exit::{ExitStatus, UsageError},
    facts, live,
    plan::{FilterPlan, Goal, PartPlan, SessionPlan},
    selected::{Recording, Selected},
    suite,
    trace::{Tracer, Tracing},
};

use crate::{
    format::{self, escape::escape},
    report::{build::Part, model::Report},
};

/// Analyses a recording.
///
/// # Errors
/// It cannot be read at all, its filter means nothing in a recording, or the report cannot be written.
pub fn replay(plan: &SessionPlan, file: &Path) -> anyhow::Result<ExitStatus> {
    live::check_outputs(plan)?;
    if let Some(report) = bundle_read::report_alone(file)? {
        return print(plan, &report);
    }
    replay_source(plan, Recording::new(file, &plan.filter)?.open()?)
}

/// Prints the report of a bundle that has no recording.
fn print(plan: &SessionPlan, report: &Report) -> anyhow::Result<ExitStatus> {
    let Goal::Report(to) = &plan.goal else { anyhow::bail!("a bundle cannot be recorded: copy the file") };
    if plan.filter != FilterPlan::default() || to.part.is_some() {
        let text = "the bundle has a report and no recording: --fs, --inode, --subvol, --from, --to and --test need a recording";
        return Err(UsageError(text.to_owned()).into());
    }
    log::warn!("the bundle has no recording: this is the report that is in it, with the verdict of then");
    live::write(to, report, None, false)?;
    Ok(ExitStatus::of(report.verdict.0))
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
    let part = report_plan.part.as_ref().map(|part| part_of(part, &books, &reader)).transpose()?;
    let report = facts::report_of_part(
        reader.header(),
        reader.end(),
        books.all_doubts(&reader),
        &books,
        (&report_plan.policy, part),
    );
    live::write(report_plan, &report, tracer, false)?;
    Ok(ExitStatus::of(report.verdict.0))
}

/// The part of a session that is meant, once the whole of it is in the books.
fn part_of(plan: &PartPlan, books: &Books, source: &impl Source) -> Result<Part, UsageError> {
    let ledger = &books.ledger;
    let start = facts::started(source.header(), ledger.span().0);
    let since = |time: Duration| start.saturating_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    match plan {
        PartPlan::Time { from, to } => {
            let last = ledger.span().1.max(start);
            let (from, to) = (since(*from), to.map_or(last, since));
            if from > last {
                let length = format::duration(last.saturating_sub(start));
                return Err(UsageError(format!(
                    "--from is behind the end of the session, which took {length}"
                )));
            }
            let to = to.min(last);
            Ok(Part { from, to, instances: Part::within(ledger.findings(), from, to), ..Part::default() })
        }
        PartPlan::Test(name) => {
            suite::part(&books.windows, ledger, &books.stacks(), name).ok_or_else(|| no_test(name, books))
        }
    }
}

/// Names of tests in the sentence that there is no such one.
const NAMED: usize = 8;

fn no_test(name: &str, books: &Books) -> UsageError {
    let mut names: Vec<String> = books.windows.list().iter().map(|test| escape(&test.name)).collect();
    names.dedup();
    let more = if names.len() > NAMED { ", ..." } else { "" };
    names.truncate(NAMED);
    let there = match names.len() {
        0 => "it has no tests (record with --fstests)".to_owned(),
        _ => format!("it has {}{more}", names.join(", ")),
    };
    UsageError(format!("no test {} is in this recording; {there}", escape(name)))
}
