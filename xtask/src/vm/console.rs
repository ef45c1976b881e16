//! How a guest ended, from its console output.

/// Lines of the console that are shown with an error.
const TAIL: usize = 25;

/// Why a guest that gave no exit status ended, in one sentence, with the last lines of its console.
pub fn verdict(console: &str, given_up: Option<&str>) -> String {
    let panic = console.lines().find(|line| line.contains("Kernel panic"));
    let what = match (panic, given_up) {
        (Some(line), _) => format!("the guest's kernel panicked ({})", stripped(line)),
        (None, Some(how)) => format!("the guest {how}: it hung, or needs longer"),
        (None, None) if console.trim().is_empty() => "the guest's kernel never said a word".to_owned(),
        (None, None) => "the guest ended without the command's exit status".to_owned(),
    };
    format!("{what}; its console ends so:\n{}", tail(console))
}

/// The last lines; of a kernel that died, those from the first word of its death on.
fn tail(console: &str) -> String {
    let lines: Vec<&str> = console.lines().filter(|line| !line.trim().is_empty()).collect();
    let death = lines.iter().position(|line| DEATHS.iter().any(|word| line.contains(word)));
    let from = death.unwrap_or(lines.len().saturating_sub(TAIL));
    let to = lines.len().min(from + TAIL);
    let mut shown = lines[from..to].to_vec();
    shown.extend(lines[to..].iter().find(|line| line.contains("Kernel panic")));
    shown.join("\n")
}

/// How a kernel's report of its death begins.
const DEATHS: &[&str] = &["BUG: ", "kernel BUG at", "Oops: ", "general protection fault", "Kernel panic"];

/// Without the time stamp.
fn stripped(line: &str) -> &str {
    line.split_once("] ").map_or(line, |(_, rest)| rest).trim()
}

#[cfg(test)]
mod tests {
    use super::verdict;

    #[test]
    fn a_panic_a_hang_and_silence_are_told_apart() {
        let panic = "[    1.0] a\n[   22.1] Kernel panic - not syncing: Fatal exception\n[   22.2] end\n";
        assert!(verdict(panic, Some("was given up after 9 s")).starts_with(
            "the guest's kernel panicked (Kernel panic - not syncing: Fatal exception); its console ends so:\n"
        ));
        assert!(
            verdict("[ 1.0] x\n", Some("was given up after 9 s"))
                .starts_with("the guest was given up after 9 s")
        );
        assert!(verdict("", None).starts_with("the guest's kernel never said a word"));
        assert!(verdict("[ 1.0] x\n", None).starts_with("the guest ended without"));
    }
}
