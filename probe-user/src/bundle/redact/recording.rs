//! A recording without the names in it: read and written anew, record by record.
use std::{
    io::Read,
    path::{Path, PathBuf},
};

use probe_record::{
    batch::RecordBatch,
    file::{FileError, RecordingReader, RecordingWriter, WriterOptions},
    stream::Source as _,
};

use super::{record, session};
use crate::bundle::names::Pseudonyms;

/// Slower than the recorder can be, and smaller.
const LEVEL: i32 = 9;

/// Writes `reader`'s recording to `target` with pseudonyms in place of names, and returns where it is. What the reader could not
/// deliver is a loss in it. A recording that its recorder did not finish is not finished there either, so that it is judged alike.
///
/// # Errors
/// The file cannot be written.
pub fn recording<R: Read>(
    mut reader: RecordingReader<R>,
    target: &Path,
    names: &mut Pseudonyms,
) -> Result<PathBuf, FileError> {
    let options = WriterOptions { level: LEVEL, ..WriterOptions::default() };
    let header = session::header(reader.header().clone(), names);
    let mut writer = RecordingWriter::create(target, &header, &options)?;
    let mut batch = RecordBatch::new();
    while reader.next_batch(&mut batch) {
        for found in batch.iter().flatten() {
            writer.push(record::record(found, names).bytes());
        }
        writer.push_symbols(&reader.take_symbols());
    }
    writer.push_symbols(&reader.take_symbols());
    match reader.end() {
        Some(end) => Ok(writer.finish(session::end(end.clone(), names))?.path),
        None => {
            let unfinished = writer.tmp_path().to_owned();
            drop(writer);
            Ok(unfinished)
        }
    }
}
