//! Data flows one way, from the kernel to the report and the screen.
use super::{code_of, has_word};

/// A folder of `probe-user/src`, and the modules of the crate that it must not know.
const ONE_WAY: [(&str, &[&str]); 3] = [
    ("capture", &["report", "tui", "cli"]),
    ("report", &["hooks", "tui", "cli"]),
    ("tui", &["hooks", "cli"]),
];

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

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints(path: &str, line: &str) -> usize {
        check(path, line).len()
    }

    #[test]
    fn data_flows_one_way() {
        assert_eq!(complaints("probe-user/src/capture/ring.rs", "use crate::report::text;"), 1);
        assert_eq!(complaints("probe-user/src/report/text.rs", "use crate::symbols::Namer;"), 0);
        assert_eq!(complaints("probe-user/src/cli/run.rs", "use crate::{hooks::Plan, tui};"), 0);
        assert_eq!(complaints("probe-user/src/tui/mod.rs", "use crate::{symbols::Namer, hooks::Plan};"), 1);
    }
}
