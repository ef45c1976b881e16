//! Which programs a `cargo build` made, from cargo's own messages.
use std::{
    io::{BufRead as _, BufReader},
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

/// A program that cargo built, or found up to date.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Name of the target.
    pub name: String,
    /// `bin`, `example` or `test`.
    pub kind: String,
    /// Where it lies.
    pub path: PathBuf,
}

/// Runs a `cargo build` whose diagnostics go to the terminal, and returns the programs it made.
///
/// # Errors
/// If the build fails; the compiler has said why by then.
pub fn build(command: &mut Command, what: &str) -> Result<Vec<Program>> {
    let mut child = command
        .arg("--message-format=json-render-diagnostics")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run `{}`", command.get_program().to_string_lossy()))?;
    let messages = child.stdout.take().context("cargo has no output")?;
    let mut programs = Vec::new();
    for line in BufReader::new(messages).lines() {
        programs.extend(program_in(&line.context("cannot read cargo's messages")?));
    }
    let status = child.wait().context("cannot wait for cargo")?;
    if !status.success() {
        bail!("{what} does not build ({status}): see the compiler's messages above");
    }
    Ok(programs)
}

fn program_in(line: &str) -> Option<Program> {
    let message: Value = serde_json::from_str(line).ok()?;
    if message["reason"] != "compiler-artifact" {
        return None;
    }
    Some(Program {
        name: message["target"]["name"].as_str()?.to_owned(),
        kind: message["target"]["kind"][0].as_str()?.to_owned(),
        path: message["executable"].as_str()?.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_programs_are_taken_from_the_messages() {
        let program =
            r#"{"reason":"compiler-artifact","target":{"name":"a","kind":["bin"]},"executable":"/t/a"}"#;
        let expected = Program { name: "a".to_owned(), kind: "bin".to_owned(), path: "/t/a".into() };
        assert_eq!(program_in(program), Some(expected));
        let library =
            r#"{"reason":"compiler-artifact","target":{"name":"b","kind":["lib"]},"executable":null}"#;
        assert_eq!(program_in(library), None);
        assert_eq!(program_in(r#"{"reason":"build-finished","success":true}"#), None);
    }
}
