//! Parses a line of the kernel's log: which device it names, and whether it complains about reservations.
//!
//! The form is that of `btrfs_printk()` (`fs/btrfs/messages.c`, in 6.1 `super.c`): `BTRFS warning (device sdb state EA):
//! text`, or `BTRFS warning: text` if btrfs knows no filesystem. The texts differ between versions, so a complaint is
//! recognised by words of two groups. One group says that something is wrong: it leaked, was not released, went below zero,
//! or is still there at a time when it must not be. The other group says that it is a reservation. A complaint has both:
//! leaked roots, extent buffers and extent states are memory, and the `reserved` in a dump of the pools is not a complaint.

/// Levels of `btrfs_printk()` (`logtypes`), by number.
const LEVELS: [&str; 8] = ["emergency", "alert", "critical", "error", "warning", "notice", "info", "debug"];
/// Last level that reports leaked reservations: `warning`.
const COMPLAINS: u8 = 4;

/// A line of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line<'a> {
    /// A text of btrfs.
    Said(Said<'a>),
    /// Number of suppressed lines (`___ratelimit()`, `lib/ratelimit.c`). They have the level of the thread's next line.
    HeldBack(u64),
}

/// A text of btrfs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Said<'a> {
    pub level: Option<Level>,
    /// `sb->s_id`; `None` if the line names no filesystem.
    pub device: Option<&'a str>,
    /// The line's state shows an error or an aborted transaction.
    pub after_error: bool,
    pub text: &'a str,
}

/// Index into [`LEVELS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Level(u8);

impl Level {
    pub(crate) const COUNT: usize = LEVELS.len();

    pub(crate) const fn index(self) -> usize {
        self.0 as usize
    }

    /// True if btrfs reports leaked reservations at this level.
    pub(crate) const fn complains(self) -> bool {
        self.0 <= COMPLAINS
    }

    pub(crate) fn all() -> impl Iterator<Item = Self> {
        (0..).take(Self::COUNT).map(Self)
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        let at = LEVELS.iter().position(|level| *level == name)?;
        u8::try_from(at).ok().map(Self)
    }
}

/// A line of the log; `None` if it is not one of btrfs.
pub(crate) fn parse(line: &str) -> Option<Line<'_>> {
    let line = line.trim_end();
    if let Some((who, rest)) = line.split_once(": ")
        && let Some(count) = rest.strip_suffix(" callbacks suppressed")
    {
        let of_printk = who.trim_start_matches('_') == "btrfs_printk";
        return count.parse().ok().filter(|_| of_printk).map(Line::HeldBack);
    }
    let Some(rest) = line.strip_prefix("BTRFS") else {
        // Text of a WARN, which has no prefix.
        let said = Said { level: None, device: None, after_error: false, text: line };
        return line.starts_with("qgroup ").then_some(Line::Said(said));
    };
    let rest = rest.trim_start_matches([':', ' ']);
    let (word, after) = rest.split_at(rest.find([' ', ':']).unwrap_or(rest.len()));
    let level = Level::named(word);
    let rest = if level.is_some() { after.trim_start_matches(' ') } else { rest };
    let Some((inside, text)) = rest.strip_prefix("(device ").and_then(|rest| rest.split_once(')')) else {
        let text = rest.trim_start_matches([':', ' ']);
        return Some(Line::Said(Said { level, device: None, after_error: false, text }));
    };
    let (device, state) = inside.split_once(" state ").unwrap_or((inside, ""));
    // 6.1 has a colon before the state.
    let device = if state.is_empty() { device } else { device.trim_end_matches(':') };
    Some(Line::Said(Said {
        level,
        device: Some(device).filter(|device| *device != "<unknown>"),
        after_error: state.contains(['E', 'A']),
        text: text.trim_start_matches([':', ' ']),
    }))
}

/// What a complaint is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Topic {
    /// Reservations of qgroups.
    Qgroups,
    /// Data reservations of inodes.
    Data,
    /// Any pool.
    Pools,
}

/// A line that says that reservations are wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Complaint {
    pub topic: Topic,
    /// It names an inode. An error of the filesystem does not excuse such a leak.
    pub of_inode: bool,
}

/// Words for something wrong.
const WRONG: [&str; 3] = ["leak", "unreleas", "underflow"];
/// Words for something left: wrong only at a moment when nothing may be left.
const LEFT: [&str; 2] = ["still", "nonzero"];
/// Words that mean a reservation by themselves.
const RESERVATIONS: [&str; 9] =
    ["reserv", "rsv", "prealloc", "pertrans", "delalloc", "dio", "bytes_", "outstanding", "csum_bytes"];
/// Words for objects that hold reservations and other things.
const HOLDERS: [&str; 2] = ["qgroup", "space"];

/// What the text complains about; `None` if it is no complaint about reservations.
pub(crate) fn complaint(text: &str) -> Option<Complaint> {
    // `device label LABEL devid 1 ... scanned by NAME`: label and name are words of the user, not of the kernel.
    if text.starts_with("device label ") || text.starts_with("device fsid ") {
        return None;
    }
    let text = text.to_ascii_lowercase();
    let words: Vec<&str> = text
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty())
        .collect();
    let any = |stems: &[&str]| words.iter().any(|word| stems.iter().any(|stem| word.starts_with(stem)));
    let phrase = |first: &str, second: &str| words.windows(2).any(|pair| pair == [first, second]);
    let reservation = any(&RESERVATIONS) || words.iter().any(|word| word.ends_with("_rsv"));
    let wrong = any(&WRONG) && (reservation || any(&HOLDERS));
    let left = (any(&LEFT) || phrase("non", "zero") || phrase("at", "unmount")) && reservation;
    // `btrfs_delete_delayed_dir_index()`: bytes that had to be reserved by then were not there.
    let short = any(&["reservation"]) && any(&["failed"]) && any(&["delayed"]);
    let topic = if any(&["qgroup"]) {
        Topic::Qgroups
    } else if any(&["delalloc", "dio"]) {
        Topic::Data
    } else {
        Topic::Pools
    };
    (wrong || left || short).then(|| Complaint { topic, of_inode: !short && any(&["ino"]) })
}

/// Whether the books look at more of this line of the kernel's log than its level: a complaint about reservations, or how many lines
/// were suppressed.
#[must_use]
pub fn is_about_reservations(line: &str) -> bool {
    match parse(line) {
        Some(Line::HeldBack(_)) => true,
        Some(Line::Said(said)) => complaint(said.text).is_some(),
        None => false,
    }
}

/// The text without its numbers: complaints of the same shape are counted as one.
pub(crate) fn shape(text: &str) -> String {
    let mut shape = String::with_capacity(text.len());
    for c in text.chars() {
        if !c.is_ascii_digit() {
            shape.push(c);
        } else if !shape.ends_with('#') {
            shape.push('#');
        }
    }
    shape
}

#[cfg(test)]
mod tests;
