//! What a command of the tool wrote is not committed where it was run: recordings live in two folders.

/// Where a recording may be.
const FOLDERS: [&str; 2] = ["probe-user/testdata/recordings/", "probe-user/assets/"];

pub fn check(path: &str) -> Option<String> {
    let stray = path.ends_with(".rsv") && !FOLDERS.iter().any(|folder| path.starts_with(folder));
    stray.then(|| format!("{path}: a recording is kept in {}: delete it or move it", FOLDERS.join(" or ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_outside_its_folders_is_told() {
        assert!(check("functions.rsv").is_some());
        assert!(check("out/functions.rsv").is_some());
        assert_eq!(check("probe-user/testdata/recordings/functions.rsv"), None);
        assert_eq!(check("probe-user/src/record/mod.rs"), None);
    }
}
