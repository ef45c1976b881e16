//! A small test suite of our own that shows itself as `check` of xfstests does, and nothing else of it.
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use probe_workload::loopfs::LoopFs;
use tempfile::TempDir;

/// A suite in a folder of its own.
#[derive(Debug)]
pub struct Suite {
    folder: TempDir,
    tests: Vec<String>,
}

/// What `check` does around a test, as far as somebody beside it can see it. Arguments: names of tests. `SECTIONS`: those of
/// its configuration. `SCOPES`: a mount of cgroup2, below which each test gets a scope as systemd makes it. `BETWEEN`: a process
/// stands between it and each script.
const CHECK: &str = r#"#!/bin/sh
cd "$(dirname "$0")"
status=0
between() {
    if [ -n "$BETWEEN" ]; then sh -c '"$@"; exit $?' between "$@"; else "$@"; fi
}
for section in ${SECTIONS:-.}; do
for name in "$@"; do
    export seqnum=$name RESULT_BASE=$PWD/results
    export RESULT_DIR=$RESULT_BASE/${name%/*}
    [ "$section" = . ] || RESULT_DIR=$RESULT_BASE/$section/${name%/*}
    number=${name#*/}
    mkdir -p "$RESULT_DIR"
    rm -f "$RESULT_DIR/$number.notrun" "$RESULT_DIR/$number.out.bad"
    [ -w /dev/kmsg ] && echo "run fstests $name at $(date '+%F %T')" > /dev/kmsg
    scope=
    if [ -n "$SCOPES" ]; then
        scope=$SCOPES/fs$(echo "$name" | tr / -).scope
        mkdir "$scope"
    fi
    between sh -c '[ -z "$0" ] || echo $$ > "$0/cgroup.procs"; exec "$1"' "$scope" "./tests/$name" > "$RESULT_DIR/$number.full" 2>&1
    code=$?
    [ -z "$scope" ] || rmdir "$scope"
    if [ $code != 0 ]; then
        status=1
    elif [ -e "$RESULT_DIR/$number.expect" ]; then
        touch "$RESULT_DIR/$number.out.bad"
        status=1
    fi
    # The suite looks at its filesystems after the test.
    sleep 0.3
done
done
exit $status
"#;

impl Suite {
    /// A suite without tests, whose tests work on `fs`.
    pub fn new() -> Self {
        let suite = Self { folder: tempfile::tempdir().expect("a folder"), tests: Vec::new() };
        suite.script("check", CHECK);
        suite
    }

    /// A test whose script is `body`.
    pub fn test(&mut self, name: &str, body: &str) -> &mut Self {
        self.script(&format!("tests/{name}"), &format!("#!/bin/sh\n{body}\n"));
        self.tests.push(name.to_owned());
        self
    }

    fn script(&self, name: &str, text: &str) {
        let path = self.folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(&path, text).expect("a script");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a script");
    }

    /// A file among the results.
    pub fn results(&self, name: &str) -> PathBuf {
        let path = self.folder.path().join("results").join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        path
    }

    /// The command that runs all tests on `fs`.
    pub fn command(&self, fs: &LoopFs, environment: &[(&str, &str)]) -> Vec<String> {
        let mut command = vec![
            "env".to_owned(),
            format!("TEST_DEV={}", fs.device().display()),
            format!("TEST_DIR={}", fs.path().display()),
        ];
        command.extend(environment.iter().map(|(name, value)| format!("{name}={value}")));
        command.push(self.check().display().to_string());
        command.extend(self.tests.iter().cloned());
        command
    }

    fn check(&self) -> PathBuf {
        Path::new(self.folder.path()).join("check")
    }
}
