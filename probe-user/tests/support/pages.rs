//! Commands of our pages, run as they stand there.
//!
//! A fenced block that is marked `console` has commands and, where it helps, what they print. A line that begins with `$ ` is a
//! command of anybody, one that begins with `# ` a command of root. `...` alone on a line of output stands for any lines, `…`
//! in a line for any text. Output that is not shown is not compared.
//!
//! The commands of a page run one after the other in one folder, those of a block in one shell.
use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Stands before the status of each command in what the shell prints.
const MARK: &str = "@@status@@ ";

/// Lines of what was printed that a failure shows.
const SHOWN: usize = 40;

/// A command and the output that the page shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// As typed, without the prompt.
    pub command: String,
    /// Lines of output; empty if the page shows none.
    pub shown: Vec<String>,
}

/// A block of commands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Line of the page where it begins, from 1.
    pub line: usize,
    /// One of its commands is root's.
    pub root: bool,
    /// Its commands, in order.
    pub steps: Vec<Step>,
}

/// All blocks of a page that are marked as run.
pub fn blocks(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (number, line) in text.lines().enumerate() {
        match &mut open {
            None if line == "```console" => {
                open = Some(Block { line: number + 1, root: false, steps: Vec::new() });
            }
            None => {}
            Some(_) if line == "```" => blocks.extend(open.take()),
            Some(block) => {
                let command = line.strip_prefix("$ ").or_else(|| line.strip_prefix("# "));
                match (command, block.steps.last_mut()) {
                    (Some(command), _) => {
                        block.root |= line.starts_with('#');
                        block.steps.push(Step { command: command.to_owned(), shown: Vec::new() });
                    }
                    // A command goes on after a backslash.
                    (None, Some(step)) if step.shown.is_empty() && step.command.ends_with('\\') => {
                        step.command.push('\n');
                        step.command.push_str(line);
                    }
                    (None, Some(step)) => step.shown.push(line.to_owned()),
                    (None, None) => panic!("line {}: output before the first command", number + 1),
                }
            }
        }
    }
    assert!(open.is_none(), "the last block does not end");
    blocks
}

/// The root of the repository.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("it has a root").to_owned()
}

/// All pages below the root, with a path from there.
pub fn pages() -> Vec<(String, String)> {
    let mut found = Vec::new();
    let root = repository();
    for folder in ["", ".github", "docs"] {
        walk(&root, &root.join(folder), !folder.is_empty(), &mut found);
    }
    found.sort();
    found
}

fn walk(root: &Path, folder: &Path, deep: bool, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() && deep {
            walk(root, &path, deep, found);
        } else if path.extension().is_some_and(|end| end == "md") {
            let name = path.strip_prefix(root).expect("it is below").display().to_string();
            found.push((name, fs::read_to_string(&path).expect("a page")));
        }
    }
}

/// A folder as the pages assume it: the program on the `PATH`, a recording, a kernel's log, a trace, a load and a test suite.
pub fn furnish(folder: &Path, program: &Path) {
    let data = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (name, from) in [
        ("load.rsv", "assets/demo.rsv"),
        ("full.rsv", "testdata/recordings/failures.rsv"),
        ("lossy.rsv", "testdata/recordings/lossy.rsv"),
        ("old.rsv", "testdata/recordings/functions.rsv"),
        ("dmesg.txt", "testdata/explain/mkdir-6.18.dmesg.txt"),
        ("usage.txt", "testdata/explain/mkdir-6.18.usage.txt"),
        ("trace.txt", "testdata/traces/trace-cmd-6.12.txt"),
    ] {
        fs::copy(data.join(from), folder.join(name)).expect("a copy");
    }
    fs::create_dir(folder.join(".bin")).expect("a folder");
    symlink(program, folder.join(".bin/btrfs-probe")).expect("a link");
    let load = "#!/bin/sh\ndd if=/dev/zero of=/mnt/data bs=64k count=64 conv=fsync 2>/dev/null\n";
    fs::write(folder.join("load.sh"), load).expect("a script");
    fs::set_permissions(folder.join("load.sh"), fs::Permissions::from_mode(0o755)).expect("a script");
}

/// Runs the blocks in `folder`; returns what is not as the page says. `within` is the command that starts each block's shell,
/// and `before` a line that this shell begins with.
pub fn run(page: &str, blocks: &[Block], folder: &Path, within: &[&str], before: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    for block in blocks {
        let mut script = format!("exec 2>&1\n{before}\n");
        for step in &block.steps {
            // The status stays for the next command, which may show it.
            script.push_str(&format!(
                "{}\nstatus=$?; printf '\\n{MARK}%s\\n' $status; (exit $status)\n",
                step.command
            ));
        }
        let path = std::env::var("PATH").unwrap_or_default();
        let output = Command::new("timeout")
            .arg("120")
            .args(within)
            .args(["sh", "-c", &script])
            .current_dir(folder)
            .env("PATH", format!("{}:{path}", folder.join(".bin").display()))
            .envs([("NO_COLOR", "1"), ("COLUMNS", "100"), ("LC_ALL", "C.UTF-8")])
            .stdin(Stdio::null())
            .output()
            .expect("a shell");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut rest = text.as_str();
        for step in &block.steps {
            let at = format!("{page}:{}: `{}`", block.line, step.command);
            let Some((printed, after)) = rest.split_once(&format!("\n{MARK}")) else {
                wrong.push(format!("{at} did not end:\n{rest}"));
                break;
            };
            let (status, after) = after.split_once('\n').unwrap_or((after, ""));
            rest = after;
            // 3 and 4 are verdicts.
            if !["0", "3", "4"].contains(&status) {
                wrong.push(format!("{at} ended with {status}:\n{printed}"));
            }
            let shown: Vec<&str> = step.shown.iter().map(|line| line.trim_end()).collect();
            let printed: Vec<&str> = printed.trim_end().lines().map(str::trim_end).collect();
            if !shown.is_empty() && !lines_match(&shown, &printed) {
                let begin = &printed[..printed.len().min(SHOWN)];
                wrong.push(format!("{at} prints something else:\n{}", begin.join("\n")));
            }
        }
    }
    wrong
}

fn lines_match(shown: &[&str], printed: &[&str]) -> bool {
    match (shown.split_first(), printed.split_first()) {
        (None, None) => true,
        (Some((&"...", rest)), None) => lines_match(rest, printed),
        (Some((&"...", rest)), Some((_, after))) => lines_match(rest, printed) || lines_match(shown, after),
        (Some((line, rest)), Some((other, after))) => line_matches(line, other) && lines_match(rest, after),
        _ => false,
    }
}

fn line_matches(shown: &str, printed: &str) -> bool {
    let mut parts = shown.split('…');
    let Some(mut rest) = printed.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}
