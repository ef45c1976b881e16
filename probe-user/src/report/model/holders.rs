//! Who holds the pools of a filesystem.
use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::format::{self, escape::escape};

/// Who held `bytes_may_use` of each space_info when the kernel's levels were read last. All figures are of one moment, and the rows
/// of a space_info and `not_attributed` add up to its `bytes_may_use`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Holders {
    /// When the levels were read, ns since the start of the session.
    pub time_ns: u64,
    /// Whether the dirty data of inodes was read with them.
    pub dirty_data: DirtyData,
    /// By space_info: `data`, `metadata`, `system`, `mixed`; a second one of a type has `#2` behind it.
    pub spaces: BTreeMap<String, SpaceHolders>,
}

/// Whether the dirty data of inodes was read with the levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DirtyData {
    /// It was not read, so it is a part of `not_attributed`.
    NotRead,
    /// It was read, and no space_info changed meanwhile.
    Read,
    /// It was read while space_infos changed, so a part of it may be of a moment later.
    ReadWhileItChanged,
}

/// Who holds `bytes_may_use` of one space_info.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SpaceHolders {
    /// `bytes_may_use` at that moment, bytes.
    pub bytes_may_use: i64,
    /// Who holds it, most bytes first.
    pub holders: Vec<Holder>,
    /// Bytes in flight, or held by what the tier does not see. Negative if holders were read later than the space_info, or hold what
    /// reserved nothing.
    pub not_attributed: i64,
    /// Transaction handles that have claimed bytes for delayed refs in a block_rsv of their own.
    pub handles: u64,
    /// What they have claimed, bytes. How much of it is left is not known; it is a part of `not_attributed`.
    pub handles_claimed: i64,
}

/// A holder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Holder {
    /// Account id; `tickets` for tickets that were granted and whose owners have not gone on, `tasks` for data that tasks have
    /// reserved and neither handed on nor freed.
    pub holder: String,
    /// Bytes.
    pub bytes: i64,
    /// How many inodes, temporary block_rsvs, tickets or tasks; null for a block_rsv of the filesystem.
    pub count: Option<u64>,
    /// Subvolume of the inode, if it is one; signed as in the kernel's headers.
    pub root: Option<i64>,
    /// Inode number, if it is one inode.
    pub inode: Option<u64>,
    /// Its path, not escaped; null if it is not known.
    pub path: Option<String>,
    /// True if the path is known in part: `…` stands for what is missing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub path_truncated: bool,
    /// The known bytes of the path as base64, if they are not UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path_bytes: Option<String>,
}

impl Holder {
    /// What it is, as a person reads it; escaped.
    #[must_use]
    pub fn words(&self) -> String {
        let Self { holder, bytes: _, count, root, inode, path, .. } = self;
        let count = count.unwrap_or(0);
        match (holder.as_str(), inode) {
            (account, Some(inode)) => {
                let what = if account == "inode.delalloc_bytes" { "dirty data" } else { account };
                let root = root.map(format::root).unwrap_or_default();
                let path = path.as_deref().map(|path| format!(": {}", escape(path))).unwrap_or_default();
                format!("{what} of inode {inode}, subvolume {root}{path}")
            }
            ("inode.delalloc_bytes", None) => {
                format!("dirty data of {}", format::counted(count, "other inode"))
            }
            ("inode.meta_rsv", None) => {
                format!("inode.meta_rsv of {}", format::counted(count, "other inode"))
            }
            ("temp.rsv", None) => format!("temp.rsv: {}", format::counted(count, "temporary block_rsv")),
            ("tickets", None) => {
                format!("{} granted, owners not gone on yet", format::counted(count, "ticket"))
            }
            ("tasks", None) => format!("data in the hands of {}", format::counted(count, "task")),
            (account, None) => match known(account) {
                Some(words) => format!("{account}: {words}"),
                None => account.to_owned(),
            },
        }
    }
}

