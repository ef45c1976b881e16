//! Lines of the kernel's log. Lines of forms that the tool reads are kept: their texts are the kernel's, with numbers. Other lines can
//! have names anywhere (labels, paths, programs), so of them only level and device are kept.
use probe_ledger::is_about_reservations;

use crate::{bundle::names::Pseudonyms, explain::said};

/// What stands in place of a text that may have names.
const LEFT_OUT: &str = "(text left out)";

/// Beginnings of other texts of btrfs that say nothing but numbers, UUIDs and words of its own. Paths in them are left out.
const HARMLESS: [&str; 24] = [
    "last unmount of filesystem ",
    "using crc32c ",
    "using xxhash64 ",
    "using sha256 ",
    "using blake2b ",
    "using free-space-tree",
    "use ",
    "enabling ",
    "turning on ",
    "turning off ",
    "disabling ",
    "disk space caching is enabled",
    "has skinny extents",
    "checking UUID tree",
    "start tree-log replay",
    "relocating block group ",
    "found ",
    "balance: ",
    "scrub: ",
    "qgroup scan ",
    "rebuilding free space tree",
    "creating free space tree",
    "bdev /dev/",
    "Skipping commit of aborted transaction",
];

/// A line of the log, and whether its text was kept.
pub fn log_line(line: &str, names: &mut Pseudonyms) -> (String, bool) {
    let (time, line) = time(line);
    // Before 7.0 a WARN names no task; afterwards it does, behind the CPU.
    if let Some(warn) = line.strip_prefix("WARNING: ").filter(|warn| warn.contains("fs/btrfs/")) {
        let warn = warn.split(", CPU#").next().unwrap_or_default();
        return (format!("{time}WARNING: {}", without_paths(&names.text(warn), &["fs/btrfs/"])), true);
    }
    let Some(at) = line.find("BTRFS") else {
        if is_about_reservations(line) {
            return (format!("{time}{}", without_paths(&names.text(line), &[])), true);
        }
        return (format!("{time}{LEFT_OUT}"), false);
    };
    let line = &line[at..];
    let (prefix, inside, text) = match line.split_once("(device ") {
        Some((prefix, rest)) if prefix.len() <= "BTRFS emergency ".len() => {
            let (inside, text) = rest.split_once(')').unwrap_or((rest, ""));
            (prefix, Some(inside), text)
        }
        _ => match line.split_once(": ") {
            Some((prefix, _)) => (prefix, None, line.get(prefix.len()..).unwrap_or_default()),
            None => (line, None, ""),
        },
    };
    let prefix: String =
        prefix.chars().filter(|letter| letter.is_ascii_lowercase() || "BTRFS: ".contains(*letter)).collect();
    let prefix = if prefix.len() <= "BTRFS emergency: ".len() { prefix.as_str() } else { "BTRFS" };
    let mut out = format!("{time}{prefix}");
    if let Some(inside) = inside {
        let device = inside.split([' ', ':']).next().unwrap_or_default();
        let state: String = inside
            .split_once(" state ")
            .map(|(_, state)| state.chars().filter(char::is_ascii_uppercase).take(16).collect())
            .unwrap_or_default();
        out.push_str(&format!("(device {}", names.device(device)));
        if !state.is_empty() {
            out.push_str(&format!(" state {state}"));
        }
        out.push(')');
    }
    let said = text.trim_start_matches([':', ' ']);
    let known = said::read(said).is_some()
        || is_about_reservations(line)
        || HARMLESS.iter().any(|text| said.starts_with(text));
    if known {
        out.push_str(&without_paths(&names.text(text), &[]));
    } else {
        out.push_str(": ");
        out.push_str(LEFT_OUT);
    }
    (out, known)
}

/// `[   12.345678] ` and the rest.
fn time(line: &str) -> (&str, &str) {
    let end = line
        .strip_prefix('[')
        .and_then(|rest| rest.split_once("] "))
        .filter(|(time, _)| time.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.' || byte == b' '));
    end.map_or(("", line), |(time, rest)| (&line[..time.len() + 3], rest))
}

/// Words that are paths are left out, unless they begin with one of these.
fn without_paths(text: &str, but: &[&str]) -> String {
    let words = text.split(' ').map(|word| {
        let path = word.contains('/') && !but.iter().any(|start| word.starts_with(start));
        // `0/257` is a qgroup, `+0x12/0x34` a place in a function.
        let number = |word: &str| word.chars().all(|c| c.is_ascii_hexdigit() || "/,;:.()".contains(c));
        let place = word.split_once('+').is_some_and(|(_, place)| number(&place.replace("0x", "")));
        if path && !number(word) && !place { "(path)" } else { word }
    });
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(line: &str) -> String {
        let mut names = Pseudonyms::default();
        names.device("sda");
        log_line(line, &mut names).0
    }

    #[test]
    fn figures_stay_and_names_go() {
        for (line, expected) in [
            (
                "[   12.345678] BTRFS info (device sda state EA): space_info METADATA has 0 free, is full",
                "[   12.345678] BTRFS info (device device-1 state EA): space_info METADATA has 0 free, is full",
            ),
            (
                "BTRFS: error (device sdb: state A) in btrfs_run_delayed_refs:2150: errno=-28 No space left",
                "BTRFS: error (device device-2 state A) in btrfs_run_delayed_refs:2150: errno=-28 No space left",
            ),
            (
                "[1.0] BTRFS: device label secret devid 1 transid 8 /dev/sda (8:0) scanned by mount (77)",
                "[1.0] BTRFS: (text left out)",
            ),
            (
                "BTRFS warning (device sda): checksum error at logical 1 (path: secret/tax)",
                "BTRFS warning (device device-1): (text left out)",
            ),
            (
                "BTRFS warning (device sda): qgroup 0/257 has unreleased space, type 0 rsv 4096",
                "BTRFS warning (device device-1): qgroup 0/257 has unreleased space, type 0 rsv 4096",
            ),
            (
                "BTRFS error (device sda): bdev /dev/mapper/tax errs: wr 1, rd 0",
                "BTRFS error (device device-1): bdev (path) errs: wr 1, rd 0",
            ),
            ("btrfs_printk: 12 callbacks suppressed", "btrfs_printk: 12 callbacks suppressed"),
            (
                "[2.0] WARNING: fs/btrfs/inode.c:7 at btrfs_destroy_inode+0x1f/0x2a, CPU#1: secret/77",
                "[2.0] WARNING: fs/btrfs/inode.c:7 at btrfs_destroy_inode+0x1f/0x2a",
            ),
            ("[3.0] secret[7]: btrfs tool", "[3.0] (text left out)"),
        ] {
            assert_eq!(told(line), expected);
        }
    }
}
