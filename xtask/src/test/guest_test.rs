//! Tests in guests, read along while they run.
use std::io::Write as _;

use anyhow::Result;

use super::tally::Tally;
use crate::{
    vm::{Release, suite},
    workspace::Workspace,
};

/// All tests of one kernel.
///
/// # Errors
/// If one fails, or a guest does not come to its end.
pub fn run(workspace: &Workspace, release: Release, tally: &mut Tally) -> Result<()> {
    let mut found = Tally::default();
    let mut line = Vec::new();
    let result = suite::run(workspace, release, &mut |bytes| {
        let _ = std::io::stdout().write_all(bytes);
        for byte in bytes {
            if *byte == b'\n' {
                found.line(String::from_utf8_lossy(&line).trim_end_matches('\r'));
                line.clear();
            } else {
                line.push(*byte);
            }
        }
    });
    if result.is_err() && found.failed == 0 {
        // A guest or a binary that died printed no result.
        found.failed = 1;
    }
    tally.add(&found);
    result
}
