//! What a dump of the kernel says of one moment: space_infos, block_rsvs, block groups, and what was asked for.

/// What a space_info, or a line of btrfs-progs, is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SpaceKind {
    /// Content of files.
    Data,
    /// Trees.
    Metadata,
    /// The chunk tree.
    System,
    /// Data and metadata in the same block groups (`mkfs.btrfs --mixed`).
    Mixed,
    /// A type that this version does not know, or a dump whose first line is missing.
    Unknown,
}

impl SpaceKind {
    /// As the kernel prints it: a name since 6.1, before that the number of its flags.
    #[must_use]
    pub fn of_kernel(text: &str) -> Self {
        match text {
            "DATA" => Self::Data,
            "METADATA" => Self::Metadata,
            "SYSTEM" => Self::System,
            "DATA+METADATA" => Self::Mixed,
            number => number.parse().map_or(Self::Unknown, Self::of_flags),
        }
    }

    /// By `BTRFS_BLOCK_GROUP_*`; bits of the profile do not count.
    #[must_use]
    pub const fn of_flags(flags: u64) -> Self {
        match flags & 7 {
            1 => Self::Data,
            2 => Self::System,
            4 => Self::Metadata,
            5 => Self::Mixed,
            _ => Self::Unknown,
        }
    }

    /// As btrfs-progs prints it.
    #[must_use]
    pub fn of_progs(text: &str) -> Option<Self> {
        match text {
            "Data" => Some(Self::Data),
            "Metadata" => Some(Self::Metadata),
            "System" => Some(Self::System),
            "Data+Metadata" => Some(Self::Mixed),
            _ => None,
        }
    }

    /// Name in tables and JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Data => "data",
            Self::Metadata => "metadata",
            Self::System => "system",
            Self::Mixed => "mixed",
            Self::Unknown => "unknown",
        }
    }

    /// At the start of a sentence.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Data => "Data",
            Self::Metadata => "Metadata",
            Self::System => "System",
            Self::Mixed => "Mixed data and metadata",
            Self::Unknown => "A space_info whose type is not in the text",
        }
    }

    /// Whether trees are stored here.
    #[must_use]
    pub const fn has_metadata(self) -> bool {
        matches!(self, Self::Metadata | Self::Mixed)
    }
}

/// `struct btrfs_space_info`, as `__btrfs_dump_space_info()` prints it. Bytes; what is negative had wrapped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpaceInfo {
    /// What it is for.
    pub kind: SpaceKind,
    /// Sub-group of a zoned filesystem; 0 is the first, and the only one of other filesystems.
    pub subgroup: i64,
    /// The free bytes as the kernel printed them.
    pub printed_free: Option<i64>,
    /// Whether the last try to allocate a chunk failed.
    pub full: Option<bool>,
    /// Bytes in block groups.
    pub total: i64,
    /// Bytes in extents.
    pub used: i64,
    /// Freed in this transaction, usable after its commit.
    pub pinned: i64,
    /// Allocated and not written yet.
    pub reserved: i64,
    /// Promised to reservations.
    pub may_use: i64,
    /// Free bytes of read-only block groups, and superblocks.
    pub readonly: i64,
    /// Bytes behind the write pointer that a zone gives back only when it is reset.
    pub zone_unusable: i64,
}

impl SpaceInfo {
    /// Everything that is subtracted from `total`, with its name, in the kernel's order.
    #[must_use]
    pub const fn terms(&self) -> [(&'static str, i64); 6] {
        [
            ("used", self.used),
            ("pinned", self.pinned),
            ("reserved", self.reserved),
            ("may_use", self.may_use),
            ("readonly", self.readonly),
            ("zone_unusable", self.zone_unusable),
        ]
    }

    /// `total - btrfs_space_info_used(info, true)`: what a reservation can take without a new chunk. Negative if overcommitted.
    #[must_use]
    pub fn free(&self) -> i64 {
        let taken: i128 = self.terms().iter().map(|(_, bytes)| i128::from(*bytes)).sum();
        clamp(i128::from(self.total) - taken)
    }

    /// What is neither used nor waits for something: free for this kind alone, reservations aside.
    #[must_use]
    pub fn unused(&self) -> i64 {
        clamp(i128::from(self.free()) + i128::from(self.may_use))
    }
}

/// The nearest number of 64 bits.
#[must_use]
pub fn clamp(number: i128) -> i64 {
    i64::try_from(number).unwrap_or(if number < 0 { i64::MIN } else { i64::MAX })
}

/// A line of `DUMP_BLOCK_RSV`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reserve {
    /// Which.
    pub name: ReserveName,
    /// Bytes that it should hold.
    pub size: i64,
    /// Bytes that it holds, part of `may_use` of its space_info.
    pub reserved: i64,
}

