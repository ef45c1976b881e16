//! One session from bring-up to verdict: the only place where all layers meet.
//!
//! `bring_up` attaches the hooks, `waiter` waits for what ends the session (a command, a time, a signal, the demo),
//! `consume` feeds the stream to the books or to a file, `facts` collects what else a report needs, `top` shows the books
//! on a screen. A replay of a recording takes the same path, without `bring_up` and `waiter`.
mod beats;
mod books;
mod bring_up;
mod bundle;
mod bundle_read;
mod commands;
mod consume;
mod demo;
mod doctor;
pub mod exit;
mod facts;
mod flight;
mod followed;
mod live;
mod merge;
mod metrics;
mod names;
mod pieces;
pub mod plan;
mod pulse;
pub mod read_report;
mod replay;
mod result_files;
pub(crate) mod rights;
mod selected;
mod stalls;
pub(crate) mod status_line;
mod suite;
mod top;
mod trace;
pub(crate) mod waiter;
mod watching;

pub use bundle::bundle;
pub use bundle_read::log as bundle_log;
pub use doctor::doctor;
pub use top::{LogSink, Screen, top};

use self::{
    exit::ExitStatus,
    plan::{SessionPlan, StreamFrom},
};

/// Carries out a session.
///
/// # Errors
/// The tool failed; one sentence that says what to do.
pub fn execute(plan: &SessionPlan) -> anyhow::Result<ExitStatus> {
    match &plan.source {
        StreamFrom::Recording(file) => replay::replay(plan, file),
        StreamFrom::Live { capture, until } => live::live(plan, *capture, until),
        StreamFrom::Recordings(files) => merge::merge(plan, files),
        StreamFrom::Demo => demo::demo(plan),
        StreamFrom::Broken => demo::broken(plan),
    }
}
