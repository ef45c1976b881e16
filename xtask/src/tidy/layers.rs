//! Data flows one way, kernel to capture to ledger to report, and the ledger is pure.
//!
//! A live run and its replay agree only because nothing behind `capture/` can tell them apart, and because the
//! same stream always gives the same findings. Both are lost by one `use`, so both are checked here.
use super::{code_of, has_word};

/// A folder of `probe-user/src`, and the modules of the crate that it must not know.
const ONE_WAY: [(&str, &[&str]); 4] = [
    ("capture", &["ledger", "report", "tui", "cli"]),
    ("ledger", &["kernel", "hooks", "symbols", "attribution", "report", "tui", "cli"]),
    ("report", &["hooks", "tui", "cli"]),
    ("tui", &["hooks", "cli"]),
];

/// What would let the world into the ledger, and what to say about it.
const IMPURE: [(&str, &str); 16] = [
    ("unsafe", "no unsafe"),
    ("fs", "no files"),
    ("io", "no IO"),
    ("net", "no IO"),
    ("env", "no environment"),
    ("process", "no processes"),
    ("thread", "no threads"),
    ("Instant", "no clock: time comes with the records"),
    ("SystemTime", "no clock: time comes with the records"),
    ("println", "no output"),
    ("eprintln", "no output"),
    ("log", "no output"),
    ("tokio", "no runtime"),
    ("static", "no state outside the ledger"),
    ("HashMap", "its order differs from run to run: take FxHashMap or BTreeMap"),
    ("HashSet", "its order differs from run to run: take FxHashSet or BTreeSet"),
];
/// Words of [`IMPURE`] that are ordinary names too; as paths of std or of a crate they are what we mean.
const ONLY_AS_PATH: [&str; 7] = ["fs", "io", "net", "env", "process", "thread", "log"];

pub fn check(path: &str, text: &str) -> Vec<String> {
    let Some((folder, _)) = path.strip_prefix("probe-user/src/").and_then(|rest| rest.split_once('/')) else {
        return Vec::new();
    };
    // Tests may read files and make up sources; what they test stays checked.
    if path.ends_with("tests.rs") || path.contains("/tests/") {
        return Vec::new();
    }
    let mut complaints = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let code = code_of(line);
        let mut complain = |what: String| complaints.push(format!("{path}:{}: {what}", number + 1));
        let beyond = ONE_WAY.iter().filter(|(from, _)| *from == folder).flat_map(|(_, beyond)| beyond.iter());
        for module in beyond.filter(|module| code.contains("crate::") && names_module(code, module)) {
            complain(format!("{folder}/ must not know {module}/: data flows one way"));
        }
        if folder == "ledger" {
            for (word, why) in IMPURE.iter().filter(|(word, _)| is_impure(code, word)) {
                complain(format!("`{word}` in the ledger, which is pure: {why}"));
            }
        }
    }
    complaints
}

/// `crate::report`, or `report` in a group after `use crate::{`.
fn names_module(code: &str, module: &str) -> bool {
    has_word(code, &format!("crate::{module}"))
        || code.split_once("crate::{").is_some_and(|(_, group)| {
            group.split(',').any(|part| part.trim_matches([' ', '}', ';']).split("::").next() == Some(module))
        })
}

fn is_impure(code: &str, word: &str) -> bool {
    if ONLY_AS_PATH.contains(&word) {
        return has_word(code, &format!("std::{word}")) || (word == "log" && code.contains("log::"));
    }
    if word == "static" {
        return code.trim_start().trim_start_matches("pub ").starts_with("static ");
    }
    has_word(code, word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints(path: &str, line: &str) -> usize {
        check(path, line).len()
    }

    #[test]
    fn the_ledger_is_kept_pure() {
        let ledger = "probe-user/src/ledger/inode.rs";
        for line in [
            "use std::fs;",
            "use std::time::Instant;",
            "    unsafe { x() }",
            "use std::collections::HashMap;",
            "static COUNT: u64 = 0;",
            "log::warn!(\"x\");",
            "use crate::report::text;",
            "use crate::{kernel::btf, capture::record::Record};",
        ] {
            assert_eq!(complaints(ledger, line), 1, "{line}");
        }
        for line in [
            "use std::collections::BTreeMap;",
            "use rustc_hash::FxHashMap;",
            "let fs = record.fs; // not std::fs, and no unsafe",
            "fn name(&self) -> &'static str {",
            "use crate::capture::record::Record;",
        ] {
            assert_eq!(complaints(ledger, line), 0, "{line}");
        }
    }

    #[test]
    fn data_flows_one_way() {
        assert_eq!(complaints("probe-user/src/capture/ring.rs", "use crate::ledger::Ledger;"), 1);
        assert_eq!(complaints("probe-user/src/report/text.rs", "use crate::ledger::Ledger;"), 0);
        assert_eq!(complaints("probe-user/src/cli/run.rs", "use crate::{hooks::Plan, tui};"), 0);
        assert_eq!(complaints("probe-user/src/tui/mod.rs", "use crate::{ledger::Ledger, hooks::Plan};"), 1);
    }

    #[test]
    fn other_folders_may_do_what_the_ledger_may_not() {
        assert_eq!(complaints("probe-user/src/kernel/sysfs.rs", "use std::fs;"), 0);
        assert_eq!(complaints("xtask/src/ledger/x.rs", "use std::fs;"), 0);
        assert_eq!(complaints("probe-user/src/ledger/tests/pure.rs", "use std::fs;"), 0);
        assert_eq!(complaints("probe-user/src/ledger/contests.rsx", "use std::fs;"), 1);
    }
}