/// The block_rsvs of a filesystem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "the kernel's names")]
pub enum ReserveName {
    Global,
    Trans,
    Chunk,
    Delayed,
    DelayedRefs,
    Remap,
    Treelog,
}

impl ReserveName {
    /// All, in the order of the dump.
    pub const ALL: [Self; 7] = [
        Self::Global,
        Self::Trans,
        Self::Chunk,
        Self::Delayed,
        Self::DelayedRefs,
        Self::Remap,
        Self::Treelog,
    ];

    /// As the kernel prints it.
    #[must_use]
    pub const fn kernel_name(self) -> &'static str {
        match self {
            Self::Global => "global_block_rsv",
            Self::Trans => "trans_block_rsv",
            Self::Chunk => "chunk_block_rsv",
            Self::Delayed => "delayed_block_rsv",
            Self::DelayedRefs => "delayed_refs_rsv",
            Self::Remap => "remap_block_rsv",
            Self::Treelog => "treelog_rsv",
        }
    }

    /// In a sentence.
    #[must_use]
    pub const fn phrase(self) -> &'static str {
        match self {
            Self::Global => "the global reserve",
            Self::Trans => "running transactions",
            Self::Chunk => "chunks being allocated",
            Self::Delayed => "delayed items",
            Self::DelayedRefs => "the delayed refs reserve",
            Self::Remap => "the remap reserve",
            Self::Treelog => "the tree log",
        }
    }

    /// Whether its bytes are part of `may_use` of this space_info.
    #[must_use]
    pub const fn belongs_to(self, kind: SpaceKind, subgroup: i64) -> bool {
        if subgroup != 0 {
            return false;
        }
        match self {
            Self::Chunk => matches!(kind, SpaceKind::System),
            // They have space_infos of their own where they exist.
            Self::Remap | Self::Treelog => false,
            _ => kind.has_metadata(),
        }
    }
}

/// The block groups of a dump, added up: a filesystem may have thousands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BlockGroups {
    /// How many were listed.
    pub listed: u64,
    /// How many of them are read-only.
    pub readonly: u64,
    /// Bytes of those that are read-only.
    pub readonly_bytes: i64,
    /// How many hold more than they have room for.
    pub impossible: u64,
}

/// What made the kernel print a dump.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trigger {
    /// A reservation failed. It may be one that has another way (`BTRFS_RESERVE_NO_FLUSH`), so nobody need have seen an error.
    #[default]
    Reservation,
    /// A block group should become read-only (balance, scrub) and could not.
    MakeReadonly,
    /// The unmount found bytes that nobody gave back.
    Unmount,
    /// The extent allocator found no extent.
    Allocation,
    /// All flushing was done, and waiting reservations failed.
    Tickets,
    /// A transaction was aborted.
    Abort,
}

/// One dump: everything that the kernel printed at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// What made the kernel print it.
    pub trigger: Trigger,
    /// The space_infos.
    pub spaces: Vec<SpaceInfo>,
    /// The block_rsvs.
    pub reserves: Vec<Reserve>,
    /// The block groups.
    pub groups: BlockGroups,
    /// Bytes that were asked for.
    pub request: Option<i64>,
    /// What they were asked of, if the text says so.
    pub wanted: Option<SpaceKind>,
    /// Reservations that failed.
    pub tickets: u64,
    /// Bytes of the reservations that wait for this space (`reclaim_size`); 0 if they are not known.
    pub waiting: i64,
}

impl Moment {
    /// A block_rsv by name.
    #[must_use]
    pub fn reserve(&self, name: ReserveName) -> Option<&Reserve> {
        self.reserves.iter().find(|reserve| reserve.name == name)
    }

    /// The block_rsvs whose bytes are part of `may_use` of this space_info.
    pub fn reserves_of<'a>(&'a self, space: &'a SpaceInfo) -> impl Iterator<Item = &'a Reserve> {
        let here = |of: &SpaceInfo| (of.kind, of.subgroup) == (space.kind, space.subgroup);
        self.reserves.iter().filter(move |reserve| self.owner_of(reserve.name).is_some_and(here))
    }

    /// The space_info that a block_rsv is of. A damaged log can show several that it could be of; it is of one.
    #[must_use]
    pub fn owner_of(&self, name: ReserveName) -> Option<&SpaceInfo> {
        self.spaces.iter().find(|space| name.belongs_to(space.kind, space.subgroup))
    }
}
