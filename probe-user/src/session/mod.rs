//! One session from bring-up to verdict: the only place where all layers meet.
//!
//! `bring_up` puts the hooks on, `conductor` waits for what ends the session (a command, a time, a signal, the
//! demo), `consume` feeds the stream to the books or to a file, `facts` collects what a report needs besides the
//! books, `top` shows them on a screen. A recording goes the same way, without the first two.
mod books;
mod bring_up;
pub(crate) mod conductor;
mod consume;
mod demo;
mod doctor;
mod facts;
mod followed;
mod live;
mod names;
mod replay;
mod result_files;
mod selected;
mod suite;
mod top;

pub use doctor::doctor;
pub use top::{LogSink, Screen, top};

use crate::cli::{
    exit::ExitStatus,
    session::{SessionPlan, Source},
};

/// Carries out a session.
///
/// # Errors
/// The tool failed; one sentence that says what to do.
pub fn execute(plan: &SessionPlan) -> anyhow::Result<ExitStatus> {
    match &plan.source {
        Source::Recording(file) => replay::replay(plan, file),
        Source::Live { capture, until } => live::live(plan, *capture, until),
        Source::Demo => demo::demo(plan),
    }
}
