//! Which rights the threads of a session keep. [`crate::kernel::rights`] has the table.
use super::plan::{Goal, MetricsPlan, ReportPlan, SessionPlan, StreamFrom, Until};
use crate::{
    hooks::Probe,
    kernel::rights::{Need, Rights},
    report::output::Target,
};

/// Ports below it are for who has the right to them, unless `net.ipv4.ip_unprivileged_port_start` says otherwise.
const FIRST_FREE_PORT: u16 = 1024;

/// Of the thread that owns the probe.
pub fn of_ring(probe: &Probe, timing: bool) -> Rights {
    let mut needs = vec![Need::Hooks, Need::Places];
    needs.extend(timing.then_some(Need::Timing));
    needs.extend(probe.has_names_in_tracefs().then_some(Need::Events));
    Rights::of(&needs)
}

/// Of all other threads.
pub fn of_others(plan: &SessionPlan) -> Rights {
    Rights::of(&needs(plan))
}

/// Whether one of them starts commands of the user, and so keeps all rights permitted.
pub fn starts_commands(plan: &SessionPlan) -> bool {
    needs(plan).contains(&Need::Commands)
}

/// What the threads of a session need, but for the one that owns the probe.
pub(crate) fn needs(plan: &SessionPlan) -> Vec<Need> {
    let mut needs = Vec::new();
    if let StreamFrom::Live { capture, until } = &plan.source {
        if capture.fstests {
            needs.extend([Need::Tests, Need::Files]);
        }
        needs.extend(matches!(until, Until::Command(_)).then_some(Need::Commands));
    }
    let to_files = |report: &ReportPlan| {
        report.outputs.iter().any(|output| matches!(output.target, Target::File(_))).then_some(Need::Files)
    };
    match &plan.goal {
        Goal::Record(_) => needs.push(Need::Files),
        Goal::Report(report) => needs.extend(to_files(report)),
        Goal::Watch { report, beside } => {
            needs.extend(to_files(report));
            needs.extend(beside.keep.as_ref().map(|_| Need::Files));
            needs.extend((!beside.on.is_empty()).then_some(Need::Commands));
            if let Some(MetricsPlan { file, listen, .. }) = &beside.metrics {
                needs.extend(file.as_ref().map(|_| Need::Files));
                let low = listen.is_some_and(|address| address.port() < FIRST_FREE_PORT);
                needs.extend(low.then_some(Need::Listen));
            }
        }
    }
    needs
}
