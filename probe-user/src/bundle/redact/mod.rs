//! Replaces names by pseudonyms in each thing that a bundle has.
//!
//! A recording is rewritten record by record, and its report is made of the rewritten one, so that nothing in the report can have a
//! name that is not in the recording. A JSON report, and the facts of the machine, are rewritten by what each field is.
mod config;
mod doctor;
mod json;
mod log;
mod record;
mod recording;
mod session;

pub use config::config;
pub use doctor::doctor;
pub use json::report;
pub use log::log_line;
pub use recording::recording;
