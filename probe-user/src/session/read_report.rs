//! A report from a file: a JSON report, or a recording that is analysed for it.
use std::{
    fs::File,
    io::{Cursor, Read as _},
    path::Path,
};

use anyhow::{Context as _, anyhow};
use probe_record::{file::RecordingReader, stream::Source as _, why};

use super::{
    bundle_read, consume, facts,
    plan::FilterPlan,
    selected::{Recording, Selected},
};
use crate::report::{build::Policy, model::Report};

/// Reads a report.
///
/// # Errors
/// The file is neither a JSON report of this schema version nor a recording; one sentence.
pub fn read(file: &Path, filter: &FilterPlan, policy: &Policy) -> anyhow::Result<Report> {
    if let Some(report) = bundle_read::report_alone(file)? {
        return Ok(report);
    }
    let shown = why::shown(file);
    let cannot = |error| anyhow!("cannot read {shown}: {}", why::unread(&error));
    let mut opened = File::open(file).map_err(cannot)?;
    let regular = opened.metadata().map_err(cannot)?.is_file();
    let mut bytes = Vec::new();
    // A recording can be large; a pipe can be read once only.
    let most = if regular { FIRST } else { u64::MAX };
    (&mut opened).take(most).read_to_end(&mut bytes).map_err(cannot)?;
    if bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{') {
        opened.read_to_end(&mut bytes).map_err(cannot)?;
        return serde_json::from_slice(&bytes)
            .with_context(|| format!("{shown} is no JSON report of this version (report --format json)"));
    }
    if regular {
        return Ok(of_source(&mut Recording::new(file, filter)?.open()?, policy));
    }
    Ok(of_source(&mut Selected::all(RecordingReader::from_read(file, Cursor::new(bytes))?), policy))
}

/// Bytes that tell a JSON report from a recording.
const FIRST: u64 = 64;

/// The report of a recording.
pub fn of_source<R: std::io::Read>(source: &mut Selected<R>, policy: &Policy) -> Report {
    let books = consume::into_books(source, consume::Nobody);
    facts::report(source.header(), source.end(), books.all_doubts(source), &books, policy)
}
