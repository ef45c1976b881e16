//! Runs commands, and counts their tests while they print.
use std::{
    io::{self, BufRead as _, BufReader},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};

use super::tally::Tally;

/// Runs a command, shows its output as it comes, and counts the tests in it.
///
/// # Errors
/// If it cannot be run or fails.
pub fn read(command: &mut Command, tally: &mut Tally) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let (output, input) = io::pipe().context("cannot make a pipe")?;
    command.stdin(Stdio::null()).stdout(input.try_clone()?).stderr(input);
    let mut child = command.spawn().with_context(|| format!("cannot run `{program}`"))?;
    // Our ends of the pipe live in the command; they have to go, or the pipe never ends.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut found = Tally::default();
    let mut reader = BufReader::new(output);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line).context("cannot read what the tests print")? > 0 {
        let text = String::from_utf8_lossy(&line);
        print!("{text}");
        found.line(text.trim_end_matches('\n'));
        line.clear();
    }
    let status = child.wait().context("cannot wait for the tests")?;
    if !status.success() && found.failed == 0 {
        // A binary that died or did not build printed no result.
        found.failed = 1;
    }
    tally.add(&found);
    if !status.success() {
        bail!("tests failed ({status})");
    }
    Ok(())
}
