//! All that btrfs publishes in sysfs, as text: features, parameters of the module, and each filesystem's folder.
use std::{
    fs,
    path::{Path, PathBuf},
};

use super::files;

/// Most files: a filesystem has some hundred.
const MOST_FILES: usize = 20_000;
/// Folders below each other: `fs/btrfs/UUID/allocation/data/raid1` has the most.
const DEEPEST: usize = 6;
/// Longest value that is kept, bytes.
const LONGEST: usize = 4096;

/// A file of sysfs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SysfsFile {
    /// Path below `/sys`, the parts of it.
    pub path: Vec<String>,
    /// What it says; why it cannot be read if it cannot. `None`: only its name counts, such as a link to a device.
    pub value: Option<Result<String, String>>,
}

/// Files of `/sys/fs/btrfs` and `/sys/module/btrfs`, in the order of their names. Files that only root can read are among them, with the
/// reason.
#[must_use]
pub fn of_btrfs(root: &Path) -> Vec<SysfsFile> {
    let sys = root.join("sys");
    let mut found = Vec::new();
    // The rest of the module's folder is about its place in memory.
    for file in ["version", "srcversion", "taint", "initstate"] {
        if sys.join("module/btrfs").join(file).exists() {
            found.push(read(&sys, vec!["module".to_owned(), "btrfs".to_owned(), file.to_owned()]));
        }
    }
    for folder in [vec!["module", "btrfs", "parameters"], vec!["fs", "btrfs"]] {
        walk(&sys, &folder.into_iter().map(str::to_owned).collect::<Vec<_>>(), &mut found);
    }
    found
}

fn at(sys: &Path, path: &[String]) -> PathBuf {
    path.iter().fold(sys.to_owned(), |folder, name| folder.join(name))
}

fn walk(sys: &Path, folder: &[String], found: &mut Vec<SysfsFile>) {
    let Ok(entries) = fs::read_dir(at(sys, folder)) else { return };
    let mut names: Vec<String> =
        entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    for name in names {
        if found.len() >= MOST_FILES {
            return;
        }
        let path = [folder, &[name]].concat();
        match fs::symlink_metadata(at(sys, &path)) {
            Ok(meta) if meta.is_dir() && path.len() <= DEEPEST => walk(sys, &path, found),
            Ok(meta) if meta.is_file() => found.push(read(sys, path)),
            // A link leads out of the folder: to a device.
            Ok(meta) if meta.is_symlink() => found.push(SysfsFile { path, value: None }),
            _ => {}
        }
    }
}

fn read(sys: &Path, path: Vec<String>) -> SysfsFile {
    let value = files::text(&at(sys, &path)).map_err(|error| error.to_string()).map(|text| {
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        let mut line = lines.join("; ");
        if line.len() > LONGEST {
            line = line.chars().take(LONGEST / 4).chain("...".chars()).collect();
        }
        line
    });
    SysfsFile { path, value: Some(value) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that fails must fail")]
    use std::os::unix::fs::symlink;

    use tempfile::TempDir;

    use super::*;

    #[test]
    fn files_links_and_what_cannot_be_read() {
        let tree = TempDir::new().unwrap();
        let folder = tree.path().join("sys/fs/btrfs/uuid");
        fs::create_dir_all(folder.join("allocation/data")).unwrap();
        fs::create_dir_all(folder.join("devices")).unwrap();
        fs::write(folder.join("allocation/data/total_bytes"), "8388608\n").unwrap();
        fs::write(folder.join("commit_stats"), "commits 1\nlast_commit_ms 2\n").unwrap();
        symlink("/nowhere", folder.join("devices/sda")).unwrap();
        // A folder in place of a file, as one that refuses to be read.
        fs::create_dir_all(tree.path().join("sys/module/btrfs/version")).unwrap();
        let told: Vec<String> = of_btrfs(tree.path())
            .into_iter()
            .map(|file| {
                let value = match file.value {
                    Some(Ok(value)) => value,
                    Some(Err(_)) => "?".to_owned(),
                    None => String::new(),
                };
                format!("{} {value}", file.path.join("/"))
            })
            .collect();
        let expected = [
            "module/btrfs/version ?",
            "fs/btrfs/uuid/allocation/data/total_bytes 8388608",
            "fs/btrfs/uuid/commit_stats commits 1; last_commit_ms 2",
            "fs/btrfs/uuid/devices/sda ",
        ];
        assert_eq!(told, expected);
        assert_eq!(of_btrfs(Path::new("/nonexistent")), []);
    }
}
