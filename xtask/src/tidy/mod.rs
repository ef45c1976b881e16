//! Rules of this repository that no compiler knows, checked on every file that git knows or would add.
//!
//! A rule is a function from a file's path and text to complaints; this file only finds the files. Rules are
//! few, and each says what to do instead. What clippy can check is not checked here.
mod attributes;
mod findings;
mod ignored;
mod imports;
mod links;
mod rust_files;
mod stray;

use std::{fs, path::Path, process::Command};

use anyhow::{Result, bail};

use crate::{proc, workspace::Workspace};

/// A tracked text file.
struct Source {
    /// Path from the root of the repository.
    path: String,
    text: String,
}

/// Runs every rule.
///
/// # Errors
/// All complaints, one a line.
pub fn run(workspace: &Workspace) -> Result<()> {
    let sources = sources(&workspace.root)?;
    let mut complaints = Vec::new();
    for Source { path, text } in &sources {
        if path.ends_with(".rs") {
            complaints.extend(rust_files::check(path, text));
            complaints.extend(attributes::check(path, text));
            complaints.extend(ignored::check(path, text));
        }
        if path.ends_with(".md") {
            complaints.extend(links::check(&workspace.root, path, text));
        }
    }
    complaints.extend(listing(&workspace.root)?.iter().filter_map(|path| stray::check(path)));
    complaints.extend(findings::check(&workspace.root));
    complaints.extend(imports::check(&sources));
    for complaint in &complaints {
        println!("{complaint}");
    }
    match complaints.len() {
        0 => Ok(()),
        1 => bail!("one rule is broken"),
        count => bail!("{count} rules are broken"),
    }
}

/// Paths that git knows or would add.
fn listing(root: &Path) -> Result<Vec<String>> {
    let mut git = Command::new("git");
    git.current_dir(root).args(["ls-files", "--cached", "--others", "--exclude-standard", "-z"]);
    Ok(proc::stdout_of(&mut git)?.split('\0').map(str::to_owned).collect())
}

fn sources(root: &Path) -> Result<Vec<Source>> {
    let listing = listing(root)?;
    let paths = listing.iter().filter(|path| path.ends_with(".rs") || path.ends_with(".md"));
    // A file that was deleted but is still in the index cannot be read, and needs no check.
    let read =
        |path: &String| Some(Source { path: path.clone(), text: fs::read_to_string(root.join(path)).ok()? });
    Ok(paths.filter_map(read).collect())
}

/// Whether `word` stands in `code` as a whole identifier.
fn has_word(code: &str, word: &str) -> bool {
    let part_of_word = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word).any(|(at, _)| {
        let before = code[..at].chars().next_back().is_some_and(part_of_word);
        let after = code[at + word.len()..].chars().next().is_some_and(part_of_word);
        !before && !after
    })
}
