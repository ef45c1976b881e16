//! `bundle`: collects what a bug report needs, of this machine and of sessions that were recorded, into one archive.
use std::{
    fs::File,
    io::{Read as _, Seek as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use probe_record::{
    file::{FileError, RecordingReader},
    session::SymbolRow,
    stream::Source as _,
};

use super::{
    bundle_read, consume, doctor::Found, exit::ExitStatus, facts, plan::BundlePlan, selected::Selected,
    status_line,
};
use crate::{
    bundle::{
        archive::{self, Content, Entry},
        machine,
        manifest::Manifest,
        name,
        names::Pseudonyms,
        redact,
    },
    format::{self, counted, escape::escape},
    kernel::machine::Machine,
    report::{
        build::Policy,
        model::Report,
        output::{self, Target},
        text::{self, ColorChoice, Detail},
    },
};

const RECORDING: &str = "the recording";
const REPORT_TEXT: &str = "the report for a person, with all details";
const REPORT_JSON: &str = "the report";
const FAILURES: &str = "the kernel's figures at each failed reservation: failures of the report";
const SYMBOLS: &str = "names of the addresses in stacks, as the recording has them";
const DOCTOR_TEXT: &str = "what btrfs-probe doctor shows";
const DOCTOR_JSON: &str = "what btrfs-probe doctor --json shows";

/// Makes a bundle.
///
/// # Errors
/// A FILE is neither a recording nor a JSON report, or the bundle cannot be written.
pub fn bundle(plan: &BundlePlan) -> anyhow::Result<ExitStatus> {
    output::Output { format: output::Format::Text, target: plan.target.clone() }.check()?;
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let mut maker = Maker {
        plan,
        names: plan.redact.then(Pseudonyms::default),
        folder: folder.path(),
        entries: Vec::new(),
    };
    let mut kernels = Vec::new();
    for (at, file) in plan.files.iter().enumerate() {
        kernels.push(maker.session(at + 1, file)?);
    }
    maker.machine(&kernels)?;
    let Maker { entries, .. } = maker;
    let now = jiff::Timestamp::now();
    let manifest = archive::manifest(&entries, now.to_string(), plan.redact);
    let seconds = u64::try_from(now.as_second()).unwrap_or(0);
    output::write_with(&plan.target, |to| archive::write(to, &manifest, entries, seconds))?;
    status_line::say(&told(plan, &manifest));
    Ok(ExitStatus::Clean)
}

/// What was made, for the person who waits.
fn told(plan: &BundlePlan, manifest: &Manifest) -> String {
    let there = manifest.files.iter().filter(|file| file.included).count();
    let (place, size) = match &plan.target {
        Target::Stdout => ("standard output".to_owned(), None),
        Target::File(path) => {
            (escape(&path.to_string_lossy()), std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file))
        }
    };
    let size = size.map(|meta| format!(", {}", length(meta.len())));
    let mut text = format!(
        "btrfs-probe: {} in {place}{}\n",
        counted(there as u64 + 1, "file"),
        size.unwrap_or_default()
    );
    // Files with one reason in a row are one line.
    for files in manifest.files.chunk_by(|one, next| (one.included, &one.why) == (next.included, &next.why)) {
        if let Some((file, why)) = files.first().and_then(|file| Some((file, file.why.as_ref()?))) {
            let names: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
            let not = if file.included { "" } else { "not there: " };
            text.push_str(&format!("  {}: {not}{}\n", names.join(", "), escape(why)));
        }
    }
    if !plan.redact {
        text.push_str(
            "  Names of files, tasks and devices are in it: look before you send it, or use --redact.\n",
        );
    }
    text
}

struct Maker<'a> {
    plan: &'a BundlePlan,
    names: Option<Pseudonyms>,
    /// For recordings that are written anew.
    folder: &'a Path,
    entries: Vec<Entry>,
}

