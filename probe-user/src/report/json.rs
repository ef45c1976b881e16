//! The report as one JSON document, schema version 1.
use std::io::{self, Write};

use super::model::Report;

/// Writes the report, indented, with a newline at the end.
///
/// # Errors
/// Those of the writer.
pub fn write(report: &Report, mut writer: impl Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut writer, report)?;
    writeln!(writer)
}
