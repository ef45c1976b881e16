//! Where reports go.
use std::{
    ffi::OsStr,
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink},
    path::Path,
};

use super::data::clean;
use crate::report::output::{Format, Output, Target, TextStyle, parse_format, plan};

fn to(path: &Path) -> Output {
    Output { format: Format::Json, target: Target::File(path.to_owned()) }
}

#[test]
fn a_report_file_is_replaced_as_a_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.json");
    fs::write(&path, "old").unwrap();
    let before = fs::metadata(&path).unwrap().ino();
    to(&path).check().unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"old", "checking changes nothing");
    to(&path).write(&clean(), TextStyle::default()).unwrap();
    let after = fs::metadata(&path).unwrap();
    assert_ne!(after.ino(), before);
    assert!(fs::read_to_string(&path).unwrap().ends_with("}\n"));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left aside");
}

/// The umask of the process that runs the tests is what it is, so a file made without us shows it.
#[test]
fn the_umask_decides_who_reads_a_report_but_in_a_folder_that_is_open_to_all() {
    let folder = tempfile::tempdir().unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
    let (plain, path) = (folder.path().join("plain"), folder.path().join("report.json"));
    fs::write(&plain, "").unwrap();
    to(&path).write(&clean(), TextStyle::default()).unwrap();
    assert_eq!(mode(&path), mode(&plain));
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o1777)).unwrap();
    to(&path).write(&clean(), TextStyle::default()).unwrap();
    assert_eq!(mode(&path), 0o600);
}

#[test]
fn a_link_stays_and_what_is_no_file_is_not_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let (real, link) = (folder.path().join("real"), folder.path().join("link"));
    fs::write(&real, "").unwrap();
    symlink(&real, &link).unwrap();
    to(&link).write(&clean(), TextStyle::default()).unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert!(fs::metadata(&real).unwrap().len() > 0);

    // A pipe of our own instead of /dev/null: a mistake here would cost whoever runs the tests as root theirs.
    let pipe = folder.path().join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    to(&pipe).check().unwrap();
    let reader = std::thread::spawn({
        let pipe = pipe.clone();
        move || fs::read_to_string(pipe).unwrap()
    });
    to(&pipe).write(&clean(), TextStyle::default()).unwrap();
    assert!(reader.join().unwrap().starts_with("{\n  \"schema_version\": 1,"));
    assert!(!fs::metadata(&pipe).unwrap().is_file());
}

#[test]
fn a_full_disk_is_one_sentence() {
    let error = to(Path::new("/dev/full")).write(&clean(), TextStyle::default()).unwrap_err().to_string();
    assert_eq!(
        error,
        "cannot write to /dev/full: the disk is full; free some space, or name a file elsewhere"
    );
}

#[test]
fn a_missing_folder_shows_before_the_session() {
    let error = to(Path::new("/nonexistent/report.json")).check().unwrap_err().to_string();
    assert!(error.starts_with("cannot write to /nonexistent/report.json: "), "{error}");
    assert!(to(Path::new("/")).check().is_err());
}

#[test]
fn formats_are_parsed_with_their_files() {
    let file = |name: &str| Some(Target::File(name.into()));
    assert_eq!(parse_format(OsStr::new("json")), Ok((Format::Json, None)));
    assert_eq!(parse_format(OsStr::new("json=a=b")), Ok((Format::Json, file("a=b"))));
    assert_eq!(parse_format(OsStr::new("text=-")), Ok((Format::Text, Some(Target::Stdout))));
    for wrong in ["pdf", "", "json=", "JSON"] {
        assert!(parse_format(OsStr::new(wrong)).is_err(), "{wrong}");
    }
}

#[test]
fn each_report_has_a_place_of_its_own() {
    let file = |name: &str| Target::File(name.into());
    let out = |format, target| Output { format, target };
    assert_eq!(plan(&[], None).unwrap(), [out(Format::Text, Target::Stdout)]);
    assert_eq!(plan(&[], Some(Path::new("-"))).unwrap(), [out(Format::Text, Target::Stdout)]);
    assert_eq!(plan(&[(Format::Json, None)], Some(Path::new("r"))).unwrap(), [out(Format::Json, file("r"))]);
    assert_eq!(
        plan(&[(Format::Json, Some(file("j")))], Some(Path::new("r"))).unwrap(),
        [out(Format::Json, file("j")), out(Format::Text, file("r"))]
    );
    assert!(plan(&[(Format::Json, None), (Format::Text, None)], None).is_err());
    assert!(plan(&[(Format::Json, Some(file("r"))), (Format::Text, None)], Some(Path::new("r"))).is_err());
}
