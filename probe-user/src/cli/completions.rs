//! `btrfs-probe completions`
use clap::{Command, CommandFactory as _};
use clap_complete::Shell;

use crate::{report::output, session::exit::ExitStatus};

const NAME: &str = "btrfs-probe";
/// Fish: behind `help`, as long as no other word is there.
const HELPED: &str =
    "_using_subcommand help; and test (count (commandline -opc)) -lt 3; and not contains -- nothing ";

/// Print completions for a shell
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Which shell
    #[arg(value_enum)]
    shell: Shell,
}

impl Args {
    pub(super) fn print(&self) -> anyhow::Result<ExitStatus> {
        output::print(text(self.shell).as_bytes())?;
        Ok(ExitStatus::Clean)
    }
}

fn text(shell: Shell) -> String {
    let mut command = shown();
    // Into memory first: the generator panics when its writer fails.
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut command, NAME, &mut text);
    let text = String::from_utf8_lossy(&text).into_owned();
    match shell {
        // The generator takes the dash of the name for a subcommand in one half of its script, and not in the other, so that no
        // subcommand was completed.
        Shell::Bash => text.replace("btrfs__subcmd__probe", "btrfs__probe"),
        // The generator leaves out what an argument without an option can be.
        // And behind `help` it asks whether a subcommand was seen, counting `help` itself, so that it offered files.
        Shell::Fish => {
            text.replace("_using_subcommand help; and not __fish_seen_subcommand_from ", HELPED)
                + &arguments(&command)
        }
        _ => text,
    }
}

/// The commands without the hidden ones, which the generators do not leave out.
fn shown() -> Command {
    let all = super::Cli::command();
    let commands = all.get_subcommands().filter(|command| !command.is_hide_set()).cloned();
    let mut shown = Command::new(NAME).args(all.get_arguments().cloned()).subcommands(commands);
    if let Some(about) = all.get_about() {
        shown = shown.about(about.clone());
    }
    shown
}

/// Lines for fish: the values of arguments without an option.
fn arguments(command: &Command) -> String {
    let mut lines = String::new();
    for command in command.get_subcommands() {
        for argument in command.get_positionals() {
            let values = argument.get_possible_values();
            let names: Vec<&str> = values.iter().map(clap::builder::PossibleValue::get_name).collect();
            if !names.is_empty() {
                lines += &format!(
                    "complete -c {NAME} -n \"__fish_btrfs_probe_using_subcommand {}\" -f -a \"{}\"\n",
                    command.get_name(),
                    names.join(" ")
                );
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that fails must fail")]
    use std::process::Command;

    use super::*;

    /// What bash itself would offer for the last of these words.
    fn bash(words: &[&str]) -> String {
        let script = format!(
            "{}\n\
             COMP_WORDS=(btrfs-probe \"$@\"); COMP_CWORD=$#\n\
             _btrfs__probe btrfs-probe \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD-1]}}\"\n\
             echo \"${{COMPREPLY[*]}}\"",
            text(Shell::Bash)
        );
        let out = Command::new("bash").args(["-c", &script, "bash"]).args(words).output().unwrap();
        String::from_utf8(out.stdout).unwrap().trim().to_owned()
    }

    #[test]
    fn bash_completes_behind_a_subcommand() {
        assert_eq!(bash(&["re"]), "record report");
        assert_eq!(bash(&["report", "--igno"]), "--ignore");
        assert_eq!(bash(&["run", "--tier", ""]), "auto tracepoints functions");
        assert!(bash(&["report", "--format", ""]).starts_with("text json ndjson junit folded"));
        assert!(bash(&["schema", ""]).contains("report stream explain"));
        assert_eq!(bash(&["help", "re"]), "record report");
    }

    #[test]
    fn hidden_commands_are_not_offered() {
        for shell in [Shell::Bash, Shell::Fish, Shell::Zsh, Shell::Elvish, Shell::PowerShell] {
            assert!(!text(shell).contains("bench-floor"), "{shell}");
        }
    }

    #[test]
    fn fish_offers_values_and_no_files() {
        let text = text(Shell::Fish);
        let line =
            |words: &str| text.lines().find(|line| line.contains(words)).unwrap_or_default().to_owned();
        assert!(line("using_subcommand schema\" -f -a").contains("report stream explain"));
        assert!(!text.contains("help; and not __fish_seen_subcommand_from"));
        assert!(line("using_subcommand report\" -l format").contains("-r -f -a"), "{}", line("-l format"));
    }
}
