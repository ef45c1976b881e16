//! What `report`, `top` and `explain` read of a bundle.
use std::{
    fs::File,
    io::{self, Cursor, Seek as _},
    path::Path,
};

use anyhow::{Context as _, bail};

use crate::{
    bundle::{
        self, MOST_SESSIONS,
        manifest::Manifest,
        name,
        read::{MOST_RECORDING, MOST_TEXT, is_bundle},
    },
    format::escape::escape,
    report::model::Report,
};

/// The first recording of a bundle, in a file without a name; `None` if the file is no bundle.
///
/// # Errors
/// The bundle cannot be read or has no recording; one sentence.
pub fn recording(path: &Path) -> anyhow::Result<Option<File>> {
    if !is_bundle(path) {
        return Ok(None);
    }
    match unpack(path)? {
        Some(file) => Ok(Some(file)),
        None => bail!(
            "{} has no recording{}",
            shown(path),
            why(path, |file| file.ends_with("/recording.rsv")).unwrap_or_default()
        ),
    }
}

/// The first report of a bundle that has no recording; `None` if the file is no bundle, or has one.
///
/// # Errors
/// The bundle cannot be read, or has neither; one sentence.
pub fn report_alone(path: &Path) -> anyhow::Result<Option<Report>> {
    if !is_bundle(path) || copy_recording(path, &mut io::sink())? {
        return Ok(None);
    }
    let names: Vec<String> =
        (1..=MOST_SESSIONS).map(|number| name::of_session(number, name::REPORT_JSON)).collect();
    match text(path, &names)? {
        Some(json) => serde_json::from_slice(&json)
            .map(Some)
            .with_context(|| format!("the report in {} is none of this version", shown(path))),
        None => bail!("{} has neither a recording nor a report: it was made without a FILE", shown(path)),
    }
}

/// The kernel's log of a bundle; `None` if the file is no bundle.
///
/// # Errors
/// The bundle cannot be read, or has no log; one sentence.
pub fn log(path: &Path) -> anyhow::Result<Option<Vec<u8>>> {
    if !is_bundle(path) {
        return Ok(None);
    }
    match text(path, &[name::LOG.to_owned()])? {
        Some(log) => Ok(Some(log)),
        None => bail!(
            "{} has no lines of the kernel's log{}",
            shown(path),
            why(path, |file| file == name::LOG).unwrap_or_default()
        ),
    }
}

/// Whether there is one.
fn copy_recording(path: &Path, to: &mut dyn io::Write) -> anyhow::Result<bool> {
    let names: Vec<String> = (1..=MOST_SESSIONS).map(name::recording).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let found = bundle::read::copy(open(path)?, &names, MOST_RECORDING, to)
        .with_context(|| format!("cannot read {}", shown(path)))?;
    Ok(found.is_some())
}

fn unpack(path: &Path) -> anyhow::Result<Option<File>> {
    let mut unpacked = tempfile::tempfile().context("cannot make a temporary file for the recording")?;
    let found = copy_recording(path, &mut unpacked)?;
    unpacked.rewind().context("cannot read the temporary file of the recording")?;
    Ok(found.then_some(unpacked))
}

fn text(path: &Path, names: &[String]) -> anyhow::Result<Option<Vec<u8>>> {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut text = Cursor::new(Vec::new());
    let found = bundle::read::copy(open(path)?, &names, MOST_TEXT, &mut text)
        .with_context(|| format!("cannot read {}", shown(path)))?;
    Ok(found.map(|_| text.into_inner()))
}

/// What the manifest says of why a file is missing, as the rest of a sentence.
fn why(path: &Path, is: impl Fn(&str) -> bool) -> Option<String> {
    let json = text(path, &[name::MANIFEST.to_owned()]).ok()??;
    let manifest: Manifest = serde_json::from_slice(&json).ok()?;
    let file = manifest.files.into_iter().find(|file| is(&file.name) && !file.included)?;
    Some(format!(": {}", escape(&file.why?)))
}

fn open(path: &Path) -> anyhow::Result<File> {
    File::open(path).with_context(|| format!("cannot read {}", shown(path)))
}

fn shown(path: &Path) -> String {
    escape(&path.to_string_lossy())
}
