//! Every Rust file begins with its purpose, stays short, and has no open to-do.
use super::has_word;

/// More than this and a file is two concepts.
const LONGEST: usize = 600;
/// Notes to oneself; the work belongs in the change or in the limits that the README states.
const NOTES: [&str; 2] = ["TODO", "FIXME"];

pub fn check(path: &str, text: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    if !opens_with_prose(text) {
        complaints.push(format!("{path}:1: open the file with `//!`: what it is for"));
    }
    let lines = text.lines().count();
    if lines > LONGEST {
        complaints.push(format!("{path}: {lines} lines, more than {LONGEST}: split it by concept"));
    }
    for (number, line) in text.lines().enumerate() {
        let comment = line.find("//").map_or("", |at| &line[at..]);
        if NOTES.iter().any(|note| has_word(comment, note)) {
            complaints.push(format!("{path}:{}: do it, or name it as a limit in the docs", number + 1));
        }
    }
    complaints
}

fn opens_with_prose(text: &str) -> bool {
    text.lines().next().is_some_and(|line| line.starts_with("//! ") && line.len() > "//! ".len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_file_with_a_head_is_fine() {
        assert_eq!(check("a.rs", "//! What it is for.\nfn f() {}\n"), Vec::<String>::new());
    }

    #[test]
    fn a_head_is_wanted_in_the_first_line() {
        assert_eq!(check("a.rs", "fn f() {}\n").len(), 1);
        assert_eq!(check("a.rs", "//!\nfn f() {}\n").len(), 1);
        assert_eq!(check("a.rs", "").len(), 1);
    }

    #[test]
    fn a_long_file_and_a_note_are_named() {
        let long = format!("//! Head.\n{}", "fn f() {}\n".repeat(LONGEST));
        assert!(check("a.rs", &long)[0].contains("601 lines"));
        let note = format!("//! Head.\n// {}: later\nlet methodology = 1;\n", NOTES[0]);
        assert_eq!(check("a.rs", &note), ["a.rs:2: do it, or name it as a limit in the docs"]);
    }
}