impl Maker<'_> {
    /// Adds a recording or a JSON report, and returns the kernel that it is of.
    fn session(&mut self, number: usize, file: &Path) -> anyhow::Result<String> {
        let shown = escape(&file.to_string_lossy());
        let cannot = || format!("cannot read {shown}");
        let mut opened = match bundle_read::recording(file)? {
            Some(unpacked) => unpacked,
            None => File::open(file).with_context(cannot)?,
        };
        if !opened.metadata().with_context(cannot)?.is_file() {
            bail!("{shown} is no regular file: copy it to one");
        }
        let mut first = [0; 1];
        let _ = opened.read(&mut first).with_context(cannot)?;
        opened.rewind().with_context(cannot)?;
        let report = if first[0] == b'{' {
            self.json_report(number, opened)
                .with_context(|| format!("{shown} is no JSON report of this version"))?
        } else {
            match self.recording(number, file, opened) {
                Err(error) if error.downcast_ref::<FileError>().is_some_and(is_foreign) => {
                    bail!("{shown} is neither a recording, nor a JSON report, nor a bundle")
                }
                done => done?,
            }
        };
        self.report(number, &report)?;
        Ok(report.kernel.release)
    }

    fn json_report(&mut self, number: usize, opened: File) -> anyhow::Result<Report> {
        let report: Report = serde_json::from_reader(std::io::BufReader::new(opened))?;
        let why = "a JSON report was given and no recording";
        self.entries.push(Entry::missing(name::recording(number), RECORDING, why));
        Ok(match &mut self.names {
            Some(names) => redact::report(&report, names)?,
            None => report,
        })
    }

    fn recording(&mut self, number: usize, file: &Path, opened: File) -> anyhow::Result<Report> {
        let (place, opened) = match &mut self.names {
            None => (file.to_owned(), opened),
            Some(names) => {
                // By the name that it has in the bundle: the report may name the file.
                let place = PathBuf::from(name::recording(number));
                let reader = RecordingReader::from_read(&place, opened)?;
                let target = self.folder.join(format!("{number}.rsv"));
                let written = redact::recording(reader, &target, names).map_err(|error| {
                    anyhow::anyhow!("cannot write the recording without names to a temporary folder: {error}")
                })?;
                (place, File::open(written).context("cannot read the recording without names")?)
            }
        };
        let length = opened.metadata().context("cannot read the recording")?.len();
        let entry = match self.plan.most_recording {
            0 => Entry::missing(name::recording(number), RECORDING, "--no-recording"),
            most if length > most => {
                let why = format!(
                    "it has {}, more than the {} of --max-recording",
                    self::length(length),
                    self::length(most)
                );
                Entry::missing(name::recording(number), RECORDING, why)
            }
            _ => {
                let copy = opened.try_clone().context("cannot read the recording")?;
                Entry {
                    content: Content::File(copy, length),
                    ..Entry::new(name::recording(number), RECORDING, "")
                }
            }
        };
        self.entries.push(entry);
        let mut source = Selected::all(RecordingReader::from_read(&place, &opened)?);
        let books = consume::into_books(&mut source, consume::Nobody);
        let report = facts::report(
            source.header(),
            source.end(),
            books.all_doubts(&source),
            &books,
            &Policy::default(),
        );
        // The copy that goes into the archive reads from where this one stands.
        (&opened).rewind().context("cannot read the recording again")?;
        let symbols = symbols(&books.names.rows());
        self.entries.push(if symbols.is_empty() {
            Entry::missing(name::of_session(number, name::SYMBOLS), SYMBOLS, "the recording has none")
        } else {
            Entry::new(name::of_session(number, name::SYMBOLS), SYMBOLS, symbols)
        });
        Ok(report)
    }

    fn report(&mut self, number: usize, report: &Report) -> anyhow::Result<()> {
        let text = text::render(report, text::look_for(ColorChoice::Never, true), Detail::Full);
        self.entries.push(Entry::new(name::of_session(number, name::REPORT_TEXT), REPORT_TEXT, text));
        let json = serde_json::to_string_pretty(report)? + "\n";
        self.entries.push(Entry::new(name::of_session(number, name::REPORT_JSON), REPORT_JSON, json));
        let failures = name::of_session(number, name::FAILURES);
        self.entries.push(if report.failures.is_empty() {
            Entry::missing(failures, FAILURES, "no reservation failed for lack of space")
        } else {
            Entry::new(failures, FAILURES, serde_json::to_string_pretty(&report.failures)? + "\n")
        });
        Ok(())
    }

    /// Adds what is to be said of this machine, if the sessions may be of it.
    fn machine(&mut self, kernels: &[String]) -> anyhow::Result<()> {
        let running = Machine::read(Path::new("/")).release;
        if let Some(other) = kernels.iter().find(|_| !kernels.contains(&running)) {
            let other = if other.is_empty() { "a kernel that it does not name" } else { other };
            let why = format!("the session was on {}, and this machine runs {running}", escape(other));
            self.entries.push(Entry::missing(name::DOCTOR_TEXT, DOCTOR_TEXT, &why));
            self.entries.push(Entry::missing(name::DOCTOR_JSON, DOCTOR_JSON, &why));
            self.entries.extend(machine::left_out(&why));
            return Ok(());
        }
        let mut found = Found::now();
        if let Some(names) = &mut self.names {
            found.doctor = redact::doctor(found.doctor, names);
        }
        self.entries.push(Entry::new(name::DOCTOR_TEXT, DOCTOR_TEXT, found.text()));
        self.entries.push(Entry::new(name::DOCTOR_JSON, DOCTOR_JSON, found.json()?));
        self.entries.extend(machine::entries(Path::new("/"), self.names.as_mut()));
        Ok(())
    }
}

const fn is_foreign(error: &FileError) -> bool {
    matches!(error, FileError::NotARecording { .. })
}

/// `ADDRESS SYMBOL+OFFSET [MODULE]`, a line each.
fn symbols(rows: &[SymbolRow]) -> String {
    let mut text = String::new();
    for SymbolRow { address, symbol, offset, module } in rows.iter().filter(|row| !row.symbol.is_empty()) {
        let module = module.as_ref().map(|module| format!(" [{}]", escape(module))).unwrap_or_default();
        text.push_str(&format!("{address:#x} {}+{offset:#x}{module}\n", escape(symbol)));
    }
    text
}

fn length(bytes: u64) -> String {
    format::bytes(i64::try_from(bytes).unwrap_or(i64::MAX), "iB")
}
