//! Metrics of a running session: which there are (`docs/metrics.md` has the same table), how they are written as text, and how the
//! text gets out. The session layer fills them.
//!
//! The text is `OpenMetrics` 1.0 of the kind that the older text format of Prometheus has too: node_exporter reads its files with that
//! parser, which refuses a whole file for a type that it does not know. So what could be an `info` or a `stateset` is a gauge of the
//! same samples.
mod file;
mod serve;
mod table;
mod text;

pub use self::{
    file::FileWriter,
    serve::{DEFAULT_ADDRESS, Server},
    table::{ALL, Kind, Metric, metric},
    text::{Exposition, Value},
};

#[cfg(test)]
pub(crate) mod parse;
#[cfg(test)]
mod tests;
