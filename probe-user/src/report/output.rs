//! Where a report goes, and in which format. The only file of `report/` that writes.
//!
//! A file is written under a temporary name in its own folder, flushed to the disk, and renamed, so a reader
//! sees a whole report or the one before. A pipe, `/dev/null` or anything else that is not a regular file is written to
//! directly, since a rename would replace it. If the reader closes standard output early, that is not an error.
use std::{
    ffi::{OsStr, OsString},
    fs,
    io::{self, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use probe_record::why::unwritten;

use super::{
    folded, html, json, junit, mail,
    model::Report,
    ndjson, svg,
    text::{self, ColorChoice, Detail},
    trace::{self, Timeline},
};

/// A format of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Format {
    /// For a person.
    Text,
    /// One JSON document.
    Json,
    /// Lines of JSON.
    Ndjson,
    /// JUnit, one case a test of a test suite.
    Junit,
    /// Folded stacks.
    Folded,
    /// A flame graph.
    Svg,
    /// A page for a browser.
    Html,
    /// Mails, one for each finding.
    Mail,
    /// Chrome's trace events.
    Trace,
}

impl Format {
    /// All formats.
    pub const ALL: [Self; 9] = [
        Self::Text,
        Self::Json,
        Self::Ndjson,
        Self::Junit,
        Self::Folded,
        Self::Svg,
        Self::Html,
        Self::Mail,
        Self::Trace,
    ];

    /// Name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
            Self::Ndjson => "ndjson",
            Self::Junit => "junit",
            Self::Folded => "folded",
            Self::Svg => "svg",
            Self::Html => "html",
            Self::Mail => "mail",
            Self::Trace => "trace",
        }
    }
}

/// Where a report goes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// Standard output.
    Stdout,
    /// A file.
    File(PathBuf),
}

/// One report to write.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Output {
    /// In which format.
    pub format: Format,
    /// Whereto.
    pub target: Target,
}

/// A report could not be written.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// The system refused.
    #[error("cannot write to {target}: {}", unwritten(error))]
    Io {
        /// What was written to.
        target: String,
        /// What the system said.
        error: io::Error,
    },
}

impl OutputError {
    fn new(target: &Target, error: io::Error) -> Self {
        let target = match target {
            Target::Stdout => "standard output".to_owned(),
            Target::File(path) => crate::format::escape::escape(&path.to_string_lossy()),
        };
        Self::Io { target, error }
    }
}

/// How text looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TextStyle {
    /// `--color`
    pub color: ColorChoice,
    /// `-q`, `-v`
    pub detail: Detail,
}

impl Output {
    /// Renders and writes the report.
    ///
    /// # Errors
    /// The target cannot be written; a closed pipe on standard output is none.
    pub fn write(&self, report: &Report, style: TextStyle) -> Result<(), OutputError> {
        self.write_with(report, style, &Timeline::default())
    }

    /// Like [`Output::write`], with what a trace shows besides the report.
    ///
    /// # Errors
    /// See there.
    pub fn write_with(
        &self,
        report: &Report,
        style: TextStyle,
        timeline: &Timeline,
    ) -> Result<(), OutputError> {
        let bytes =
            self.render(report, style, timeline).map_err(|error| OutputError::new(&self.target, error))?;
        self.put(&bytes)
    }

    /// Writes what is rendered already.
    ///
    /// # Errors
    /// The target cannot be written; a closed pipe on standard output is none.
    pub fn put(&self, bytes: &[u8]) -> Result<(), OutputError> {
        let written = match &self.target {
            Target::Stdout => write_stdout(bytes),
            Target::File(path) => write_file(path, bytes),
        };
        written.map_err(|error| OutputError::new(&self.target, error))
    }

    /// How text looks there.
    #[must_use]
    pub fn look(&self, style: TextStyle) -> text::Look {
        text::look_for(style.color, self.target != Target::Stdout)
    }

