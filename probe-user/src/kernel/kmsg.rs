//! What the kernel's log has now, from `/dev/kmsg` (`Documentation/ABI/testing/dev-kmsg`): only lines of btrfs.
use std::{
    fs::OpenOptions,
    io::{self, Read as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use nix::libc::{EPIPE, O_NONBLOCK};

/// Longest record that the kernel returns, with room (`PRINTK_MESSAGE_MAX`).
const RECORD: usize = 16 << 10;
/// Most records that are read: more than any ring of the log holds, so that a log that grows meanwhile comes to an end.
const MOST: usize = 1 << 20;

/// Lines of btrfs in the kernel's log, the oldest first, as `dmesg` prints them; at most the last `most` of them. The second number
/// is that of the lines before.
///
/// # Errors
/// The log cannot be read: `EPERM` without `CAP_SYSLOG` where `kernel.dmesg_restrict` is set.
pub fn lines_of_btrfs(root: &Path, most: usize) -> io::Result<(Vec<String>, usize)> {
    let mut log = OpenOptions::new().read(true).custom_flags(O_NONBLOCK).open(root.join("dev/kmsg"))?;
    let mut record = vec![0; RECORD];
    let mut lines = std::collections::VecDeque::new();
    let mut before = 0;
    for _ in 0..MOST {
        let length = match log.read(&mut record) {
            Ok(0) => break,
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            // Records were overwritten before they were read: the next ones can be.
            Err(error) if error.raw_os_error() == Some(EPIPE) => continue,
            Err(error) => return Err(error),
        };
        let text = String::from_utf8_lossy(record.get(..length).unwrap_or_default());
        lines.extend(line(&text).filter(|line| is_of_btrfs(line)));
        while lines.len() > most {
            lines.pop_front();
            before += 1;
        }
    }
    Ok((lines.into(), before))
}

/// A record as a line of `dmesg`: `6,339,5140900,-;text`, with lines of ` KEY=value` behind it.
fn line(record: &str) -> Option<String> {
    let (prefix, rest) = record.split_once(';')?;
    let micros: u64 = prefix.split(',').nth(2)?.parse().ok()?;
    let text = rest.lines().next()?;
    Some(format!("[{:5}.{:06}] {text}", micros / 1_000_000, micros % 1_000_000))
}

/// Whether btrfs wrote the line, or a WARN in its source.
fn is_of_btrfs(line: &str) -> bool {
    line.contains("BTRFS") || line.contains("btrfs")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_a_line_of_dmesg() {
        let record =
            "6,339,5140900,-;BTRFS info (device sda): using crc32c\n SUBSYSTEM=block\n DEVICE=b8:0\n";
        assert_eq!(line(record).as_deref(), Some("[    5.140900] BTRFS info (device sda): using crc32c"));
        for odd in ["", "6,339", "6,339,x,-;text", "6,339,1,-;"] {
            assert_eq!(line(odd), None, "{odd}");
        }
    }

    #[test]
    fn a_tree_without_a_log_says_so() {
        let error = lines_of_btrfs(Path::new("/nonexistent"), 1).map(drop);
        assert_eq!(error.map_err(|error| error.kind()), Err(io::ErrorKind::NotFound));
    }
}
