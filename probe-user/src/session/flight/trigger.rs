//! What makes the flight recorder write.
use probe_common::failure::{LINE_TEXT, LogLine};
use probe_record::record::Record;

/// A reason to write what is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Trigger {
    /// A finding that counts for the verdict.
    Finding,
    /// A transaction was aborted, or the filesystem had another error that makes it read-only.
    Abort,
    /// A reservation failed for want of space.
    Enospc,
    /// The kernel printed a WARN of its own.
    Warn,
    /// A reservation waits as long as `--stall` says.
    Stall,
    /// Somebody sent SIGUSR1.
    Request,
}

/// `-ENOSPC`
const ENOSPC: i32 = -28;

impl Trigger {
    /// What `--dump-on` takes.
    pub const CHOICES: [Self; 5] = [Self::Finding, Self::Abort, Self::Enospc, Self::Warn, Self::Stall];

    /// The word on the command line, in file names and in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Finding => "finding",
            Self::Abort => "abort",
            Self::Enospc => "enospc",
            Self::Warn => "warn",
            Self::Stall => "stall",
            Self::Request => "request",
        }
    }
}

/// The trigger that a record is.
pub(super) fn of(record: &Record) -> Option<Trigger> {
    match record {
        Record::Enospc(_) => Some(Trigger::Enospc),
        Record::Ticket(ticket) if ticket.error == ENOSPC => Some(Trigger::Enospc),
        Record::Warn(_) => Some(Trigger::Warn),
        Record::LogLine(LogLine { text, .. }) if is_abort(text) => Some(Trigger::Abort),
        _ => None,
    }
}

/// The line of `__btrfs_handle_fs_error()` (`fs/btrfs/messages.c`, in 6.1 `super.c`), which makes the filesystem read-only:
/// `BTRFS: error (device sdb state A) in btrfs_run_delayed_refs:2159: errno=-28 No space left`.
fn is_abort(text: &[u8; LINE_TEXT]) -> bool {
    let end = text.iter().position(|byte| *byte == 0).unwrap_or(LINE_TEXT);
    let text = String::from_utf8_lossy(&text[..end]);
    text.split_once(") in ").is_some_and(|(device, place)| {
        device.starts_with("BTRFS") && device.contains(" error (device ") && place.contains(": errno=-")
    })
}

#[cfg(test)]
mod tests {
    use probe_common::header::Header;

    use super::*;

    fn line(said: &str) -> Record {
        let mut text = [0; LINE_TEXT];
        text[..said.len()].copy_from_slice(said.as_bytes());
        LogLine { header: Header::default(), length: said.len() as u32, reserved: 0, text }.into()
    }

    #[test]
    fn an_abort_is_told_from_other_errors() {
        for abort in [
            "BTRFS: error (device sdb state A) in btrfs_run_delayed_refs:2159: errno=-28 No space left",
            "BTRFS error (device loop0 state EA) in cleanup_transaction:2018: errno=-5 IO failure",
            "BTRFS: error (device dm-0) in btrfs_commit_transaction:2523: errno=-5 IO failure (Error while writing out transaction)",
        ] {
            assert_eq!(of(&line(abort)), Some(Trigger::Abort), "{abort}");
        }
        for other in [
            "BTRFS error (device sdb): bdev /dev/sdb errs: wr 1, rd 0, flush 0, corrupt 0, gen 0",
            "BTRFS warning (device sdb state EA): Skipping commit of aborted transaction.",
            "BTRFS info (device sdb state E): forced readonly",
        ] {
            assert_eq!(of(&line(other)), None, "{other}");
        }
    }
}
