//! `contrib/fstests/check-btrfs-probe`: what it ends with, for each way in which the tool ends. A script stands in for the tool.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Command};

use tempfile::TempDir;

/// Writes the text report that it is asked for, and the command after `--`, then ends as it is told.
const TOOL: &str = r##"#!/bin/sh
[ "$1" = --version ] && exit 0
while [ "$1" != -- ]; do
    case $1 in text=*) printf '#0 leak of x\n' > "${1#text=}" ;; esac
    [ "$1" = --tier ] && echo "tier $2"
    shift
done
shift
echo "runs $*"
exit "$ENDS"
"##;

fn script(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Status, standard output and standard error of the wrapper, if the tool ends so.
fn wrapped(ends: &str, strict: &str) -> (Option<i32>, String, String) {
    let folder = TempDir::new().unwrap();
    script(&folder.path().join("check"), "#!/bin/sh\n");
    script(&folder.path().join("tool"), TOOL);
    let wrapper = Path::new(env!("CARGO_MANIFEST_DIR")).join("../contrib/fstests/check-btrfs-probe");
    let output = Command::new(wrapper)
        .args(["-g", "quick"])
        .current_dir(folder.path())
        .env_remove("RESULT_BASE")
        .env("PROBE", folder.path().join("tool"))
        .env("PROBE_OPTS", "--tier tracepoints")
        .env("PROBE_STRICT", strict)
        .env("ENDS", ends)
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn findings_fail_and_the_status_of_check_stays() {
    let (code, stdout, stderr) = wrapped("3", "");
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("FINDINGS") && stderr.contains("#0 leak of x"), "{stderr}");
    assert_eq!(stdout, "tier tracepoints\nruns ./check -g quick\n");
    assert_eq!(wrapped("0", "").0, Some(0));
    assert_eq!(wrapped("1", "").0, Some(1));
    assert_eq!(wrapped("77", "1").0, Some(77));
}

#[test]
fn what_was_missed_fails_only_if_asked_for() {
    let (code, _, stderr) = wrapped("4", "");
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stderr.contains("inconclusive"), "{stderr}");
    assert_eq!(wrapped("4", "1").0, Some(1));
}
