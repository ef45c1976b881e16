//! Reads files of a bundle that somebody sent.
//!
//! Nothing in the archive is believed: a file counts if it is a regular one with a name that a bundle has, and up to a bound of bytes.
//! Long names, links, devices and all else are passed over unread. All that is unpacked has a bound too, so that some KB that unpack
//! to TB come to an end.
use std::{
    fs::File,
    io::{self, Read, Write},
    path::Path,
};

use flate2::read::GzDecoder;
use tar::{Archive, EntryType};

use super::{FOLDER, MAGIC};

/// Most bytes that are unpacked.
const MOST_UNPACKED: u64 = 8 << 30;
/// Most bytes of a recording.
pub const MOST_RECORDING: u64 = 4 << 30;
/// Most bytes of any other file.
pub const MOST_TEXT: u64 = 256 << 20;

/// A bundle cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The system says why.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It is damaged, or something else that gzip packed.
    #[error("it is no bundle, or a damaged one ({0}): get it again from where it was made")]
    Damaged(io::Error),
    /// The bounds.
    #[error("{0} in it is larger than this btrfs-probe reads: unpack it with tar, and name that file")]
    Large(String),
}

/// Whether a file begins as a bundle does. Only a regular file is looked at.
#[must_use]
pub fn is_bundle(path: &Path) -> bool {
    let Ok(mut file) = File::open(path) else { return false };
    let mut magic = [0; MAGIC.len()];
    file.metadata().is_ok_and(|meta| meta.is_file()) && file.read_exact(&mut magic).is_ok() && magic == MAGIC
}

/// Writes the first file to `to` that has one of these names, and returns the name; of several that are there, the first in the
/// archive. A file may have up to `most` bytes.
///
/// # Errors
/// The archive cannot be read up to the end of that file, or the file is larger.
pub fn copy<'a>(
    packed: impl Read,
    names: &[&'a str],
    most: u64,
    to: &mut dyn Write,
) -> Result<Option<&'a str>, BundleError> {
    let mut archive = Archive::new(GzDecoder::new(packed).take(MOST_UNPACKED));
    // Raw: headers that change names and sizes of what follows are entries like others, and passed over.
    for entry in archive.entries().map_err(BundleError::Damaged)?.raw(true) {
        let mut entry = entry.map_err(BundleError::Damaged)?;
        if !matches!(entry.header().entry_type(), EntryType::Regular) {
            continue;
        }
        let path = entry.path_bytes();
        let found = path
            .strip_prefix(FOLDER.as_bytes())
            .and_then(|rest| rest.strip_prefix(b"/"))
            .and_then(|path| names.iter().copied().find(|name| name.as_bytes() == path));
        let Some(name) = found else { continue };
        drop(path);
        let length = entry.header().entry_size().map_err(BundleError::Damaged)?;
        if length > most {
            return Err(BundleError::Large(name.to_owned()));
        }
        let copied = copy_all(&mut entry, to)?;
        if copied < length {
            return Err(BundleError::Damaged(io::ErrorKind::UnexpectedEof.into()));
        }
        return Ok(Some(name));
    }
    Ok(None)
}

/// Tells an error of the archive from one of the target.
fn copy_all(from: &mut impl Read, to: &mut dyn Write) -> Result<u64, BundleError> {
    let mut buffer = vec![0; 64 << 10];
    let mut copied = 0;
    loop {
        let length = match from.read(&mut buffer) {
            Ok(0) => return Ok(copied),
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(BundleError::Damaged(error)),
        };
        to.write_all(buffer.get(..length).unwrap_or_default())?;
        copied += length as u64;
    }
}

#[cfg(test)]
mod tests;
