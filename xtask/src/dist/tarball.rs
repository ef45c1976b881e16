//! The tree as a `.tar.gz` with one folder at its top; `tar --strip-components=1 -C /usr/local` installs it.
use anyhow::Result;

use super::tree::{Entry, packed};

/// The archive. All times are `epoch`, the owner of everything is root.
///
/// # Errors
/// If a name is too long for the format.
pub fn gz(tree: &[Entry], top: &str, epoch: u64) -> Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    for entry in tree {
        let mut header = tar::Header::new_ustar();
        header.set_size(entry.bytes.len() as u64);
        header.set_mode(if entry.program { 0o755 } else { 0o644 });
        header.set_mtime(epoch);
        header.set_uid(0);
        header.set_gid(0);
        archive.append_data(&mut header, format!("{top}/{}", entry.at), entry.bytes.as_slice())?;
    }
    packed(&archive.into_inner()?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::*;

    #[test]
    fn the_same_tree_gives_the_same_bytes() {
        let entry = |at: &str, program| Entry { at: at.to_owned(), bytes: b"x".to_vec(), program };
        let tree = [entry("bin/a", true), entry("share/doc/a/b", false)];
        let bytes = gz(&tree, "top", 5).unwrap();
        assert_eq!(bytes, gz(&tree, "top", 5).unwrap());
        assert_ne!(bytes, gz(&tree, "top", 6).unwrap());
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(bytes.as_slice()));
        let seen: Vec<(String, u32)> = archive
            .entries()
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                (entry.path().unwrap().display().to_string(), entry.header().mode().unwrap())
            })
            .collect();
        assert_eq!(seen, [("top/bin/a".to_owned(), 0o755), ("top/share/doc/a/b".to_owned(), 0o644)]);
    }
}
