//! Two names of one file: an output must not replace an input or another output.
//!
//! Checked when the plan is made, before anything is read, captured or written.
use std::{
    ffi::OsString,
    fs::{self, Metadata},
    io,
    os::{fd::AsFd as _, unix::fs::MetadataExt as _},
    path::Path,
};

use probe_record::why;

use super::parse::ONCE;
use crate::{
    report::output::{Format, Output, Target},
    session::exit::UsageError,
};

/// A file that the session reads.
#[derive(Clone, Copy, Debug)]
pub(super) struct Input<'a> {
    /// What the user calls it.
    pub(super) what: &'static str,
    /// Its name as typed.
    pub(super) path: &'a Path,
}

/// Identity of a regular file, links followed. Pipes and devices have none: a report replaces nothing in them.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Identity {
    /// A file that exists.
    There { device: u64, inode: u64 },
    /// A file that does not exist yet: a name in a folder.
    ToCome { device: u64, folder: u64, name: OsString },
}

impl Identity {
    fn of(path: &Path) -> Option<Self> {
        match fs::metadata(path) {
            Ok(meta) => Self::there(&meta),
            // Outputs are created this way: a dangling link is replaced, not followed.
            Err(_) => {
                let name = path.file_name()?.to_owned();
                let folder = path.parent().filter(|folder| *folder != Path::new(""));
                let folder = fs::metadata(folder.unwrap_or(Path::new("."))).ok()?;
                Some(Self::ToCome { device: folder.dev(), folder: folder.ino(), name })
            }
        }
    }

    fn there(meta: &Metadata) -> Option<Self> {
        meta.is_file().then(|| Self::There { device: meta.dev(), inode: meta.ino() })
    }

    fn of_target(target: &Target) -> Option<Self> {
        match target {
            Target::File(path) => Self::of(path),
            Target::Stdout => {
                let copy = io::stdout().as_fd().try_clone_to_owned().ok()?;
                Self::there(&fs::File::from(copy).metadata().ok()?)
            }
        }
    }
}

/// Refuses reports that would replace a file that is read, or one another.
///
/// # Errors
/// One sentence that names both.
pub(super) fn check(outputs: &[Output], inputs: &[Input<'_>]) -> Result<(), UsageError> {
    check_all("report", outputs, inputs)
}

/// Likewise for the bundle.
///
/// # Errors
/// One sentence that names both.
pub(super) fn check_bundle(target: &Target, inputs: &[Input<'_>]) -> Result<(), UsageError> {
    check_all("bundle", &[Output { format: Format::Text, target: target.clone() }], inputs)
}

/// Likewise for the file of metrics, which no report may be either.
///
/// # Errors
/// One sentence that names both.
pub(super) fn check_metrics(path: &Path, reports: &[Output], inputs: &[Input<'_>]) -> Result<(), UsageError> {
    let target = Target::File(path.to_owned());
    let metrics = Output { format: Format::Text, target };
    check_all("file of metrics", std::slice::from_ref(&metrics), inputs)?;
    check_all("report", &[reports, &[metrics]].concat(), inputs)
}

fn check_all(made: &str, outputs: &[Output], inputs: &[Input<'_>]) -> Result<(), UsageError> {
    if inputs.iter().filter(|input| input.path == Path::new(why::STDIN)).count() > 1 {
        return Err(UsageError(ONCE.to_owned()));
    }
    let read: Vec<_> = inputs.iter().filter_map(|input| Some((input, Identity::of(input.path)?))).collect();
    let mut written: Vec<(&Target, Identity)> = Vec::new();
    for Output { target, .. } in outputs {
        let Some(identity) = Identity::of_target(target) else { continue };
        if let Some((Input { what, path }, _)) = read.iter().find(|(_, read)| *read == identity) {
            return Err(UsageError(format!(
                "a {made} would go to {}, which is the {what} {}; give the {made} a file of its own",
                shown(target),
                why::shown(path)
            )));
        }
        if let Some((other, _)) = written.iter().find(|(_, written)| *written == identity) {
            return Err(UsageError(format!(
                "two reports would go to one file, by the names {} and {}; give each a file of its own with --format \
                 FORMAT=FILE",
                shown(other),
                shown(target)
            )));
        }
        written.push((target, identity));
    }
    Ok(())
}

fn shown(target: &Target) -> String {
    match target {
        Target::Stdout => "standard output".to_owned(),
        Target::File(path) => why::shown(path),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use std::{os::unix::fs::symlink, path::PathBuf};

    use tempfile::TempDir;

    use super::*;

    /// A folder with `recording`, all kinds of links to it, and `other`.
    fn folder() -> TempDir {
        let folder = TempDir::new().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("recording"), "x").unwrap();
        fs::write(at("other"), "x").unwrap();
        fs::hard_link(at("recording"), at("hard")).unwrap();
        symlink("recording", at("soft")).unwrap();
        symlink("soft", at("softer")).unwrap();
        symlink("nothing", at("nowhere")).unwrap();
        fs::create_dir(at("sub")).unwrap();
        symlink("..", at("sub/up")).unwrap();
        folder
    }

    fn refusal(folder: &TempDir, outputs: &[&str], inputs: &[&str]) -> Option<String> {
        let path = |name: &&str| -> PathBuf { folder.path().join(name) };
        let outputs: Vec<Output> = outputs
            .iter()
            .map(|name| Output { format: Format::Text, target: Target::File(path(name)) })
            .collect();
        let inputs: Vec<PathBuf> = inputs.iter().map(path).collect();
        let inputs: Vec<Input<'_>> = inputs.iter().map(|path| Input { what: "recording", path }).collect();
        let refused = check(&outputs, &inputs).err()?.0;
        Some(refused.replace(&format!("{}/", folder.path().display()), ""))
    }

    #[test]
    fn a_report_does_not_replace_what_is_read_by_whatever_name() {
        let folder = folder();
        for name in ["recording", "hard", "soft", "softer", "./recording", "sub/../recording", "sub/up/soft"]
        {
            for (output, input) in [(name, "recording"), ("recording", name)] {
                let refused = refusal(&folder, &["sub/fine", output], &["other", input]).unwrap();
                let expected = format!(
                    "a report would go to {output}, which is the recording {input}; give the report a file of its own"
                );
                assert_eq!(refused, expected);
            }
        }
        for name in ["other", "new", "sub/recording", "nowhere", "no/such/folder"] {
            assert_eq!(refusal(&folder, &[name], &["recording"]), None, "{name}");
        }
    }

    #[test]
    fn two_reports_do_not_replace_each_other_by_whatever_names() {
        let folder = folder();
        for (one, two) in
            [("recording", "hard"), ("soft", "recording"), ("new", "sub/../new"), ("new", "sub/up/new")]
        {
            let refused = refusal(&folder, &[one, "sub/fine", two], &[]).unwrap();
            let expected = format!("two reports would go to one file, by the names {one} and {two}; ");
            assert!(refused.starts_with(&expected), "{refused}");
        }
        // The link goes, and what it names comes beside it.
        assert_eq!(refusal(&folder, &["new", "sub/new", "nowhere", "nothing"], &[]), None);
    }

    #[test]
    fn devices_take_any_number_of_reports() {
        let null = || Output { format: Format::Text, target: Target::File("/dev/null".into()) };
        let input = Input { what: "recording", path: Path::new("/dev/null") };
        assert_eq!(check(&[null(), null()], &[input]), Ok(()));
    }
}
