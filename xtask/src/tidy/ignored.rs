//! A test that needs root, a guest or a terminal is `#[ignore]`d, and is in a binary for such tests. Otherwise `cargo test`
//! would report it as passed where it did not run.

/// What such a test calls to ask for what it needs.
const ASKS: [&str; 3] = ["support::live()", "fault::guest()", "Tmux::start("];
/// How the binaries of such tests are named: `cargo xtask test` finds them by it.
const NAMES: [&str; 2] = ["live_", "vm_"];
const TEST: &str = "#[test]\n";

pub fn check(path: &str, text: &str) -> Vec<String> {
    let Some(file) = path.strip_prefix("probe-user/tests/").filter(|file| !file.contains('/')) else {
        return Vec::new();
    };
    let mut complaints = Vec::new();
    let mut parts = text.split(TEST);
    let mut line = parts.next().map_or(0, |head| head.matches('\n').count());
    for part in parts {
        line += 1;
        if ASKS.iter().any(|ask| part.contains(ask)) {
            let mut complain = |what: &str| complaints.push(format!("{path}:{line}: {what}"));
            if !part.trim_start().starts_with("#[ignore = ") {
                complain(
                    "this test does not run everywhere: `#[ignore = \"needs root: run by cargo xtask test\"]`",
                );
            }
            if !NAMES.iter().any(|name| file.starts_with(name)) {
                complain("this test does not run everywhere: put it into a file live_*.rs");
            }
        }
        line += part.matches('\n').count();
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;

    const IGNORED: &str =
        "//! Head.\n#[test]\n#[ignore = \"needs root\"]\nfn f() {\n    support::live();\n}\n";

    #[test]
    fn a_live_test_is_ignored() {
        assert_eq!(check("probe-user/tests/live_a.rs", IGNORED), Vec::<String>::new());
        let bare = IGNORED.replace("#[ignore = \"needs root\"]\n", "");
        let complaints = check("probe-user/tests/live_a.rs", &format!("{IGNORED}\n{bare}"));
        assert_eq!(complaints.len(), 1);
        assert!(complaints[0].starts_with("probe-user/tests/live_a.rs:9:"), "{complaints:?}");
    }

    #[test]
    fn a_live_test_is_in_a_file_of_its_kind() {
        assert_eq!(check("probe-user/tests/workload.rs", IGNORED).len(), 1);
    }

    #[test]
    fn a_test_that_runs_everywhere_is_not() {
        assert_eq!(check("probe-user/tests/cmd.rs", "//! Head.\n#[test]\nfn f() {}\n"), Vec::<String>::new());
    }
}
