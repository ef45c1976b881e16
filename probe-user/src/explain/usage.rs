//! `btrfs filesystem usage`, in all its forms, and `btrfs filesystem df`.
//!
//! There are three layouts: a list (with `-b` in bytes, else rounded), a table (`-T`), and the few lines of `df`, which
//! know nothing of unallocated space. btrfs-progs has no JSON of `filesystem usage`.
use super::{
    figure::{Amount, amount},
    profile::Profile,
    space::SpaceKind,
};

/// Most outputs in one text, and most lines of one that are kept.
const MOST: usize = 64;

/// Block groups of one kind and profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allocation {
    /// What for.
    pub kind: SpaceKind,
    /// How they are stored.
    pub profile: Profile,
    /// Bytes in block groups.
    pub size: Amount,
    /// Bytes in extents.
    pub used: Amount,
}

/// One output.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// `Device size`
    pub device_size: Option<Amount>,
    /// `Device unallocated`
    pub unallocated: Option<Amount>,
    /// `Device missing`
    pub missing: Option<Amount>,
    /// `Device zone unusable`
    pub zone_unusable: Option<Amount>,
    /// `Global reserve`: its size, and how much of it is gone.
    pub global_reserve: Option<(Amount, Option<Amount>)>,
    /// Block groups.
    pub allocations: Vec<Allocation>,
    /// Unallocated bytes by device.
    pub devices: Vec<(String, Amount)>,
}

impl Usage {
    /// Sums over the profiles of one kind: bytes in block groups, and used.
    #[must_use]
    pub fn of(&self, kind: SpaceKind) -> Option<(Amount, Amount)> {
        let mut found = None;
        for allocation in self.allocations.iter().filter(|allocation| allocation.kind == kind) {
            let (size, used) = found.unwrap_or_default();
            found = Some((add(size, allocation.size), add(used, allocation.used)));
        }
        found
    }

    /// The profile of which a new chunk would be: that of most bytes.
    #[must_use]
    pub fn profile(&self, kind: SpaceKind) -> Option<Profile> {
        let of_kind = self.allocations.iter().filter(|allocation| allocation.kind == kind);
        of_kind.max_by_key(|allocation| allocation.size.bytes).map(|allocation| allocation.profile)
    }

    /// Whether this may be the filesystem of which the kernel names `device`.
    #[must_use]
    pub fn has_device(&self, device: &str) -> bool {
        let name = |path: &str| path.rsplit('/').next().is_some_and(|name| name == device);
        !device.is_empty() && self.devices.iter().any(|(path, _)| name(path))
    }
}

const fn add(a: Amount, b: Amount) -> Amount {
    Amount { bytes: a.bytes.saturating_add(b.bytes), off_by: a.off_by.saturating_add(b.off_by) }
}

/// Where in an output the reader is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Elsewhere,
    Unallocated,
    /// Kinds of the columns; the profiles are in the next line.
    TableKinds(Vec<SpaceKind>),
    /// Behind the profiles.
    Table {
        columns: Vec<(SpaceKind, Profile)>,
        more: usize,
        sizes: Vec<Amount>,
    },
}

/// Reads outputs line by line.
#[derive(Clone, Debug, Default)]
pub struct Reader {
    done: Vec<Usage>,
    place: Place,
    /// The output that is being read was begun by `Overall:`.
    open: bool,
}

impl Reader {
    /// Takes a line. Returns whether it belongs to an output.
    pub fn line(&mut self, line: &str) -> bool {
        let indented = line.starts_with([' ', '\t']);
        let text = line.trim();
        if text == "Overall:" {
            self.begin();
            return true;
        }
        if let Some(allocation) = list_head(text).or_else(|| df_line(text)) {
            self.place = Place::Elsewhere;
            let usage = self.usage();
            if usage.allocations.len() < MOST {
                usage.allocations.push(allocation);
            }
            return true;
        }
        if text == "Unallocated:" {
            self.place = Place::Unallocated;
            return true;
        }
        if let Some(rest) = text.strip_prefix("GlobalReserve, single: ") {
            let amounts = rest.split_once(", used=").and_then(|(total, used)| {
                Some((amount(total.strip_prefix("total=")?)?, amount(used.trim())?))
            });
            let Some((size, used)) = amounts else { return false };
            self.usage().global_reserve = Some((size, Some(used)));
            return true;
        }
        if self.open && self.overall(text) {
            return true;
        }
        if let Some(kinds) = table_kinds(text) {
            self.place = Place::TableKinds(kinds);
            return true;
        }
        self.section(text, indented)
    }

    /// All outputs that say something.
    #[must_use]
    pub fn finish(self) -> Vec<Usage> {
        self.done
            .into_iter()
            .filter(|usage| !usage.allocations.is_empty() || usage.unallocated.is_some())
            .collect()
    }

    fn begin(&mut self) {
        self.open = true;
        self.place = Place::Elsewhere;
        if self.done.len() >= MOST {
            self.done.remove(0);
        }
        self.done.push(Usage::default());
    }

    fn usage(&mut self) -> &mut Usage {
        if self.done.is_empty() {
            self.done.push(Usage::default());
        }
        let last = self.done.len() - 1;
        &mut self.done[last]
    }

