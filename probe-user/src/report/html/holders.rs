//! Who holds what at the end.
use maud::{Markup, html};

use super::{
    super::model::{DirtyData, Filesystem, InodeHolder, Report, SpaceHolders},
    Section,
    words::{exact, filesystem, filesystem_of, shown, task},
};
use crate::format;

pub(super) fn section(report: &Report) -> Option<Section> {
    let holding: Vec<&Filesystem> = report
        .filesystems
        .iter()
        .filter(|fs| fs.holders.as_ref().is_some_and(|of| of.spaces.values().any(|space| !space.is_empty())))
        .collect();
    let inodes: Vec<&InodeHolder> = report.inodes.iter().filter(|inode| holds(inode)).collect();
    let body = html! {
        @if holding.is_empty() && inodes.is_empty() {
            p { "At the end of the session nothing was held, as far as it was seen." }
        }
        @for fs in holding { (of_filesystem(fs)) }
        @if !inodes.is_empty() { (inodes_table(report, &inodes)) }
    };
    Some(Section { id: "holders", title: "Top holders".to_owned(), short: "Holders".to_owned(), body })
}

fn of_filesystem(fs: &Filesystem) -> Markup {
    html! {
        @if let Some(holders) = &fs.holders {
            h3 {
                (filesystem(fs)) " " span.faint { "bytes_may_use when the levels were read last, " (format::coarse_moment(holders.time_ns)) }
            }
            .side {
                @for (name, of) in &holders.spaces { @if !of.is_empty() { (space(name, of, holders.dirty_data)) } }
            }
        }
    }
}

/// The holders of a space_info; they add up.
pub(super) fn space(name: &str, space: &SpaceHolders, dirty: DirtyData) -> Markup {
    let share = |bytes: i64| {
        let whole = i128::from(space.bytes_may_use.max(1));
        format!("{}%", (i128::from(bytes.max(0)) * 100 / whole).min(100))
    };
    html! {
        .scroll { table.holders {
            caption { "bytes_may_use of " (name) }
            thead { tr { th.num { "bytes" } th { "holder" } th.share { "share" } } }
            tbody {
                @for holder in &space.holders {
                    tr {
                        td.num { (exact(holder.bytes)) }
                        td { (holder.words()) }
                        td.share { svg width="100%" height="10" { rect.area.may-use width=(share(holder.bytes)) height="10" {} } }
                    }
                }
                @if space.not_attributed != 0 {
                    tr { td.num { (exact(space.not_attributed)) } td { (space.rest_words(name, dirty)) } td {} }
                }
            }
            tfoot { tr { td.num { (exact(space.bytes_may_use)) } td { "together" } td {} } }
        } }
    }
}

/// Whether it holds anything: the list of a report is filled up with inodes that have reserved most.
fn holds(inode: &InodeHolder) -> bool {
    let of = [
        Some(inode.meta_rsv),
        inode.rsv_reserved,
        inode.csum_bytes,
        inode.delalloc_bytes,
        inode.outstanding_extents,
    ];
    of.into_iter().flatten().any(|number| number != 0)
}

fn inodes_table(report: &Report, inodes: &[&InodeHolder]) -> Markup {
    let known =
        |number: Option<i64>| html! { @match number { Some(number) => (exact(number)), None => "–" } };
    html! {
        h3 { "Inodes that hold most" }
        .scroll { table {
            thead { tr {
                th.num { "meta_rsv" } th.num { "delalloc" } th.num { "csum" } th.num { "extents" } th.num { "reserved so far" }
                th { "inode" } th { "path" } th { "filesystem" } th { "task that reserved last" }
            } }
            tbody {
                @for inode in inodes {
                    tr {
                        td.num { (exact(inode.meta_rsv)) @if !inode.opening_known { " *" } }
                        td.num { (known(inode.delalloc_bytes)) }
                        td.num { (known(inode.csum_bytes)) }
                        td.num { (known(inode.outstanding_extents)) }
                        td.num { (exact(super::words::signed(inode.reserved_total))) }
                        td { (inode.inode) " of subvolume " (format::root(inode.root)) }
                        td { (inode.path.as_deref().map(shown).unwrap_or_default()) }
                        td { (inode.filesystem.as_deref().map(|uuid| filesystem_of(report, uuid)).unwrap_or_default()) }
                        td { @if let Some(of) = &inode.task { (task(of)) } }
                    }
                }
            }
        } }
        @if inodes.iter().any(|inode| !inode.opening_known) {
            p.note { "* first met in the middle of its life: counts from there" }
        }
    }
}
