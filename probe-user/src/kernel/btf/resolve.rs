//! From the table to the numbers that the kernel side gets.
use probe_common::claim::RsvType;
use probe_common::offsets::{ABSENT, Offsets};

use super::KernelTypes;
use super::fields::{ROWS, RSV_TYPE_PREFIX, Source};
use super::lookup::member;

/// A field that this kernel's BTF does not have.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct MissingField {
    /// Its name in [`Offsets`].
    pub name: &'static str,
    /// Why, in a sentence.
    pub reason: String,
}

/// What the BTF of a kernel gave.
#[derive(Clone, Debug)]
pub struct ResolvedOffsets {
    /// The numbers; [`ABSENT`] where a field is missing.
    pub offsets: Offsets,
    /// The fields that are missing, with the reason. Some are on every kernel: no version has them all.
    pub missing: Vec<MissingField>,
}

impl ResolvedOffsets {
    /// Names of all fields that are looked for.
    pub fn wanted() -> impl Iterator<Item = &'static str> {
        ROWS.iter().map(|row| row.name).chain([RSV_TYPE_MAP])
    }

    /// Whether a missing field does no harm on this version. Either another, resolved field stands in for it: an error is
    /// `BTRFS_FS_STATE_ERROR` in `fs_state` on 6.1, and `fs_error` later. Or the kernel side knows its value for the
    /// versions where it is a macro, or what takes its place there.
    #[must_use]
    pub fn is_replaced(&self, name: &str) -> bool {
        const EITHER: [&str; 2] = ["fs_fs_error", "fs_state_error_bit"];
        /// What newer kernels have more, and older ones do not need.
        const MORE: [&str; 8] = [
            "sinfo_fs_info",
            "sinfo_sub_group",
            "fs_treelog_rsv",
            "fs_remap_block_rsv",
            "fs_type_list",
            "ref_head_is_data",
            "ref_head_owning_root",
            "ref_head_reserved_bytes",
        ];
        /// With the values of 6.1 in the kernel side.
        const MACROS: [&str; 6] = [
            "trans_join_mask",
            "extent_delalloc",
            "extent_clear_meta_resv",
            "extent_noreserve",
            "extent_qgroup_reserved",
            "extent_clear_data_resv",
        ];
        MORE.contains(&name)
            || MACROS.contains(&name)
            || name == "trans_delayed_rsv"
            || EITHER.contains(&name) && EITHER.iter().any(|field| self.why_missing(field).is_none())
    }

    /// Why a field is missing, if it is.
    #[must_use]
    pub fn why_missing(&self, name: &str) -> Option<&str> {
        self.missing.iter().find(|field| field.name == name).map(|field| field.reason.as_str())
    }
}

const RSV_TYPE_MAP: &str = "rsv_type_map";

impl KernelTypes {
    /// Resolves every field of [`Offsets`].
    #[must_use]
    pub fn resolve(&self) -> ResolvedOffsets {
        let mut offsets = Offsets::UNKNOWN;
        let mut missing = Vec::new();
        for row in ROWS {
            if self.is_on_the_stack(row.source) {
                continue;
            }
            match self.number(row.source) {
                Ok(number) => *(row.slot)(&mut offsets) = number,
                Err(reason) => missing.push(MissingField { name: row.name, reason }),
            }
        }
        match self.rsv_type_map() {
            Ok(map) => offsets.rsv_type_map = map,
            Err(reason) => missing.push(MissingField { name: RSV_TYPE_MAP, reason }),
        }
        ResolvedOffsets { offsets: offsets.with_spans(), missing }
    }

