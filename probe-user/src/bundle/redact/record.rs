//! Records with names in them.
use probe_common::suite::NoteKind;
use probe_record::record::Record;

use super::log::log_line;
use crate::bundle::names::Pseudonyms;

/// The record with pseudonyms in place of names. A kind of record that is new has to be decided on here.
pub(super) fn record(mut record: Record, names: &mut Pseudonyms) -> Record {
    match &mut record {
        Record::FsSeen(seen) => put(&mut seen.s_id, |name| names.device(name)),
        Record::TaskSeen(task) => put(&mut task.comm, |comm| names.task(comm)),
        Record::Waiting(waiting) => put(&mut waiting.comm, |comm| names.task(comm)),
        Record::ThreadFound(thread) => put(&mut thread.comm, |comm| names.task(comm)),
        Record::Name(name) => {
            for component in &mut name.components {
                put(component, |file| names.file(file));
            }
        }
        Record::LogLine(line) => {
            put(&mut line.text, |said| log_line(said, names).0);
            let length = line.text.iter().position(|byte| *byte == 0).unwrap_or(line.text.len());
            line.length = u32::try_from(length).unwrap_or(0);
        }
        Record::TestSign(sign) => {
            put(&mut sign.text, |said| said.rsplit('/').next().map(test_number).unwrap_or_default())
        }
        Record::TestNote(note) => {
            let what = NoteKind::ALL.into_iter().find(|kind| *kind as u32 == note.what);
            put(&mut note.text, |said| self::note(what, said, names));
        }
        Record::Marker(marker) => put(&mut marker.text, |said| test(said, names)),
        // Numbers, and words of the kernel's own: functions, states, reasons.
        Record::FsEnd(_)
        | Record::Levels(_)
        | Record::Stack(_)
        | Record::Delalloc(_)
        | Record::Mod(_)
        | Record::InodeState(_)
        | Record::Block(_)
        | Record::Claim(_)
        | Record::Enospc(_)
        | Record::Ticket(_)
        | Record::Bmu(_)
        | Record::Chain(_)
        | Record::Warn(_)
        | Record::Flush(_)
        | Record::Call(_)
        | Record::Returned(_)
        | Record::TicketStep(_)
        | Record::FlushState(_)
        | Record::LossSample(_)
        | Record::SysfsLevels(_)
        | Record::AuditMark(_)
        | Record::QgroupLevel(_)
        | Record::FailureState(_)
        | Record::FailureDevices(_)
        | Record::QgroupRefusal(_)
        | Record::Draw(_)
        | Record::Extent(_)
        | Record::PinnedLeft(_)
        | Record::ThreadStack(_)
        | Record::WaitRound(_) => {}
    }
    // What a newer version has behind the fields that are known here is cut off.
    let length = u16::try_from(record.bytes().len()).unwrap_or(u16::MAX);
    record.header_mut().len = length;
    record
}

/// Replaces a text that NULs end. Of a text that has become longer than its field, the end is cut off.
fn put(field: &mut [u8], replace: impl FnOnce(&str) -> String) {
    let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
    let (said, _) = field.split_at(end);
    let text = replace(&String::from_utf8_lossy(said));
    let most = field.len().saturating_sub(1);
    let mut length = text.len().min(most);
    while !text.is_char_boundary(length) {
        length -= 1;
    }
    field.fill(0);
    for (to, from) in field.iter_mut().zip(text.as_bytes().iter().take(length)) {
        *to = *from;
    }
}

fn note(what: Option<NoteKind>, said: &str, names: &mut Pseudonyms) -> String {
    match what {
        Some(NoteKind::Begin) => test(said, names),
        Some(NoteKind::Devices) => {
            said.split(' ').map(|device| names.device(device)).collect::<Vec<_>>().join(" ")
        }
        Some(NoteKind::Results) => names.path(said),
        // The reason behind the word is the test's own text.
        Some(NoteKind::Result) => {
            let word = said.lines().next().unwrap_or_default();
            if ["pass", "fail", "notrun"].contains(&word) { word.to_owned() } else { String::new() }
        }
        Some(NoteKind::Section | NoteKind::Scope) => names.word(said),
        Some(NoteKind::Exit | NoteKind::End) | None => String::new(),
    }
}

/// The name of a test of xfstests says nothing of who ran it. One that is not of its folders does.
pub(super) fn test(name: &str, names: &mut Pseudonyms) -> String {
    const FOLDERS: [&str; 5] = ["btrfs", "generic", "shared", "selftest", "perf"];
    match name.split_once('/') {
        Some((folder, number)) if FOLDERS.contains(&folder) && !test_number(number).is_empty() => {
            name.to_owned()
        }
        _ if name.is_empty() => String::new(),
        _ => names.word(name),
    }
}

fn test_number(name: &str) -> String {
    let number = !name.is_empty() && name.len() <= 4 && name.bytes().all(|byte| byte.is_ascii_digit());
    if number { name.to_owned() } else { String::new() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop at the first surprise")]
    use probe_common::{
        header::Header,
        inode::Name,
        suite::{NOTE_TEXT, TestNote},
        task::TaskSeen,
    };

    use super::*;

    fn text<const N: usize>(said: &str) -> [u8; N] {
        let mut field = [0; N];
        field[..said.len()].copy_from_slice(said.as_bytes());
        field
    }

    #[test]
    fn names_of_all_lengths_and_bytes_fit_their_fields() {
        let mut names = Pseudonyms::default();
        let mut components = [[b'x'; 48]; 4];
        components[1] = [0xff; 48];
        let Record::Name(told) =
            record(Name { header: Header::default(), root: 5, ino: 257, components }.into(), &mut names)
        else {
            panic!()
        };
        assert_eq!(&told.components[0][..7], b"name-1\0");
        assert_eq!(&told.components[1][..7], b"name-2\0");
        let comm = text("fifteen-letters");
        let Record::TaskSeen(told) = record(TaskSeen { comm, ..TaskSeen::default() }.into(), &mut names)
        else {
            panic!()
        };
        assert_eq!(told.comm, text("task-1"));
    }

    #[test]
    fn notes_on_tests_keep_what_xfstests_calls_them() {
        let mut names = Pseudonyms::default();
        for (what, said, expected) in [
            (NoteKind::Begin, "generic/269", "generic/269"),
            (NoteKind::Begin, "acme/001", "word-1"),
            (NoteKind::Devices, "loop0 mapper/acme", "device-1 device-2"),
            (NoteKind::Results, "/home/acme/results", "/name-1/name-2/name-3"),
            (NoteKind::Result, "notrun\nacme has no disk", "notrun"),
        ] {
            let note = TestNote {
                header: Header::default(),
                what: what as u32,
                test: 1,
                run: 0,
                status: 0,
                text: text::<NOTE_TEXT>(said),
            };
            let Record::TestNote(told) = record(note.into(), &mut names) else { panic!() };
            assert_eq!(told.text, text::<NOTE_TEXT>(expected), "{said}");
        }
    }
}
