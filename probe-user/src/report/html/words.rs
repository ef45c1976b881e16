//! Text of the page.
use maud::{Markup, html};

use crate::{
    format::{self, escape::escape},
    report::model::{Filesystem, Report, Task},
};

/// A name from the kernel, as it is shown: what a terminal or a page would act on is written out. maud escapes it for HTML.
pub(super) fn shown(name: &str) -> String {
    escape(name)
}

/// Exactly, for figures that a reader adds up.
pub(super) fn exact(number: i64) -> Markup {
    html! { span.num title=(format::bytes(number, "iB")) { (format::exact(number)) } }
}

pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// `comm, pid, tid`
pub(super) fn task(task: &Task) -> String {
    let pid = task.pid.map(|pid| format!(", pid {pid}")).unwrap_or_default();
    format!("{}{pid}, tid {}", shown(&task.comm), task.tid)
}

/// What to call a filesystem: where it is mounted, else its device, else its uuid.
pub(super) fn filesystem(fs: &Filesystem) -> String {
    let name = fs.mounts.first().or(fs.devices.first());
    name.map_or_else(|| fs.uuid.clone(), |name| shown(name))
}

/// [`filesystem`] by its uuid.
pub(super) fn filesystem_of(report: &Report, uuid: &str) -> String {
    let fs = report.filesystems.iter().rfind(|fs| fs.uuid == uuid);
    fs.map_or_else(|| uuid.to_owned(), filesystem)
}

/// A row of a list of facts, left out if there is nothing to say.
pub(super) fn fact(label: &str, text: &str) -> Markup {
    html! {
        @if !text.is_empty() {
            div { dt { (label) } dd { (text) } }
        }
    }
}

/// A command of the tool that says more.
pub(super) fn explain(page: &str) -> Markup {
    html! { code { "btrfs-probe explain " (page) } }
}
