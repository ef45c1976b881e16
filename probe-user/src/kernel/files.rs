//! Small files of procfs and sysfs.
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// The files read here are far smaller; a longer one is cut off.
const MAX_BYTES: u64 = 64 << 20;

/// The whole file.
pub(super) fn bytes(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The whole file as text, without white space around it; bytes that are not UTF-8 are replaced.
pub(super) fn text(path: &Path) -> io::Result<String> {
    Ok(String::from_utf8_lossy(&bytes(path)?).trim().to_owned())
}

/// The one decimal number in the file.
pub(super) fn number(path: &Path) -> io::Result<u64> {
    text(path)?.parse().map_err(|error| {
        io::Error::new(io::ErrorKind::InvalidData, format!("{} holds no number: {error}", path.display()))
    })
}

/// Text to display: control characters (terminal escapes among them) are shown, not sent.
pub(super) fn shown(text: &std::ffi::OsStr) -> String {
    let mut out = String::new();
    for letter in text.to_string_lossy().chars() {
        if letter.is_control() {
            out.extend(letter.escape_default());
        } else {
            out.push(letter);
        }
    }
    out
}
