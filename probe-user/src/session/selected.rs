//! A recording, or the part of it that `--fs` selects.
//!
//! In a live session the kernel side decides once for each filesystem, at first sight, whether the filter leaves it out, and
//! drops all its records. Here the same records are dropped between the file and its reader. That needs a first pass over
//! the whole file: a filesystem can get its name after its first records, and its mount point is known only at the end.
//!
//! Refused: `--inode` and `--subvol` on a recording that was taken without them. They change what the kernel side shows of
//! the inodes that stay (which reservation follows which extents in one task, which calls are inside each other), so a
//! filtered full recording would differ from what a live session shows.
use std::{
    fs::File,
    io::Read,
    os::fd::AsRawFd as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use probe_common::header::Header;
use probe_record::{
    batch::RecordBatch,
    file::{FileError, RecordingReader},
    record::Record,
    session::{FsPlace, ONLY_FILESYSTEMS, SessionEnd, SessionHeader, SymbolRow},
    stream::{Source, SourceState},
};
use rustc_hash::{FxHashMap, FxHashSet};
use zerocopy::FromBytes as _;

use super::{
    bundle_read,
    exit::UsageError,
    followed::{INODE, NEXT, OR, SUBVOL},
    plan::{FilterPlan, FsSelector},
};
use crate::{
    format::escape::escape,
    kernel::{fsid::Fsid, select},
};

/// A recording and what of it is wanted.
#[derive(Clone, Debug)]
pub struct Recording {
    path: PathBuf,
    /// The recording of a bundle: a file without a name.
    unpacked: Option<Arc<File>>,
    choice: Option<Arc<Choice>>,
}

/// The selection that `--fs` makes.
#[derive(Debug, Default)]
struct Choice {
    /// Ids of filesystems that stay.
    kept: FxHashSet<u32>,
    /// Ids of filesystems that the recording identifies.
    named: FxHashSet<u32>,
    /// The filter as the header of a session has it.
    option: String,
    /// Filesystems that came and went, so that neither header nor end of the session has them.
    passing: Vec<FsPlace>,
}

impl Recording {
    /// Reads a recording once to learn what the filter means in it; without a filter the file is not even opened.
    ///
    /// # Errors
    /// It is no recording, or cannot be read twice, or was not taken with this `--inode` and `--subvol`.
    pub fn new(path: &Path, filter: &FilterPlan) -> anyhow::Result<Self> {
        let unpacked = bundle_read::recording(path)?.map(Arc::new);
        let mut recording = Self { path: path.to_owned(), unpacked, choice: None };
        let FilterPlan { filesystems, inode, subvol } = filter;
        if filesystems.is_empty() && inode.is_none() && subvol.is_none() {
            return Ok(recording);
        }
        if std::fs::metadata(path).is_ok_and(|meta| !meta.is_file()) {
            return Err(UsageError(format!(
                "--fs, --inode and --subvol need a recording that can be read twice, and {} is no regular file: copy it \
                 to one",
                escape(&path.to_string_lossy())
            ))
            .into());
        }
        let reader = recording.reader()?;
        for (name, wanted) in [(INODE, inode), (SUBVOL, subvol)] {
            if let Some(number) = wanted {
                check_taken_with(reader.header(), name, *number)?;
            }
        }
        recording.choice = (!filesystems.is_empty()).then(|| Arc::new(Choice::of(reader, filesystems)));
        Ok(recording)
    }

    fn reader(&self) -> Result<RecordingReader, FileError> {
        let Some(unpacked) = &self.unpacked else { return RecordingReader::open(&self.path) };
        // Another opening of the same file, with a position of its own.
        let opened = File::open(format!("/proc/self/fd/{}", unpacked.as_raw_fd()));
        let file = opened.map_err(|error| FileError::Open { path: self.path.clone(), error })?;
        RecordingReader::from_read(&self.path, file)
    }

    /// Opens it at its start.
    ///
    /// # Errors
    /// See [`RecordingReader::open`].
    pub fn open(&self) -> Result<Selected<File>, FileError> {
        Ok(Selected::new(self.reader()?, self.choice.clone()))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn check_taken_with(header: &SessionHeader, name: &str, number: u64) -> Result<(), UsageError> {
    if header.options.get(name).is_some_and(|taken| *taken == number.to_string()) {
        return Ok(());
    }
    Err(UsageError(format!(
        "a recording cannot be narrowed to --{name} {number} afterwards, since its filesystem is judged as a whole: \
         record with --{name} {number}, or filter on the screen of `btrfs-probe top --replay FILE`"
    )))
}

/// What a recording says of its filesystems.
#[derive(Debug, Default)]
struct Survey {
    /// Identity at first sight, and name of the device, by id.
    seen: FxHashMap<u32, (Fsid, String)>,
    places: Vec<FsPlace>,
}

impl Survey {
    fn of<R: Read>(mut reader: RecordingReader<R>) -> Self {
        let mut survey = Self::default();
        let mut batch = RecordBatch::new();
        while reader.next_batch(&mut batch) {
            for record in &batch {
                let Ok(Record::FsSeen(seen)) = record else { continue };
                let s_id = seen.s_id.split(|byte| *byte == 0).next().unwrap_or_default();
                let device = String::from_utf8_lossy(s_id).into_owned();
                let known = survey.seen.entry(seen.header.fs).or_insert((Fsid(seen.fsid), String::new()));
                if !device.is_empty() {
                    known.1 = device;
                }
            }
            drop(reader.take_symbols());
        }
        survey.places.extend(reader.header().filesystems.iter().cloned());
        survey.places.extend(reader.end().into_iter().flat_map(|end| end.filesystems.iter().cloned()));
        survey
    }

    /// Filesystems that only the stream shows.
    fn passing(&self) -> Vec<FsPlace> {
        let mut passing: Vec<FsPlace> = Vec::new();
        for (fsid, device) in self.seen.values() {
            let uuid = fsid.to_string();
            if self.places.iter().chain(&passing).all(|place| place.uuid != uuid) {
                let devices = if device.is_empty() { Vec::new() } else { vec![device.clone()] };
                passing.push(FsPlace { uuid, devices, mounts: Vec::new() });
            }
        }
        passing.sort_unstable_by(|one, other| one.uuid.cmp(&other.uuid));
        passing
    }

    /// The filesystems that a path or the name of a device means: all that had this mount point, or one above the path, or this device.
    fn at(&self, given: &Path) -> Vec<Fsid> {
        let path = select::lexical(&given.to_string_lossy());
        let device = path.strip_prefix("/dev").unwrap_or(given).to_string_lossy().into_owned();
        let is = |name: &String| *name == device;
        let mounts = self.places.iter().flat_map(|place| &place.mounts).map(Path::new);
        let above =
            mounts.filter(|mount| *mount == path || (*mount != Path::new("/") && path.starts_with(mount)));
        let around = above.max_by_key(|mount| mount.components().count());
        let there = |place: &&FsPlace| {
            place.mounts.iter().any(|mount| Some(Path::new(mount)) == around) || place.devices.iter().any(is)
        };
        let placed = self.places.iter().filter(there).filter_map(|place| place.uuid.parse().ok());
        let seen = self.seen.values().filter(|(_, name)| is(name)).map(|(fsid, _)| *fsid);
        let mut found: Vec<Fsid> = placed.chain(seen).collect();
        found.sort_unstable();
        found.dedup();
        found
    }
}

impl Choice {
    fn of<R: Read>(reader: RecordingReader<R>, filters: &[FsSelector]) -> Self {
        let survey = Survey::of(reader);
        let mut choice = Self {
            named: survey.seen.keys().copied().collect(),
            passing: survey.passing(),
            ..Self::default()
        };
        let mut options: Vec<String> = Vec::new();
        for filter in filters {
            let meant = match filter {
                FsSelector::Uuid(fsid) | FsSelector::Later(fsid) => vec![Fsid(*fsid)],
                FsSelector::Path(path) => survey.at(path),
            };
            let ids = survey.seen.iter().filter(|(_, (fsid, _))| meant.contains(fsid)).map(|(id, _)| *id);
            choice.kept.extend(ids);
            options.push(match filter {
                FsSelector::Path(path) if meant.is_empty() => path.to_string_lossy().replace([NEXT, OR], "?"),
                _ => meant.iter().map(Fsid::to_string).collect::<Vec<_>>().join(&OR.to_string()),
            });
        }
        choice.option = options.join(&NEXT.to_string());
        choice
    }
}

/// The records of a [`Recording`] that are wanted.
#[derive(Debug)]
pub struct Selected<R = File> {
    reader: RecordingReader<R>,
    choice: Option<Arc<Choice>>,
    header: SessionHeader,
    /// The batch as it is in the file.
    whole: RecordBatch,
    /// Records of filesystems that the recording does not identify.
    nameless: u64,
}

impl<R: Read> Selected<R> {
    fn new(reader: RecordingReader<R>, choice: Option<Arc<Choice>>) -> Self {
        let mut header = reader.header().clone();
        if let Some(choice) = &choice {
            header.options.insert(ONLY_FILESYSTEMS.to_owned(), choice.option.clone());
            header.filesystems.extend(choice.passing.iter().cloned());
        }
        Self { reader, choice, header, whole: RecordBatch::new(), nameless: 0 }
    }

    /// All of a recording.
    pub fn all(reader: RecordingReader<R>) -> Self {
        Self::new(reader, None)
    }

    /// Replaces the batch by the next records; `false` at the end.
    pub fn next_batch(&mut self, batch: &mut RecordBatch) -> bool {
        let Self { reader, choice, whole, nameless, .. } = self;
        let Some(choice) = choice else { return reader.next_batch(batch) };
        batch.clear();
        while batch.is_empty() && reader.next_batch(whole) {
            for record in whole.raw().flatten() {
                let fs = Header::read_from_prefix(record).map_or(0, |(header, _)| header.fs);
                if fs == 0 || choice.kept.contains(&fs) {
                    // It was one whole record before.
                    let _ = batch.push(record);
                } else if !choice.named.contains(&fs) {
                    *nameless += 1;
                }
            }
        }
        !batch.is_empty()
    }
}

impl<R: Read> Source for Selected<R> {
    fn header(&self) -> &SessionHeader {
        &self.header
    }

    fn next(&mut self, batch: &mut RecordBatch, _wait: Duration) -> SourceState {
        if self.next_batch(batch) { SourceState::Batch } else { SourceState::End }
    }

    fn take_symbols(&mut self) -> Vec<SymbolRow> {
        self.reader.take_symbols()
    }

    fn end(&self) -> Option<&SessionEnd> {
        self.reader.end()
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = self.reader.notes();
        if self.nameless > 0 {
            notes.push(format!(
                "{} records are of filesystems whose UUID was lost, so that they could not be held against --fs: leave it \
                 out.",
                self.nameless
            ));
        }
        notes
    }
}

#[cfg(test)]
mod tests;
