//! From figures to causes: which term of `used + pinned + reserved + may_use + readonly + zone_unusable` did not fit.
//!
//! The rules mirror `btrfs_can_overcommit()`, `btrfs_chunk_alloc()` and `btrfs_statfs()`. A cause is named only if the figures
//! show it; a dump has no unallocated bytes, but `full` is the kernel's own word that a chunk could not be allocated.
use super::{
    case::Case,
    cause::Cause,
    profile::{ChunkRoom, chunk_room},
    space::{Moment, ReserveName, SpaceInfo, SpaceKind, Trigger},
    usage::Usage,
};

/// A reservation of metadata is rarely larger (`btrfs_calc_insert_metadata_size()` for some ten items). Assumed where the text does
/// not say what was asked for.
const USUAL_REQUEST: i64 = 4 << 20;
/// `btrfs_statfs()`: with less free metadata than this beside the global reserve, it shows 0 bytes available.
const STATFS_MARGIN: i64 = 4 << 20;

/// Room that a superblock takes (`BTRFS_STRIPE_LEN`, `exclude_super_stripes()`).
const SUPERBLOCK: i64 = 64 << 10;

/// What is known of room for another chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// No chunk: by the unallocated bytes of the devices.
    None(ChunkRoom),
    /// No chunk: the kernel tried.
    Refused,
    /// There is room.
    Some,
    /// The text does not say.
    Unknown,
}

impl Room {
    const fn is_none(self) -> bool {
        matches!(self, Self::None(_) | Self::Refused)
    }
}

/// What did not fit, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Derived {
    /// The causes, the first one first. Empty if the figures show none.
    pub causes: Vec<Cause>,
    /// What was full.
    pub kind: SpaceKind,
    /// Sub-group of the space_info.
    pub subgroup: i64,
    /// Room for another chunk.
    pub room: Room,
    /// Free bytes that only data can use.
    pub data_free: i64,
}

impl Derived {
    const fn nothing(kind: SpaceKind) -> Self {
        Self { causes: Vec::new(), kind, subgroup: 0, room: Room::Unknown, data_free: 0 }
    }
}

/// Derives the causes of one filesystem.
#[must_use]
pub fn derive(case: &Case) -> Derived {
    let log = case.log.as_ref();
    let edquot = log.is_some_and(|log| log.edquot);
    let mut derived = match case.moment() {
        Some(moment) if moment.trigger == Trigger::Unmount => Derived::nothing(SpaceKind::Unknown),
        Some(moment) => of_moment(case, moment),
        None => case.usage.as_ref().map_or(Derived::nothing(SpaceKind::Unknown), of_usage),
    };
    if edquot {
        // A dump of a failed ticket or of an abort is about space; any other one may be a try that had another way.
        let about_space = log.is_some_and(|log| log.enospc)
            || case.moment().is_some_and(|moment| moment.trigger >= Trigger::Allocation);
        let at = if about_space { derived.causes.len() } else { 0 };
        derived.causes.insert(at, Cause::QgroupLimit);
    }
    derived
}

/// The space_info of a dump that was short.
#[must_use]
pub fn stuck(moment: &Moment) -> Option<&SpaceInfo> {
    if let Some(kind) = moment.wanted
        && let Some(space) = moment.spaces.iter().find(|space| space.kind == kind)
    {
        return Some(space);
    }
    if let [only] = moment.spaces.as_slice() {
        return Some(only);
    }
    let order = |space: &&SpaceInfo| {
        let kind = match space.kind {
            SpaceKind::Metadata | SpaceKind::Mixed => 0,
            SpaceKind::System => 1,
            SpaceKind::Data | SpaceKind::Unknown => 2,
        };
        (space.free() > 0, kind)
    };
    // An abort is never for lack of data space: a reservation of data fails before.
    let can_abort = |space: &&SpaceInfo| moment.trigger != Trigger::Abort || space.kind != SpaceKind::Data;
    moment
        .spaces
        .iter()
        .filter(|space| space.free() <= 0 || space.full == Some(true))
        .filter(can_abort)
        .min_by_key(order)
}

/// Bytes that were missing: exactly, if the text says what was asked for.
fn lacking(space: &SpaceInfo, moment: &Moment) -> i64 {
    let free = space.free();
    match moment.request {
        Some(request) => request.saturating_sub(free).max(1),
        None => free.min(0).saturating_neg().saturating_add(USUAL_REQUEST.min(space.total / 8).max(1)),
    }
}

