//! A line of a kernel log: which device, and what btrfs says.

/// Most bytes of a line that are looked at; no line of a dump is near it.
pub const LONGEST_LINE: usize = 4096;

/// A message of btrfs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KernelLine<'a> {
    /// The device by which the kernel names the filesystem; none in messages of no filesystem.
    pub device: Option<&'a str>,
    /// What follows the device.
    pub message: &'a str,
}

/// Finds the message, whatever stands before it: the time of `dmesg`, the prefix of journalctl or syslog, `>` of a mail.
/// A dump from which somebody cut the prefixes is recognised by its own words.
#[must_use]
pub fn kernel_line(line: &str) -> Option<KernelLine<'_>> {
    const BARE: [&str; 4] = ["space_info ", "block group ", "failing ticket with ", "cannot satisfy tickets"];
    let line = line.trim();
    // A host can have any name, so the word counts only as the kernel prints it.
    let at = line.match_indices("BTRFS").map(|(at, word)| at + word.len());
    let mut behind = at.filter_map(|at| line.get(at..)).filter(|rest| rest.starts_with([' ', ':']));
    if let Some(rest) = behind.next() {
        // `BTRFS info (device sda1 state EA): message`, `BTRFS: error (device sda1) in function:12: errno=-28`,
        // `BTRFS: message`.
        let (before, after) = rest.split_once("(device ").unwrap_or((rest, ""));
        if before.len() <= " emergency: ".len()
            && let Some((device, message)) = after.split_once(')')
        {
            let device = device.split([' ', ':']).next().filter(|device| !device.is_empty());
            return Some(KernelLine { device, message: message.trim_start_matches([':', ' ']) });
        }
        let (_, message) = rest.split_once(": ")?;
        return Some(KernelLine { device: None, message });
    }
    let message = line.trim_start_matches(['>', ' ']);
    let bare = BARE.iter().any(|start| message.starts_with(start)) || message.contains("_rsv: size ");
    bare.then_some(KernelLine { device: None, message })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    #[test]
    fn prefixes_of_all_sources_are_skipped() {
        for line in [
            "BTRFS info (device sda1): space_info 4 has 0 free, is full",
            "[   12.345678] BTRFS info (device sda1): space_info 4 has 0 free, is full",
            "[Wed Apr  3 12:00:00 2024] BTRFS info (device sda1: state A): space_info 4 has 0 free, is full",
            "Apr 03 12:00:00 host kernel: BTRFS info (device sda1 state EA): space_info 4 has 0 free, is full\r",
            "2024-04-03T12:00:00+0200 host kernel: [12.3] BTRFS info (device sda1): space_info 4 has 0 free, is full",
            "<6>[12.3] BTRFS critical (device sda1): space_info 4 has 0 free, is full",
            "Apr 03 12:00:00 BTRFSbox kernel: BTRFS info (device sda1): space_info 4 has 0 free, is full",
            "> [12.3] BTRFS info (device sda1): space_info 4 has 0 free, is full",
        ] {
            let found = kernel_line(line).unwrap();
            assert_eq!(found.device, Some("sda1"), "{line}");
            assert_eq!(found.message, "space_info 4 has 0 free, is full", "{line}");
        }
    }

    #[test]
    fn messages_without_a_device_and_bare_ones() {
        let of = |line| kernel_line(line).map(|found| (found.device, found.message));
        assert_eq!(
            of("[1.0] BTRFS: Transaction aborted (error -28)"),
            Some((None, "Transaction aborted (error -28)"))
        );
        assert_eq!(
            of("BTRFS: error (device dm-0: state A) in btrfs_run_delayed_refs:2150: errno=-28 No space left"),
            Some((Some("dm-0"), "in btrfs_run_delayed_refs:2150: errno=-28 No space left"))
        );
        assert_eq!(of("  > space_info total=1, used=0"), Some((None, "space_info total=1, used=0")));
        assert_eq!(of("global_block_rsv: size 1 reserved 1").unwrap().0, None);
        for other in ["EXT4-fs (sda1): mounted", "", "BTRFS", "BTRFS info (device "] {
            assert_eq!(of(other), None, "{other}");
        }
    }
}
