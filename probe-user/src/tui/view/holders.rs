//! Who holds the selected pool: the first part of the page Pools. Its rows add up to `bytes_may_use` of the space_info.
use ratatui::{buffer::Buffer, layout::Rect};

use crate::{
    format,
    report::model::{DirtyData, SpaceHolders},
    tui::{
        drawing::{Piece, put, title},
        palette::{Palette, Role},
        picture::{FsView, PoolKey},
    },
};

/// Who holds the space_info of a pool.
pub struct Panel<'a> {
    name: String,
    space: &'a SpaceHolders,
    dirty: DirtyData,
    age_ns: u64,
    /// The row of the selected pool.
    account: &'static str,
}

impl<'a> Panel<'a> {
    /// For the selected pool; `None` if nothing is known of it.
    pub fn of(fs: &'a FsView, selected: &PoolKey, now_ns: u64) -> Option<Self> {
        let holders = fs.holders.as_ref()?;
        let name = fs.space_of(selected)?;
        let space = holders.spaces.get(&name)?;
        let account = match selected {
            PoolKey::Rsv(account) => account.name(),
            PoolKey::Inodes => probe_ledger::Account::InodeMetaRsv.name(),
            PoolKey::Space(..) | PoolKey::Qgroup(..) => "",
        };
        let age_ns = now_ns.saturating_sub(holders.time_ns);
        Some(Self { name, space, dirty: holders.dirty_data, age_ns, account })
    }

    /// Rows that it takes on a page of this height: a third, and no more than it needs.
    pub fn height(&self, page: u16) -> u16 {
        let wanted = u16::try_from(self.space.holders.len() + 2).unwrap_or(u16::MAX);
        wanted.min((page / 3).max(4))
    }

    /// Draws it.
    pub fn draw(&self, buffer: &mut Buffer, area: Rect, palette: Palette) {
        if area.height == 0 {
            return;
        }
        let read = format::length(self.age_ns);
        let may_use = format::bytes(self.space.bytes_may_use, "");
        let head = format!("who holds space.{}: {may_use} of may_use, read {read} ago", self.name);
        title(buffer, area.x, area.y, area.width, &head, palette);
        let rows = self.rows(usize::from(area.height - 1));
        for (y, (bytes, words, role)) in (area.y + 1..area.bottom()).zip(rows) {
            let number = if bytes < 0 { Role::Warn } else { role };
            let pieces: [Piece; 2] = [(format!("{:>9}  ", format::bytes(bytes, "")), number), (words, role)];
            put(buffer, area.x, y, area.width, &pieces, palette);
        }
    }

    /// As many rows as there is room for. They add up: what has no row of its own is summed.
    fn rows(&self, room: usize) -> Vec<(i64, String, Role)> {
        let all = &self.space.holders;
        let whole = all.len() < room;
        let shown = if whole { all.len() } else { room.saturating_sub(2) };
        let mut rows: Vec<_> = all
            .iter()
            .take(shown)
            .map(|holder| {
                let selected = holder.holder == self.account;
                (holder.bytes, holder.words(), if selected { Role::Strong } else { Role::Text })
            })
            .collect();
        let hidden = &all[shown.min(all.len())..];
        if !hidden.is_empty() {
            let sum = hidden.iter().fold(0, |sum: i64, holder| sum.wrapping_add(holder.bytes));
            let words = format!("{} that hold less", format::counted(hidden.len() as u64, "other"));
            rows.push((sum, words, Role::Text));
        }
        rows.push((self.space.not_attributed, self.space.rest_words(&self.name, self.dirty), Role::Faint));
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::model::Holder;

    fn holder(bytes: i64) -> Holder {
        let holder = "fs.global_rsv".to_owned();
        Holder {
            holder,
            bytes,
            count: None,
            root: None,
            inode: None,
            path: None,
            path_truncated: false,
            path_bytes: None,
        }
    }

    #[test]
    fn the_rows_add_up_whatever_the_room() {
        let space = SpaceHolders {
            bytes_may_use: 54,
            holders: (1..=9).rev().map(holder).collect(),
            not_attributed: 9,
            handles: 0,
            handles_claimed: 0,
        };
        let panel = Panel {
            name: "metadata".to_owned(),
            space: &space,
            dirty: DirtyData::Read,
            age_ns: 0,
            account: "",
        };
        assert_eq!((panel.height(21), panel.height(60), panel.height(6)), (7, 11, 4));
        for room in 2..12 {
            let rows = panel.rows(room);
            assert!(rows.len() <= room, "{room}");
            assert_eq!(rows.iter().map(|(bytes, ..)| bytes).sum::<i64>(), 54, "{room}");
        }
    }
}
