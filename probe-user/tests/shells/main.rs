//! What zsh and fish themselves offer, with our completions. `cargo xtask test --only shells` runs it, with shells of the machine or of
//! Debian's archive. bash is asked in a test of `cli/completions.rs`.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test may fail by panicking, and says why it did not run"
)]
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

/// A folder in which packages of shells were unpacked.
const UNPACKED: &str = "BTRFS_PROBE_SHELLS";
/// Words, and what a shell offers for the last one, sorted.
const CASES: [(&str, &[&str]); 5] = [
    ("btrfs-probe re", &["record", "report"]),
    ("btrfs-probe report --igno", &["--ignore"]),
    ("btrfs-probe run --tier ", &["auto", "functions", "tracepoints"]),
    ("btrfs-probe schema ", &["bundle", "event", "explain", "import", "merged", "report", "stream"]),
    ("btrfs-probe help re", &["record", "report"]),
];

/// A shell, and where its files are if it was unpacked.
struct Shell {
    program: PathBuf,
    root: Option<PathBuf>,
    /// Home, completions, what was offered.
    scratch: tempfile::TempDir,
}

impl Shell {
    /// None, with a line, where there is none.
    fn find(name: &str) -> Option<Self> {
        let folders = env::split_paths(&env::var_os("PATH")?).collect::<Vec<_>>();
        let of_machine = folders.iter().map(|folder| folder.join(name)).find(|program| program.is_file());
        let root = env::var_os(UNPACKED).map(PathBuf::from);
        let unpacked =
            root.iter().flat_map(|root| [root.join("usr/bin").join(name), root.join("bin").join(name)]);
        let (program, root) = match of_machine {
            Some(program) => (program, None),
            None => match unpacked.into_iter().find(|program| program.is_file()) {
                Some(program) => (program, root.clone()),
                None => {
                    println!("SKIPPED: there is no {name} here");
                    return None;
                }
            },
        };
        let scratch = tempfile::tempdir().unwrap();
        let text =
            Command::new(env!("CARGO_BIN_EXE_btrfs-probe")).args(["completions", name]).output().unwrap();
        assert!(text.status.success());
        fs::write(scratch.path().join("completions"), text.stdout).unwrap();
        Some(Self { program, root, scratch })
    }

    fn file(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.env("HOME", self.scratch.path()).env("XDG_CONFIG_HOME", self.scratch.path());
        if let Some(root) = &self.root {
            command.env("LD_LIBRARY_PATH", root.join("usr/lib/x86_64-linux-gnu"));
        }
        command
    }
}

fn sorted(text: &str) -> Vec<&str> {
    let mut words: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
    words.sort_unstable();
    words.dedup();
    words
}

#[test]
#[ignore = "needs fish: cargo xtask test --only shells"]
fn fish_completes() {
    let Some(shell) = Shell::find("fish") else { return };
    for (words, expected) in CASES {
        let script = format!("source {}; complete -C '{words}'", shell.file("completions").display());
        let out = shell.command().args(["--no-config", "-c", &script]).output().unwrap();
        let out = String::from_utf8(out.stdout).unwrap();
        // `word<tab>what it is`
        let offered: String =
            out.lines().map(|line| line.split('\t').next().unwrap_or_default().to_owned() + "\n").collect();
        assert_eq!(sorted(&offered), expected, "{words}: {out}");
    }
}

#[test]
#[ignore = "needs zsh: cargo xtask test --only shells"]
fn zsh_completes() {
    let Some(shell) = Shell::find("zsh") else { return };
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/shells");
    let of_root = |folder: &str| shell.root.as_ref().map(|root| root.join(folder)).unwrap_or_default();
    let modules = of_root("usr/lib/x86_64-linux-gnu/zsh");
    // Below the folder of its version.
    let modules = fs::read_dir(&modules).into_iter().flatten().flatten().map(|entry| entry.path()).next();
    for (words, expected) in CASES {
        let out = shell.file("offered");
        fs::write(&out, "").unwrap();
        let status = shell
            .command()
            .arg("-f")
            .arg(here.join("ask.zsh"))
            .arg(words)
            .env("SHELL_PROGRAM", &shell.program)
            .env("MODULES", modules.clone().unwrap_or_default())
            .env("FUNCTIONS", of_root("usr/share/zsh/functions"))
            .env("INNER", here.join("inner.zsh"))
            .env("COMPLETIONS", shell.file("completions"))
            .env("OUT", &out)
            .status()
            .unwrap();
        assert!(status.success(), "{words}: {status}");
        let offered = fs::read_to_string(&out).unwrap();
        let offered: Vec<&str> = sorted(&offered).into_iter().filter(|word| !word.starts_with('#')).collect();
        assert_eq!(offered, expected, "{words}");
    }
}
