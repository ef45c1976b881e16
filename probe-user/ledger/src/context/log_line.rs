//! What a line of the kernel's log says: of which device, and whether it complains about reservations.
//!
//! The form is that of `btrfs_printk()` (`fs/btrfs/messages.c`, in 6.1 `super.c`): `BTRFS warning (device sdb state EA):
//! text`, and where btrfs knows no filesystem `BTRFS warning: text`. The texts differ from version to version, so a
//! complaint is told by its words: that something leaked, was not released, went below zero, or is still there when it
//! must not be; and that it is a reservation. Both must be said: roots, extent buffers and extent states that leak are
//! memory, and what a dump of the pools calls `reserved` is no complaint.

/// Levels of `btrfs_printk()` (`logtypes`), by number.
const LEVELS: [&str; 8] = ["emergency", "alert", "critical", "error", "warning", "notice", "info", "debug"];
/// The last level with complaints about what leaks: `warning`.
const COMPLAINS: u8 = 4;

/// A line of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line<'a> {
    /// btrfs said something.
    Said(Said<'a>),
    /// So many lines of the level of the next one were held back (`___ratelimit()`, `lib/ratelimit.c`).
    HeldBack(u64),
}

/// What btrfs said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Said<'a> {
    pub level: Option<Level>,
    /// `sb->s_id`; `None` if the line names no filesystem.
    pub device: Option<&'a str>,
    /// The filesystem had an error or an aborted transaction by then.
    pub after_error: bool,
    pub text: &'a str,
}

/// A number of [`LEVELS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Level(u8);

impl Level {
    pub(crate) const COUNT: usize = LEVELS.len();

    pub(crate) const fn index(self) -> usize {
        self.0 as usize
    }

    /// True if lines of this level complain about reservations that leak.
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
        // Texts of WARNs, which have no prefix.
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
    /// What qgroups hold.
    Qgroups,
    /// Data of inodes.
    Data,
    /// Any pool.
    Pools,
}

/// A line that says that reservations are wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Complaint {
    pub topic: Topic,
    /// It names an inode, whose books hold whatever becomes of its filesystem.
    pub of_inode: bool,
}

/// That something is wrong.
const WRONG: [&str; 3] = ["leak", "unreleas", "underflow"];
/// That something is there: wrong only where nothing may be there any more.
const LEFT: [&str; 2] = ["still", "nonzero"];
/// What is a reservation by its name alone.
const RESERVATIONS: [&str; 9] =
    ["reserv", "rsv", "prealloc", "pertrans", "delalloc", "dio", "bytes_", "outstanding", "csum_bytes"];
/// What holds reservations among other things.
const HOLDERS: [&str; 2] = ["qgroup", "space"];

/// The complaint that a text is, if it is one.
pub(crate) fn complaint(text: &str) -> Option<Complaint> {
    // `device label LABEL devid 1 ... scanned by NAME`: the words are not the kernel's.
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
    // `btrfs_delete_delayed_dir_index()`: what had to be reserved by then was not there.
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

/// Complaints that differ in numbers alone are of one shape.
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