fn of_moment(case: &Case, moment: &Moment) -> Derived {
    let Some(space) = stuck(moment) else { return Derived::nothing(SpaceKind::Unknown) };
    let lacking = lacking(space, moment);
    let fits = moment.request.is_some_and(|request| request <= space.free());
    let room = room_of(case, space);
    let data_free = data_free(case, moment, space.kind);
    // `__reserve_bytes()`: whoever may not wait does not pass those that do, whether it would have found free bytes or unallocated
    // space. Where there is neither, that is why.
    if moment.trigger < Trigger::Tickets && moment.waiting > 0 && (fits || !room.is_none()) {
        let (kind, subgroup) = (space.kind, space.subgroup);
        return Derived { causes: vec![Cause::WaitingReservations], kind, subgroup, room, data_free };
    }
    let held = |name| moment.reserve(name).map_or(0, |reserve| reserve.reserved);
    let metadata = space.kind.has_metadata() && space.subgroup == 0;

    let mut terms = vec![
        (space.pinned, Cause::PinnedUntilCommit),
        (space.readonly.saturating_sub(superblocks(case)), Cause::ReadonlyBlockGroups),
        (space.zone_unusable, Cause::ZoneUnusable),
    ];
    if metadata {
        terms.push((held(ReserveName::DelayedRefs), Cause::DelayedRefsReserve));
    }
    terms.retain(|(bytes, _)| !fits && *bytes >= lacking);
    terms.sort_by_key(|(bytes, _)| std::cmp::Reverse(*bytes));
    let mut causes: Vec<Cause> = terms.into_iter().map(|(_, cause)| cause).collect();

    if metadata
        && let Some(global) = moment.reserve(ReserveName::Global)
        && global.size > 0
        && global.reserved < global.size / 2
    {
        causes.push(Cause::GlobalReserveDrained);
    }

    if room.is_none() && !fits {
        if data_free >= lacking && data_free > 1 << 20 {
            causes.push(Cause::DataOnlyFreeSpace);
        }
        causes.push(Cause::NoRoomForAChunk);
    } else if !fits && room == Room::Some && space.kind.has_metadata() {
        causes.push(Cause::OvercommitRefused);
    }
    Derived { causes, kind: space.kind, subgroup: space.subgroup, room, data_free }
}

/// Bytes of `readonly` that may be superblocks, which are there for ever: at most three on a device.
fn superblocks(case: &Case) -> i64 {
    let devices = case.usage.as_ref().map_or(1, |usage| usage.devices.len().max(1));
    i64::try_from(devices).unwrap_or(i64::MAX).saturating_mul(3 * SUPERBLOCK)
}

/// Whether a chunk for this space_info would find room, at the moment of the dump.
fn room_of(case: &Case, space: &SpaceInfo) -> Room {
    let by_devices = case.usage.as_ref().and_then(|usage| chunk_room(usage, usage.profile(space.kind)?));
    match (space.full, by_devices) {
        (_, Some(room)) if !room.enough() => Room::None(room),
        (Some(true), _) => Room::Refused,
        _ if case.log.as_ref().is_some_and(|log| log.few_devices.is_some()) => Room::Refused,
        (Some(false), _) | (None, Some(_)) => Room::Some,
        (None, None) => Room::Unknown,
    }
}

/// What data has free while `kind` is full; 0 if data is what is full.
fn data_free(case: &Case, moment: &Moment, kind: SpaceKind) -> i64 {
    if !matches!(kind, SpaceKind::Metadata | SpaceKind::System) {
        return 0;
    }
    let in_dump = moment.spaces.iter().filter(|space| space.kind == SpaceKind::Data);
    let in_dump = in_dump.map(SpaceInfo::free).reduce(i64::saturating_add);
    in_dump
        .or_else(|| case.usage.as_ref().and_then(|usage| free_of(usage, SpaceKind::Data)))
        .unwrap_or(0)
        .max(0)
}

/// `Size - Used` of one kind.
#[must_use]
pub fn free_of(usage: &Usage, kind: SpaceKind) -> Option<i64> {
    usage.of(kind).map(|(size, used)| size.bytes.saturating_sub(used.bytes))
}

/// Without a dump: what is short by the figures of btrfs-progs alone, as `btrfs_statfs()` judges it.
fn of_usage(usage: &Usage) -> Derived {
    let room = |kind: SpaceKind| match usage.profile(kind).and_then(|profile| chunk_room(usage, profile)) {
        Some(room) if !room.enough() => Room::None(room),
        Some(_) => Room::Some,
        None => Room::Unknown,
    };
    let global = usage.global_reserve.map_or(0, |(size, _)| size.bytes);
    let drained = usage
        .global_reserve
        .is_some_and(|(size, used)| size.bytes > 0 && used.is_some_and(|used| used.bytes > size.bytes / 2));
    for kind in [SpaceKind::Metadata, SpaceKind::Mixed] {
        let Some(free) = free_of(usage, kind) else { continue };
        let short = free.saturating_sub(STATFS_MARGIN) < global;
        let room = room(kind);
        let stuck = short && room.is_none();
        if !stuck && !drained {
            continue;
        }
        let data_free =
            if kind == SpaceKind::Mixed { 0 } else { free_of(usage, SpaceKind::Data).unwrap_or(0) };
        let mut causes = Vec::new();
        if drained {
            causes.push(Cause::GlobalReserveDrained);
        }
        if stuck {
            if data_free > 1 << 20 {
                causes.push(Cause::DataOnlyFreeSpace);
            }
            causes.push(Cause::NoRoomForAChunk);
        }
        return Derived { causes, kind, subgroup: 0, room, data_free };
    }
    let room = room(SpaceKind::Data);
    let unusable = usage.zone_unusable.map_or(0, |bytes| bytes.bytes);
    if let Some(free) = free_of(usage, SpaceKind::Data)
        && room.is_none()
        && (free < 1 << 20 || unusable > free / 2)
    {
        let mut causes = vec![Cause::NoRoomForAChunk];
        if unusable > 0 {
            causes.insert(0, Cause::ZoneUnusable);
        }
        return Derived { causes, kind: SpaceKind::Data, subgroup: 0, room, data_free: 0 };
    }
    Derived::nothing(SpaceKind::Unknown)
}
