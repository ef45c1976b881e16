//! The pages of findings and causes, as they are in `docs/`.
use probe_ledger::FindingKind;

use super::cause::Cause;

/// The page of a kind of finding, Markdown.
#[must_use]
pub const fn of_kind(kind: FindingKind) -> &'static str {
    match kind {
        FindingKind::OverRelease => include_str!("../../../docs/findings/over-release.md"),
        FindingKind::Leak => include_str!("../../../docs/findings/leak.md"),
        FindingKind::ErrorPathOverRelease => {
            include_str!("../../../docs/findings/error-path-over-release.md")
        }
        FindingKind::ErrorPathLeak => include_str!("../../../docs/findings/error-path-leak.md"),
        FindingKind::PublishBeforeReserve => include_str!("../../../docs/findings/publish-before-reserve.md"),
        FindingKind::WrongOwner => include_str!("../../../docs/findings/wrong-owner.md"),
        FindingKind::Underflow => include_str!("../../../docs/findings/underflow.md"),
        FindingKind::CounterMismatch => include_str!("../../../docs/findings/counter-mismatch.md"),
    }
}

/// The page of a cause, Markdown.
#[must_use]
pub const fn of_cause(cause: Cause) -> &'static str {
    match cause {
        Cause::DataOnlyFreeSpace => include_str!("../../../docs/enospc/data-only-free-space.md"),
        Cause::NoRoomForAChunk => include_str!("../../../docs/enospc/no-room-for-a-chunk.md"),
        Cause::GlobalReserveDrained => include_str!("../../../docs/enospc/global-reserve-drained.md"),
        Cause::DelayedRefsReserve => include_str!("../../../docs/enospc/delayed-refs-reserve.md"),
        Cause::PinnedUntilCommit => include_str!("../../../docs/enospc/pinned-until-commit.md"),
        Cause::QgroupLimit => include_str!("../../../docs/enospc/qgroup-limit.md"),
        Cause::OvercommitRefused => include_str!("../../../docs/enospc/overcommit-refused.md"),
        Cause::ZoneUnusable => include_str!("../../../docs/enospc/zone-unusable.md"),
        Cause::ReadonlyBlockGroups => include_str!("../../../docs/enospc/readonly-block-groups.md"),
        Cause::WaitingReservations => include_str!("../../../docs/enospc/waiting-reservations.md"),
    }
}

/// The page of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static str> {
    let kind = FindingKind::ALL.into_iter().find(|kind| kind.name() == name).map(of_kind);
    kind.or_else(|| Cause::ALL.into_iter().find(|cause| cause.name() == name).map(of_cause))
}

/// A name and what it means.
pub type Entry = (&'static str, String);

/// All pages: the kinds of findings, and the causes, each with what its page begins with.
#[must_use]
pub fn list() -> (Vec<Entry>, Vec<Entry>) {
    // The second line of a page says in a sentence what the kind is.
    let first = |page: &str| page.lines().find(|line| !line.starts_with('#')).unwrap_or_default().to_owned();
    (
        FindingKind::ALL.into_iter().map(|kind| (kind.name(), first(of_kind(kind)))).collect(),
        Cause::ALL.into_iter().map(|cause| (cause.name(), cause.title().to_owned())).collect(),
    )
}
