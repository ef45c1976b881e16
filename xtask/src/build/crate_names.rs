//! Between cargo and the compiler of the kernel side: names of our crates that do not depend on the folder.
//!
//! `probe-common` lies outside of the workspace of the kernel side, so cargo puts the absolute path of its folder into the hash that
//! tells crates of one name apart (`-C metadata`). The hash is in the names of symbols, and these are in the object's BTF: two folders would
//! give two objects. So cargo calls this program in place of the compiler (`RUSTC_WRAPPER`), and it passes the name of the crate as the hash.
use std::{
    env,
    ffi::{OsStr, OsString},
    process::{Command, ExitCode},
};

use anyhow::{Context as _, Result};

/// Set where cargo calls this program in place of the compiler.
const MARK: &str = "BTRFS_PROBE_CALLED_AS_RUSTC";
/// Our crates on the kernel side.
const OURS: [&str; 3] = ["probe_common", "probe_ebpf", "floor"];

/// Puts this program between a cargo and its compiler.
///
/// # Errors
/// It is not known where this program lies.
pub(super) fn fix(cargo: &mut Command) -> Result<()> {
    let this = env::current_exe().context("the path of this program is not known")?;
    cargo.env("RUSTC_WRAPPER", this).env(MARK, "1");
    Ok(())
}

/// Calls the compiler if cargo called this program in place of it, and returns how that ended.
pub fn called_as_compiler() -> Option<ExitCode> {
    env::var_os(MARK)?;
    let mut arguments = env::args_os().skip(1);
    let compiler = arguments.next()?;
    let status = Command::new(&compiler).args(named(arguments.collect())).status();
    let code = status.ok().and_then(|status| status.code()).and_then(|code| u8::try_from(code).ok());
    Some(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

/// Arguments of the compiler, with the name of one of our crates in place of its hash.
fn named(mut arguments: Vec<OsString>) -> Vec<OsString> {
    let at = |name: &str| arguments.iter().position(|argument| argument == OsStr::new(name));
    let name = at("--crate-name").and_then(|at| arguments.get(at + 1)?.to_str());
    let Some(name) = name.filter(|name| OURS.contains(name)).map(str::to_owned) else { return arguments };
    for argument in &mut arguments {
        if argument.to_str().is_some_and(|argument| argument.starts_with("metadata=")) {
            *argument = format!("metadata={name}").into();
        }
    }
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(words: &str) -> String {
        let named = named(words.split(' ').map(OsString::from).collect());
        named.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn our_crates_get_their_name_as_hash_and_others_keep_theirs() {
        assert_eq!(
            of("--crate-name probe_common src/lib.rs -C metadata=5eb1 -C extra-filename=-5eb1"),
            "--crate-name probe_common src/lib.rs -C metadata=probe_common -C extra-filename=-5eb1"
        );
        for others in ["--crate-name core -C metadata=5eb1", "-vV", "--crate-name"] {
            assert_eq!(of(others), others);
        }
    }
}
