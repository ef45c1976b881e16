//! Paths of this machine, and what stands for them in what is built.
use std::{env, path::PathBuf};

use crate::workspace::Workspace;

/// Flags of the compiler. `sysroot` is that of a compiler whose `core` is built too.
pub fn flags(workspace: &Workspace, sysroot: Option<PathBuf>) -> Vec<String> {
    let cargo_home = env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| env::var_os("HOME").map(|home| PathBuf::from(home).join(".cargo")));
    // Of two that match, the compiler takes the last: the target folder is mostly below the root.
    [
        sysroot.map(|path| (path, "/rust")),
        cargo_home.map(|path| (path, "/cargo")),
        Some((workspace.root.clone(), "/btrfs-probe")),
        Some((workspace.target.clone(), "/target")),
    ]
    .into_iter()
    .flatten()
    .map(|(path, name)| format!("--remap-path-prefix={}={name}", path.display()))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_target_folder_wins_over_the_root_that_it_is_in() {
        let flags = flags(&Workspace::for_test("/a/b".as_ref()), Some("/sys".into()));
        let last: Vec<&str> = flags.iter().rev().take(2).map(String::as_str).collect();
        assert_eq!(
            last,
            ["--remap-path-prefix=/a/b/target=/target", "--remap-path-prefix=/a/b=/btrfs-probe"]
        );
        assert!(flags.iter().any(|flag| flag == "--remap-path-prefix=/sys=/rust"));
    }
}