    fn number(&self, source: Source) -> Result<u32, String> {
        let number = match source {
            Source::Offset(of, paths) => {
                let mut first_failure = None;
                let place = paths.iter().find_map(|path| match member(&self.named, of, path) {
                    Ok(place) => Some(place),
                    Err(reason) => {
                        first_failure.get_or_insert(reason);
                        None
                    }
                });
                place.map(|place| place.offset).ok_or_else(|| first_failure.unwrap_or_default())?
            }
            Source::Register { x86, arm64 } => self.register(x86, arm64)?,
            Source::Size(of, path) => match member(&self.named, of, path)?.size {
                0 => return Err(format!("the size of {} in struct {of} is not known", path.join("."))),
                size => size,
            },
            Source::Enumerator(name) => u32::try_from(self.enumerators.value(name)?)
                .map_err(|_| format!("{name} is too large for what it is used for"))?,
            Source::Argument { names, index, yes, no } => self.argument(names, index, yes, no)?,
        };
        if number == ABSENT {
            return Err("the number this kernel gives is the one that marks an absent field".to_owned());
        }
        Ok(number)
    }

    /// Whether this is what arm64 has in a register, and these are the types of x86-64: the kernel side looks on the stack then.
    fn is_on_the_stack(&self, source: Source) -> bool {
        matches!(source, Source::Register { x86: None, .. })
            && member(&self.named, "pt_regs", &["di"]).is_ok()
    }

    /// The one member that tells the machines apart is `regs`, which x86-64 does not have.
    fn register(&self, x86: Option<&str>, arm64: u32) -> Result<u32, String> {
        let array = member(&self.named, "pt_regs", &["regs"]);
        match (array, x86) {
            (Ok(array), _) => Ok(array.offset + arm64 * 8),
            (Err(_), Some(name)) => Ok(member(&self.named, "pt_regs", &[name])?.offset),
            (Err(reason), None) => Err(reason),
        }
    }

    fn argument(&self, names: &[&str], index: usize, yes: &[&str], no: &[&str]) -> Result<u32, String> {
        let (name, proto) = names
            .iter()
            .find_map(|name| Some((*name, self.tracepoint(name)?)))
            .ok_or_else(|| format!("this kernel has no tracepoint {}", names.join(" or ")))?;
        let found = proto.args.get(index).map_or("", String::as_str);
        let unqualified = found.strip_prefix("const ").unwrap_or(found);
        if yes.contains(&unqualified) {
            Ok(1)
        } else if no.contains(&unqualified) {
            Ok(0)
        } else {
            Err(format!(
                "tracepoint {name} hands out ({}), which is not a form we know",
                proto.args.join(", ")
            ))
        }
    }

    /// The kernel's rsv types in numbers of ours; types that we do not know are [`RsvType::None`].
    fn rsv_type_map(&self) -> Result<[u8; 16], String> {
        let mut map = [RsvType::None as u8; 16];
        let mut seen = false;
        for (name, value) in self.enumerators.starting_with(RSV_TYPE_PREFIX) {
            let slot = usize::try_from(value.clone()?).ok().and_then(|index| map.get_mut(index));
            let slot = slot.ok_or_else(|| format!("{RSV_TYPE_PREFIX}{name} is larger than expected"))?;
            let known = rsv_type(name);
            if known != RsvType::None && *slot != RsvType::None as u8 {
                return Err(format!(
                    "two enumerators {RSV_TYPE_PREFIX}* of this kernel have the number of {name}"
                ));
            }
            *slot = (*slot).max(known as u8);
            seen = true;
        }
        if seen { Ok(map) } else { Err(format!("this kernel has no enumerators {RSV_TYPE_PREFIX}*")) }
    }
}

fn rsv_type(name: &str) -> RsvType {
    match name {
        "GLOBAL" => RsvType::Global,
        "DELALLOC" => RsvType::Delalloc,
        "TRANS" => RsvType::Trans,
        "CHUNK" => RsvType::Chunk,
        "DELOPS" => RsvType::DelayedOps,
        "DELREFS" => RsvType::DelayedRefs,
        "TREELOG" => RsvType::TreeLog,
        "REMAP" => RsvType::Remap,
        "EMPTY" => RsvType::Empty,
        "TEMP" => RsvType::Temp,
        _ => RsvType::None,
    }
}