    fn render(&self, report: &Report, style: TextStyle, timeline: &Timeline) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        match self.format {
            Format::Text => {
                bytes = text::render(report, self.look(style), style.detail).into_bytes();
            }
            Format::Json => json::write(report, &mut bytes)?,
            Format::Ndjson => ndjson::write(report, &mut bytes)?,
            Format::Junit => junit::write(report, &mut bytes)?,
            Format::Folded => folded::write(report, &mut bytes)?,
            Format::Svg => svg::write(report, &mut bytes)?,
            Format::Html => html::write(report, &mut bytes)?,
            Format::Mail => mail::write(report, &mut bytes)?,
            Format::Trace => trace::write(report, timeline, &mut bytes)?,
        }
        Ok(bytes)
    }

    /// Finds out before the session whether the report can be written after it. Leaves nothing behind and keeps
    /// nothing open: the file may lie on the very filesystem that is to be unmounted under test. A pipe is not opened:
    /// that would wait for its reader, and then look like an end to it.
    ///
    /// # Errors
    /// The target cannot be written.
    pub fn check(&self) -> Result<(), OutputError> {
        let Target::File(path) = &self.target else { return Ok(()) };
        let checked = match place_of(path) {
            Ok(Place::Direct(path)) => {
                nix::unistd::access(&path, nix::unistd::AccessFlags::W_OK).map_err(io::Error::from)
            }
            Ok(Place::Aside { folder, .. }) => aside(&folder).map(drop),
            Err(error) => Err(error),
        };
        checked.map_err(|error| OutputError::new(&self.target, error))
    }
}

/// Standard output for a stream of lines. A reader that closed the pipe (`head`, `less`) has seen what it wanted: what
/// comes after that goes nowhere, and is not an error.
#[derive(Debug)]
pub struct PatientStdout<W: io::Write = io::Stdout> {
    writer: W,
    closed: bool,
}

impl Default for PatientStdout {
    fn default() -> Self {
        Self::new(io::stdout())
    }
}

impl<W: io::Write> PatientStdout<W> {
    const fn new(writer: W) -> Self {
        Self { writer, closed: false }
    }

    /// True if nobody reads any more.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        self.closed
    }

    fn forgive<T>(&mut self, done: io::Result<T>, instead: T) -> io::Result<T> {
        match done {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.closed = true;
                Ok(instead)
            }
            other => other,
        }
    }
}

impl<W: io::Write> io::Write for PatientStdout<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.closed {
            return Ok(bytes.len());
        }
        let written = self.writer.write(bytes);
        self.forgive(written, bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.closed {
            return Ok(());
        }
        let flushed = self.writer.flush();
        self.forgive(flushed, ())
    }
}

fn write_stdout(bytes: &[u8]) -> io::Result<()> {
    let mut stdout = PatientStdout::default();
    stdout.write_all(bytes)?;
    stdout.flush()
}

/// Prints other text than a report to standard output (a schema, a manual page); a closed pipe is not an error.
///
/// # Errors
/// See [`OutputError`].
pub fn print(bytes: &[u8]) -> Result<(), OutputError> {
    write_stdout(bytes).map_err(|error| OutputError::new(&Target::Stdout, error))
}

/// How a path is written to.
enum Place {
    /// A pipe or device: opened and written.
    Direct(PathBuf),
    /// A regular file, or none yet: written aside in `folder` and renamed to `file`.
    Aside { folder: PathBuf, file: PathBuf },
}

fn place_of(path: &Path) -> io::Result<Place> {
    // A link is followed, so that it stays one and the file it names is replaced.
    let file = match fs::canonicalize(path) {
        Ok(real) => real,
        Err(error) if error.kind() == io::ErrorKind::NotFound => path.to_owned(),
        Err(error) => return Err(error),
    };
    match fs::metadata(&file) {
        Ok(meta) if meta.is_dir() => return Err(io::ErrorKind::IsADirectory.into()),
        Ok(meta) if !meta.is_file() => return Ok(Place::Direct(file)),
        _ => {}
    }
    let folder = match file.parent() {
        Some(folder) if folder != Path::new("") => folder.to_owned(),
        _ => PathBuf::from("."),
    };
    Ok(Place::Aside { folder, file })
}

/// A new file beside the target, gone when dropped.
///
/// The umask decides who may read it, as for any other program: a job that runs as root makes reports that the next step of CI reads. In a
/// folder that everybody can write to, such as `/tmp`, only its owner may: names of files and tasks are in it.
fn aside(folder: &Path) -> io::Result<tempfile::NamedTempFile> {
    const BY_OTHERS: u32 = 0o002;
    let open_to_all = fs::metadata(folder)?.permissions().mode() & BY_OTHERS != 0;
    let mode = if open_to_all { 0o600 } else { 0o666 };
    let mut builder = tempfile::Builder::new();
    builder.prefix(".btrfs-probe-").suffix(".tmp").permissions(fs::Permissions::from_mode(mode));
    builder.tempfile_in(folder)
}

/// Writes a file as reports are written: aside, and renamed when it is on the disk.
///
/// # Errors
/// Those of the filesystem; what was there before stays.
pub fn write_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    put(path, bytes, true)
}

