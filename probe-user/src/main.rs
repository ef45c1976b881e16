//! The program: everything is in the library.
use std::process::ExitCode;

use probe_user::cli;
use probe_user::session::exit::ExitStatus;

fn main() -> ExitCode {
    match cli::run(std::env::args_os()) {
        Ok(status) => status.into(),
        Err(error) => {
            #[allow(clippy::print_stderr, reason = "the one place where an error reaches the terminal")]
            {
                eprintln!("btrfs-probe: {}", cli::sentence(&error));
            }
            ExitStatus::Failed.into()
        }
    }
}
