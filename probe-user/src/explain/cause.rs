//! Why there is no space: ten causes, each with a page in `docs/enospc/`.

/// A cause of ENOSPC or EDQUOT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "each has its title below, and a page")]
pub enum Cause {
    DataOnlyFreeSpace,
    NoRoomForAChunk,
    GlobalReserveDrained,
    DelayedRefsReserve,
    PinnedUntilCommit,
    QgroupLimit,
    OvercommitRefused,
    ZoneUnusable,
    ReadonlyBlockGroups,
    WaitingReservations,
}

impl Cause {
    /// All causes.
    pub const ALL: [Self; 10] = [
        Self::DataOnlyFreeSpace,
        Self::NoRoomForAChunk,
        Self::GlobalReserveDrained,
        Self::DelayedRefsReserve,
        Self::PinnedUntilCommit,
        Self::QgroupLimit,
        Self::OvercommitRefused,
        Self::ZoneUnusable,
        Self::ReadonlyBlockGroups,
        Self::WaitingReservations,
    ];

    /// Name on the command line, in JSON and of the page.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::DataOnlyFreeSpace => "data-only-free-space",
            Self::NoRoomForAChunk => "no-room-for-a-chunk",
            Self::GlobalReserveDrained => "global-reserve-drained",
            Self::DelayedRefsReserve => "delayed-refs-reserve",
            Self::PinnedUntilCommit => "pinned-until-commit",
            Self::QgroupLimit => "qgroup-limit",
            Self::OvercommitRefused => "overcommit-refused",
            Self::ZoneUnusable => "zone-unusable",
            Self::ReadonlyBlockGroups => "readonly-block-groups",
            Self::WaitingReservations => "waiting-reservations",
        }
    }

    /// In short.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::DataOnlyFreeSpace => "the free space is in block groups of data, and metadata is full",
            Self::NoRoomForAChunk => "block groups are full, and the devices have no room for another chunk",
            Self::GlobalReserveDrained => "the global reserve, the last resort of metadata, is used up",
            Self::DelayedRefsReserve => "references that are not written yet hold the metadata space",
            Self::PinnedUntilCommit => "freed space can be used only after the commit",
            Self::QgroupLimit => "a limit of a qgroup is reached, whatever is free",
            Self::OvercommitRefused => "a chunk could be allocated, but the kernel promises no more",
            Self::ZoneUnusable => "freed bytes of zones that were not reset yet",
            Self::ReadonlyBlockGroups => "free bytes are in block groups that are read-only",
            Self::WaitingReservations => {
                "others wait for space already, and a task that may not wait cannot pass them"
            }
        }
    }

    /// What helps, the first thing first.
    #[must_use]
    pub const fn helps(self) -> &'static [&'static str] {
        match self {
            Self::DataOnlyFreeSpace => &[
                "btrfs balance start -dusage=0 MOUNT, then -dusage=10, 20, ...: it empties block groups of data, and gives their space back to the devices",
                "if balance fails with ENOSPC too: btrfs device add a small device for the time of the balance",
            ],
            Self::NoRoomForAChunk => &[
                "delete files or snapshots, then btrfs balance start -dusage=10 MOUNT",
                "add a device, or enlarge one (btrfs filesystem resize); a profile with copies needs room on as many devices",
            ],
            Self::GlobalReserveDrained => &[
                "add a device, even a small one, so that metadata can get a chunk; remount if the filesystem became read-only",
                "do not delete many snapshots at once before: that needs metadata too",
            ],
            Self::DelayedRefsReserve => &[
                "btrfs filesystem sync MOUNT, or wait: the transaction writes the references and gives the bytes back",
                "do less at once what makes references: deletion of snapshots, dedupe, balance",
            ],
            Self::PinnedUntilCommit => &[
                "btrfs filesystem sync MOUNT: after the commit the bytes are free",
                "delete in smaller steps, with a sync between them",
            ],
            Self::QgroupLimit => &[
                "btrfs qgroup show -re MOUNT shows which limit; raise it with btrfs qgroup limit, or delete files of that subvolume and sync",
            ],
            Self::OvercommitRefused => &[
                "btrfs filesystem sync MOUNT, then try again: reservations that waited are given back",
                "btrfs balance start -dusage=10 MOUNT makes more space unallocated",
            ],
            Self::ZoneUnusable => &[
                "btrfs balance start -dusage=50 MOUNT (-musage for metadata): it moves what is left in such zones, and they are reset",
                "a lower /sys/fs/btrfs/UUID/bg_reclaim_threshold makes the kernel reclaim zones earlier",
            ],
            Self::ReadonlyBlockGroups => &[
                "wait for scrub or balance to end (btrfs scrub status, btrfs balance status), or cancel it",
                "remount if the filesystem became read-only",
            ],
            Self::WaitingReservations => &[
                "nothing for this one: whoever may not wait has another way, and takes it",
                "find why the others wait: their failure, if they fail, says what is short",
            ],
        }
    }
}