/// Writes other things than a report as reports are written, piece by piece; a closed pipe on standard output is no error.
///
/// # Errors
/// Those of `write`, as if they were the target's, and those of the target. What was there before stays.
pub fn write_with(
    target: &Target,
    write: impl FnOnce(&mut dyn io::Write) -> io::Result<()>,
) -> Result<(), OutputError> {
    let written = match target {
        Target::Stdout => {
            let mut stdout = PatientStdout::default();
            write(&mut stdout).and_then(|()| stdout.flush())
        }
        Target::File(path) => put_with(path, true, write),
    };
    written.map_err(|error| OutputError::new(target, error))
}

/// Like [`write_file`], and does not wait for the disk: for who has no time to.
///
/// # Errors
/// Those of the filesystem that show at once; what was there before stays.
pub fn replace_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    put(path, bytes, false)
}

fn put(path: &Path, bytes: &[u8], durable: bool) -> io::Result<()> {
    put_with(path, durable, |to| to.write_all(bytes))
}

fn put_with(
    path: &Path,
    durable: bool,
    write: impl FnOnce(&mut dyn io::Write) -> io::Result<()>,
) -> io::Result<()> {
    match place_of(path)? {
        Place::Direct(path) => write(&mut fs::OpenOptions::new().write(true).open(path)?),
        Place::Aside { folder, file } => {
            let mut temporary = aside(&folder)?;
            write(&mut temporary)?;
            if durable {
                // Before the rename, since a full disk may show only here.
                temporary.as_file().sync_all()?;
            }
            temporary.persist(file).map(drop).map_err(|failed| failed.error)
        }
    }
}

/// Reads `FORMAT` or `FORMAT=FILE`; a FILE of `-` is standard output.
///
/// # Errors
/// One sentence: an unknown format, or no name behind the `=`.
pub fn parse_format(typed: &OsStr) -> Result<(Format, Option<Target>), String> {
    use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
    let bytes = typed.as_bytes();
    let (name, file) = match bytes.iter().position(|byte| *byte == b'=') {
        Some(at) => (bytes.get(..at).unwrap_or_default(), bytes.get(at + 1..)),
        None => (bytes, None),
    };
    let name = String::from_utf8_lossy(name);
    let Some(format) = Format::ALL.into_iter().find(|format| format.name() == name) else {
        let known: Vec<&str> = Format::ALL.into_iter().map(Format::name).collect();
        return Err(format!("unknown format `{name}`; choose one of {}", known.join(", ")));
    };
    match file {
        None => Ok((format, None)),
        Some(b"") => Err(format!("`{name}=` lacks a file name; write {name}=FILE")),
        Some(b"-") => Ok((format, Some(Target::Stdout))),
        Some(file) => Ok((format, Some(Target::File(PathBuf::from(OsString::from_vec(file.to_vec())))))),
    }
}

/// What was typed with `--format` and `-o` to outputs. A format without a file goes to `-o`, else to standard output.
///
/// # Errors
/// One sentence, if two reports would go to one place.
pub fn plan(formats: &[(Format, Option<Target>)], file: Option<&Path>) -> Result<Vec<Output>, String> {
    let default = match file {
        Some(path) if path != Path::new("-") => Target::File(path.to_owned()),
        _ => Target::Stdout,
    };
    let mut outputs: Vec<Output> = formats
        .iter()
        .map(|(format, target)| Output { format: *format, target: target.clone().unwrap_or(default.clone()) })
        .collect();
    let default_used = formats.iter().any(|(_, target)| target.is_none());
    if outputs.is_empty() || (file.is_some() && !default_used) {
        outputs.push(Output { format: Format::Text, target: default });
    }
    for (at, output) in outputs.iter().enumerate() {
        if outputs.iter().take(at).any(|earlier| earlier.target == output.target) {
            let place = match &output.target {
                Target::Stdout => "standard output".to_owned(),
                Target::File(path) => crate::format::escape::escape(&path.to_string_lossy()),
            };
            return Err(format!(
                "two reports would go to {place}; give each a file with --format FORMAT=FILE"
            ));
        }
    }
    Ok(outputs)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    #[test]
    fn a_closed_pipe_is_no_error_and_a_full_disk_is() {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let mut stdout = PatientStdout::new(writer);
        stdout.write_all(b"nobody reads this").unwrap();
        assert!(stdout.is_closed());
        stdout.write_all(b"nor this").unwrap();
        stdout.flush().unwrap();

        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        assert!(PatientStdout::new(full).write_all(b"x").is_err());
    }
}
