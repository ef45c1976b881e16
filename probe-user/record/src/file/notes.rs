//! Notes about a recording: one sentence for each thing that is missing from it.
use std::io::Read;

use probe_common::loss::LossClass;

use super::RecordingReader;
use crate::{session::SessionEnd, stream::Source as _, why::shown};

pub(super) fn notes<R: Read>(reader: &RecordingReader<R>) -> Vec<String> {
    let path = shown(&reader.path);
    let skipped = reader.skipped();
    let mut notes = Vec::new();
    if reader.session_lost {
        notes.push(format!(
            "The session description of {path} is damaged: kernel, hooks, command and wall time of the capture are not known."
        ));
    }
    if reader.over
        && let Some(sentence) = ending(reader)
    {
        notes.push(sentence);
    }
    let end = reader.end();
    let unwritten = end.and_then(|end| end.loss.get(LossClass::FileWrite.name()).copied()).unwrap_or(0);
    if unwritten > 0 {
        notes.push(format!(
            "The disk was full or failed while {path} was recorded: {} not in it; record again with more room.",
            are(unwritten, "record"),
        ));
    }
    let unknown_loss = end.map_or(0, SessionEnd::unknown_loss);
    if unknown_loss > 0 {
        notes.push(format!(
            "The recorder of {path} counted {unknown_loss} losses of kinds that this btrfs-probe does not know; use the version that recorded it."
        ));
    }
    // `ending` reports a damaged end.
    let inside = skipped.regions - u64::from(reader.ends_in_damage() && skipped.regions > 0);
    if inside > 0 {
        notes.push(format!(
            "{path} is damaged in {}: {} bytes were passed over and {} missing; copy it again from where it was recorded if that is possible.",
            count(inside, "place"),
            skipped.bytes,
            are(skipped.records, "record"),
        ));
    }
    if skipped.unknown_blocks + skipped.unknown_records > 0 {
        notes.push(format!(
            "{path} holds {} and {} of kinds that this btrfs-probe does not know; use the version that recorded it to judge them.",
            count(skipped.unknown_blocks, "block"),
            count(skipped.unknown_records, "record"),
        ));
    }
    if skipped.undecodable_records + skipped.unreadable_json + skipped.symbols > 0 {
        notes.push(format!(
            "{path} holds {}, {} and {} that could not be used although their checksums are right: it was not written by btrfs-probe, or by a faulty version.",
            count(skipped.undecodable_records, "record"),
            count(skipped.unreadable_json, "description"),
            count(skipped.symbols, "symbol"),
        ));
    }
    notes
}

/// How the file ends, if it does not end as it should.
fn ending<R: Read>(reader: &RecordingReader<R>) -> Option<String> {
    let path = shown(&reader.path);
    let used = count(reader.delivered, "record");
    if let Some(error) = &reader.scanner.error {
        return Some(format!(
            "Reading {path} stopped ({error}): what was read before ({used}) is used, what came after is missing."
        ));
    }
    let has_end = reader.end().is_some();
    Some(match (has_end, reader.complete(), reader.ends_in_damage()) {
        (true, true, false) => return None,
        (true, _, true) => {
            format!("{path} has bytes after its end that do not belong to it; they are ignored.")
        }
        (true, false, false) => {
            format!(
                "{path} holds a whole session but is marked unfinished: its recorder was stopped at the last moment."
            )
        }
        (false, true, _) => {
            format!(
                "{path} is damaged or cut short: what was read before ({used}) is used, what came after is missing."
            )
        }
        (false, false, true) => format!(
            "{path} was not finished and breaks off inside a block (its recorder was killed, is still running, or the file was cut): what was read before ({used}) is used."
        ),
        (false, false, false) => format!(
            "{path} was not finished (its recorder was killed or is still running): what is in it ({used}) is used, what came after is missing."
        ),
    })
}

fn count(number: u64, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

fn are(number: u64, what: &str) -> String {
    format!("{} {}", count(number, what), if number == 1 { "is" } else { "are" })
}
