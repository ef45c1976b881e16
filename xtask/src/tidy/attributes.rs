//! A silenced lint has a reason. Clippy checks it where the workspace's lint table applies; the kernel side is outside.

/// The start of an attribute that silences.
const SILENCERS: [&str; 4] = ["#[allow(", "#![allow(", "#[expect(", "#![expect("];

pub fn check(path: &str, text: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut rest = text;
    let mut line = 1;
    while let Some((at, silencer)) = next(rest) {
        line += rest[..at].matches('\n').count();
        let body = &rest[at + silencer.len()..];
        let end = body.find(")]").unwrap_or(body.len());
        if !body[..end].contains("reason =") {
            complaints.push(format!("{path}:{line}: say why the lint is silenced: `reason = \"...\"`"));
        }
        rest = &rest[at + silencer.len()..];
    }
    complaints
}

/// The next attribute that stands at the beginning of a line, and so is no text in a string or comment.
fn next(text: &str) -> Option<(usize, &'static str)> {
    let at_line_start =
        |at: usize| text[..at].rsplit('\n').next().is_some_and(|before| before.trim().is_empty());
    SILENCERS
        .iter()
        .filter_map(|silencer| {
            text.match_indices(silencer)
                .map(|(at, _)| at)
                .find(|at| at_line_start(*at))
                .map(|at| (at, *silencer))
        })
        .min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_may_stand_on_its_own_line() {
        let text = "#![allow(\n    clippy::unwrap_used,\n    reason = \"a test\"\n)]\n    #[expect(dead_code, reason = \"x\")]\n";
        assert_eq!(check("a.rs", text), Vec::<String>::new());
    }

    #[test]
    fn each_silent_one_is_named_with_its_line() {
        let text = "//! Head.\n#[allow(dead_code)]\nfn f() {}\n\n    #[expect(unused)]\nfn g() {}\n";
        let complaints = check("a.rs", text);
        assert_eq!(complaints.len(), 2);
        assert!(complaints[0].starts_with("a.rs:2:"), "{complaints:?}");
        assert!(complaints[1].starts_with("a.rs:5:"), "{complaints:?}");
    }

    #[test]
    fn text_about_an_attribute_is_none() {
        assert_eq!(check("a.rs", "// such as #[allow(dead_code)] here\n"), Vec::<String>::new());
    }
}