/// What a block_rsv of the filesystem is for.
fn known(account: &str) -> Option<&'static str> {
    Some(match account {
        "fs.global_rsv" => "the global reserve",
        "trans.rsv" => "running transaction handles",
        "fs.delayed_rsv" => "delayed items and inodes",
        "fs.delayed_refs_rsv" => "delayed refs",
        "fs.chunk_rsv" => "chunks that are being allocated",
        _ => return None,
    })
}

impl SpaceHolders {
    /// Nothing is held, and nothing looks so.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.bytes_may_use == 0 && self.holders.is_empty()
    }

    /// What `not_attributed` is, as a person reads it. `name`: of the space_info.
    #[must_use]
    pub fn rest_words(&self, name: &str, dirty: DirtyData) -> String {
        // Short: a longer line would be cut on 80 columns.
        const REST: &str = "in flight or not attributed";
        let data = name.starts_with("data") || name.starts_with("mixed");
        let why = match dirty {
            _ if self.not_attributed == 0 => return REST.to_owned(),
            DirtyData::NotRead if data && self.not_attributed > 0 => {
                "dirty data was not read then".to_owned()
            }
            DirtyData::ReadWhileItChanged if data => "it changed while it was read".to_owned(),
            DirtyData::Read if data && self.not_attributed > 0 => {
                "dirty since before, or in tasks' hands".to_owned()
            }
            _ if self.not_attributed < 0 => "a release not booked yet, or nodatacow".to_owned(),
            _ if self.handles > 0 => {
                let claimed = format::bytes(self.handles_claimed, "iB");
                format!("up to {claimed} in {}", format::counted(self.handles, "transaction handle"))
            }
            _ => return REST.to_owned(),
        };
        format!("not attributed: {why}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rest(not_attributed: i64, handles: u64) -> SpaceHolders {
        SpaceHolders {
            bytes_may_use: 0,
            holders: Vec::new(),
            not_attributed,
            handles,
            handles_claimed: 1 << 20,
        }
    }

    #[test]
    fn the_rest_says_what_is_known_of_it() {
        let say = |space: &SpaceHolders, name, dirty: DirtyData| {
            let words = space.rest_words(name, dirty);
            assert!(words.len() <= 57, "{words}");
            words.trim_start_matches("in flight or not attributed").replace("not attributed", "")
        };
        assert_eq!(say(&rest(0, 1), "metadata", DirtyData::NotRead), "");
        let handles = say(&rest(1, 1), "metadata", DirtyData::NotRead);
        assert_eq!(handles, ": up to 1 MiB in 1 transaction handle");
        assert_eq!(say(&rest(1, 0), "data", DirtyData::NotRead), ": dirty data was not read then");
        let read = say(&rest(1, 0), "data", DirtyData::Read);
        assert_eq!(read, ": dirty since before, or in tasks' hands");
        assert_eq!(say(&rest(1, 0), "metadata", DirtyData::Read), "");
        let moving = say(&rest(-1, 0), "mixed#2", DirtyData::ReadWhileItChanged);
        assert_eq!(moving, ": it changed while it was read");
        assert_eq!(
            say(&rest(-1, 0), "metadata", DirtyData::Read),
            ": a release not booked yet, or nodatacow"
        );
    }

    /// A path can hold anything.
    #[test]
    fn holders_have_names() {
        let of = |holder: &str, count, inode: Option<u64>, path: Option<&str>| Holder {
            holder: holder.to_owned(),
            bytes: 1,
            count,
            root: inode.map(|_| 5),
            inode,
            path: path.map(str::to_owned),
            path_truncated: false,
            path_bytes: None,
        };
        let dirty = of("inode.delalloc_bytes", Some(1), Some(257), Some("a\x1b[2J"));
        assert_eq!(dirty.words(), "dirty data of inode 257, subvolume 5: a\\x1b[2J");
        assert_eq!(of("inode.meta_rsv", Some(2), None, None).words(), "inode.meta_rsv of 2 other inodes");
        assert_eq!(of("fs.global_rsv", None, None, None).words(), "fs.global_rsv: the global reserve");
        assert_eq!(of("tickets", Some(1), None, None).words(), "1 ticket granted, owners not gone on yet");
    }
}
