//! Writes a bundle: a tar archive packed by gzip, which every bug tracker takes and every machine opens.
use std::{
    fs::File,
    io::{self, Read, Write},
};

use flate2::{Compression, write::GzEncoder};
use tar::{Builder, EntryType, Header};

use super::{
    FOLDER,
    manifest::{Manifest, ManifestFile, SCHEMA_VERSION},
    name,
};

/// What a file of a bundle holds.
#[derive(Debug)]
pub enum Content {
    /// Text or JSON.
    Bytes(Vec<u8>),
    /// A recording of this many bytes; if it grows meanwhile, the rest of it is left out.
    File(File, u64),
    /// Nothing: it is not there.
    Missing,
}

/// A file of a bundle, or one that is missing.
#[derive(Debug)]
pub struct Entry {
    /// Its name below the folder.
    pub name: String,
    /// What it is.
    pub what: &'static str,
    /// What it holds.
    pub content: Content,
    /// Why it is missing, or what of it is.
    pub why: Option<String>,
}

impl Entry {
    /// A file that is there.
    pub fn new(name: impl Into<String>, what: &'static str, content: impl Into<Vec<u8>>) -> Self {
        Self { name: name.into(), what, content: Content::Bytes(content.into()), why: None }
    }

    /// A file that is missing.
    pub fn missing(name: impl Into<String>, what: &'static str, why: impl Into<String>) -> Self {
        Self { name: name.into(), what, content: Content::Missing, why: Some(why.into()) }
    }

    /// A file, or why it is missing.
    pub fn of<T: Into<Vec<u8>>>(
        name: impl Into<String>,
        what: &'static str,
        content: Result<T, impl std::fmt::Display>,
    ) -> Self {
        match content {
            Ok(content) => Self::new(name, what, content),
            Err(why) => Self::missing(name, what, why.to_string()),
        }
    }

    /// Says what of the file is missing.
    #[must_use]
    pub fn but(mut self, why: Option<String>) -> Self {
        self.why = why.or(self.why);
        self
    }

    const fn bytes(&self) -> u64 {
        match &self.content {
            Content::Bytes(bytes) => bytes.len() as u64,
            Content::File(_, length) => *length,
            Content::Missing => 0,
        }
    }
}

/// What is in a bundle of these files.
#[must_use]
pub fn manifest(entries: &[Entry], made_at: String, redacted: bool) -> Manifest {
    let file = |entry: &Entry| ManifestFile {
        name: entry.name.clone(),
        included: !matches!(entry.content, Content::Missing),
        bytes: entry.bytes(),
        what: entry.what.to_owned(),
        why: entry.why.clone(),
    };
    Manifest {
        schema_version: SCHEMA_VERSION,
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        made_at,
        redacted,
        files: entries.iter().map(file).collect(),
    }
}

/// Writes the archive: the manifest, then the files in their order. `seconds`: time of its files, since 1970.
///
/// # Errors
/// A recording cannot be read, or the target not be written.
pub fn write(to: &mut dyn Write, manifest: &Manifest, entries: Vec<Entry>, seconds: u64) -> io::Result<()> {
    let mut archive = Builder::new(GzEncoder::new(to, Compression::default()));
    let mut json = serde_json::to_vec_pretty(manifest)?;
    json.push(b'\n');
    append(&mut archive, name::MANIFEST, json.len() as u64, json.as_slice(), seconds)?;
    for entry in entries {
        match entry.content {
            Content::Bytes(bytes) => {
                append(&mut archive, &entry.name, bytes.len() as u64, bytes.as_slice(), seconds)?;
            }
            // A file that has become shorter is filled up, so that what follows can be read.
            Content::File(file, length) => {
                append(&mut archive, &entry.name, length, file.chain(io::repeat(0)).take(length), seconds)?;
            }
            Content::Missing => {}
        }
    }
    archive.into_inner()?.finish()?.flush()
}

fn append<W: Write>(
    archive: &mut Builder<W>,
    name: &str,
    length: u64,
    content: impl Read,
    seconds: u64,
) -> io::Result<()> {
    let mut header = Header::new_ustar();
    header.set_entry_type(EntryType::Regular);
    header.set_size(length);
    header.set_mode(0o600);
    header.set_mtime(seconds);
    archive.append_data(&mut header, format!("{FOLDER}/{name}"), content)
}