    /// `Device size:  256.00MiB`, and its kind.
    fn overall(&mut self, text: &str) -> bool {
        let Some((key, value)) = text.split_once(':') else { return false };
        let mut words = value.split_whitespace();
        let first = words.next().and_then(amount);
        let usage = self.usage();
        match key {
            "Device size" => usage.device_size = first,
            "Device unallocated" => usage.unallocated = first,
            "Device missing" => usage.missing = first,
            "Device zone unusable" => usage.zone_unusable = first,
            "Global reserve" => {
                let used = value
                    .split_once("(used:")
                    .and_then(|(_, used)| amount(used.trim().trim_end_matches(')')));
                usage.global_reserve = first.map(|size| (size, used));
            }
            "Device allocated" | "Device slack" | "Device zone size" | "Used" | "Free (estimated)"
            | "Free (statfs, df)" | "Data ratio" | "Metadata ratio" | "Multiple profiles" => {}
            _ => return false,
        }
        true
    }

    fn section(&mut self, text: &str, indented: bool) -> bool {
        match std::mem::take(&mut self.place) {
            Place::Elsewhere => false,
            Place::Unallocated => {
                let device = text.rsplit_once([' ', '\t']).filter(|_| indented);
                let Some((path, bytes)) = device.and_then(|(path, bytes)| Some((path, amount(bytes)?)))
                else {
                    return false;
                };
                self.device(path.trim(), bytes);
                self.place = Place::Unallocated;
                true
            }
            Place::TableKinds(kinds) => {
                let Some((_, rest)) = text.split_once("Path") else { return false };
                let words: Vec<&str> = rest.split_whitespace().collect();
                let profiles: Option<Vec<Profile>> =
                    words.iter().take(kinds.len()).map(|word| Profile::of_progs(word)).collect();
                let Some(profiles) = profiles.filter(|found| found.len() == kinds.len()) else {
                    return false;
                };
                let more = words.len() - kinds.len();
                let columns = kinds.into_iter().zip(profiles).collect();
                self.place = Place::Table { columns, more, sizes: Vec::new() };
                true
            }
            Place::Table { columns, more, sizes } => self.table_row(text, columns, more, sizes),
        }
    }

    fn table_row(
        &mut self,
        text: &str,
        columns: Vec<(SpaceKind, Profile)>,
        more: usize,
        mut sizes: Vec<Amount>,
    ) -> bool {
        let words: Vec<&str> = text.split_whitespace().collect();
        let amounts = |from: usize| -> Option<Vec<Amount>> {
            words.get(from..)?.iter().take(columns.len()).map(|word| amount(word)).collect()
        };
        match words.first().copied() {
            Some("Total") => sizes = amounts(1).unwrap_or_default(),
            Some("Used") => {
                let used = amounts(1).unwrap_or_default();
                for (((kind, profile), size), used) in columns.into_iter().zip(sizes).zip(used) {
                    let usage = self.usage();
                    if usage.allocations.len() < MOST {
                        usage.allocations.push(Allocation { kind, profile, size, used });
                    }
                }
                return true;
            }
            Some(word) if word.starts_with("--") => {}
            Some(_) => {
                // The path may contain blanks, so columns are counted from the end.
                let cells = columns.len() + more;
                let path = words.len().checked_sub(cells).filter(|path| *path >= 2);
                let Some((path, bytes)) = path.and_then(|path| {
                    Some((words.get(1..path)?.join(" "), amount(words.get(path + columns.len())?)?))
                }) else {
                    return false;
                };
                self.device(&path, bytes);
            }
            None => return false,
        }
        self.place = Place::Table { columns, more, sizes };
        true
    }

    fn device(&mut self, path: &str, bytes: Amount) {
        let usage = self.usage();
        if usage.devices.len() < MOST {
            usage.devices.push((path.to_owned(), bytes));
        }
    }
}

/// `Data,single: Size:243.00MiB, Used:242.94MiB (99.97%)`
fn list_head(text: &str) -> Option<Allocation> {
    let (head, rest) = text.split_once(':')?;
    let (kind, profile) = head.split_once(',')?;
    let (size, used) = rest.trim_start().strip_prefix("Size:")?.split_once(", Used:")?;
    let used = used.split_whitespace().next()?;
    Some(Allocation {
        kind: SpaceKind::of_progs(kind)?,
        profile: Profile::of_progs(profile)?,
        size: amount(size.trim())?,
        used: amount(used)?,
    })
}

/// `Data, single: total=243.00MiB, used=242.94MiB`
fn df_line(text: &str) -> Option<Allocation> {
    let (head, rest) = text.split_once(": total=")?;
    let (kind, profile) = head.split_once(", ")?;
    let (size, used) = rest.split_once(", used=")?;
    let used = used.split_whitespace().next()?;
    Some(Allocation {
        kind: SpaceKind::of_progs(kind)?,
        profile: Profile::of_progs(profile)?,
        size: amount(size)?,
        used: amount(used)?,
    })
}

/// The first line of a table: nothing but kinds.
fn table_kinds(text: &str) -> Option<Vec<SpaceKind>> {
    let kinds: Option<Vec<SpaceKind>> = text.split_whitespace().map(SpaceKind::of_progs).collect();
    kinds.filter(|kinds| (2..=MOST).contains(&kinds.len()))
}

#[cfg(test)]
mod tests;
