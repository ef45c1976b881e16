//! The functions of the functions tier, in the order of attachment, and which of them this kernel has.
//!
//! `means.rs` decides by what they are hooked. Their types in BTF, never a version, decide where the arguments are. A
//! function that does not show what the books need is left out.
use std::{cell::LazyCell, ops::RangeInclusive};

use probe_common::{
    hook::HookId,
    signature::{
        NO_ARG, SOME_ARG, SUBJECT_FS, SUBJECT_INODE, SUBJECT_IO_TREE, SUBJECT_ORDERED, SUBJECT_ROOT,
        SUBJECT_RSV, SUBJECT_SPACE, SUBJECT_TRANS, SUBJECT_TRANSACTION, SUBJECT_VFS_INODE, Signature,
        Signatures,
    },
};

use super::means::Means;
use crate::kernel::btf::{FunctionProto, KernelTypes};

/// A function as this version knows it.
#[derive(Clone, Copy, Debug)]
pub struct Function {
    /// The hook; its name is the function's.
    pub hook: HookId,
    /// Its name on older kernels, if it had another.
    older_name: Option<&'static str>,
    /// How the names of its programs begin.
    program: &'static str,
    /// Whether its return is watched too; false if the entry shows all that is needed.
    pub returns: bool,
    /// Whether the exact books need it on a kernel that has it.
    pub required: bool,
    /// Whether some of the supported kernels do not have it at all.
    pub optional: bool,
    /// Types of its subject: the first of these among its arguments is taken.
    subject: &'static [u8],
    /// The type of the second object that is read, if one is.
    second: Option<&'static str>,
    /// Whether some kernels have no second object.
    second_optional: bool,
    /// How many integer arguments it must have.
    numbers: usize,
    /// Whether the kernel side finds the subject among the arguments of a clone, of which BTF says nothing.
    searched: bool,
}

/// Of a clone: its subject is somewhere among the arguments.
const SEARCHED: Signature = Signature { subject: SOME_ARG, kind: SUBJECT_INODE, ..Signature::UNKNOWN };

/// Types in C by `SUBJECT_*`.
const TYPES: &[(u8, &[&str])] = &[
    (SUBJECT_INODE, &["struct btrfs_inode *", "const struct btrfs_inode *"]),
    (SUBJECT_VFS_INODE, &["struct inode *"]),
    (SUBJECT_FS, &["struct btrfs_fs_info *", "const struct btrfs_fs_info *"]),
    (SUBJECT_RSV, &["struct btrfs_block_rsv *"]),
    (SUBJECT_TRANS, &["struct btrfs_trans_handle *"]),
    (SUBJECT_SPACE, &["struct btrfs_space_info *"]),
    (SUBJECT_ORDERED, &["struct btrfs_ordered_extent *"]),
    (SUBJECT_ROOT, &["struct btrfs_root *"]),
    (SUBJECT_IO_TREE, &["struct extent_io_tree *"]),
    (SUBJECT_TRANSACTION, &["struct btrfs_transaction *"]),
];

const INODE: &[u8] = &[SUBJECT_INODE];
const ANY_INODE: &[u8] = &[SUBJECT_INODE, SUBJECT_VFS_INODE];
const RSV: &[u8] = &[SUBJECT_RSV];
const TRANS: &[u8] = &[SUBJECT_TRANS];
const FS: &[u8] = &[SUBJECT_FS];
const ROOT: &[u8] = &[SUBJECT_ROOT];
const IO_TREE: &[u8] = &[SUBJECT_IO_TREE];

/// In the order of attachment: functions that give back before functions that take, and the inner of two nested functions
/// first. So if we see a task take, we see it give back.
pub const FUNCTIONS: &[Function] = &[
    at_once(HookId::DestroyInode, "destroy_inode", ANY_INODE),
    at_once(HookId::ReleaseGlobalBlockRsv, "release_global_rsv", FS),
    // A static function that compilers pass parts of `fs_info` to instead.
    Function { searched: true, ..at_once(HookId::CalculateInodeRsv, "calculate_inode_rsv", INODE) },
    // Without it, what a transaction leaves is told after the next one.
    Function {
        required: false,
        ..at_once(HookId::CommitDeviceSizes, "commit_device_sizes", &[SUBJECT_TRANSACTION])
    },
    // Without these, what they leave is told when the inode is destroyed, or at the end of the transaction.
    Function {
        second: Some("struct extent_state *"),
        required: false,
        ..call(HookId::MergeDelallocExtent, "merge_delalloc_extent", ANY_INODE, 0)
    },
    Function {
        second: Some("struct extent_state *"),
        required: false,
        ..call(HookId::SplitDelallocExtent, "split_delalloc_extent", ANY_INODE, 1)
    },
    Function {
        required: false,
        optional: true,
        ..call(HookId::BlockGroupUpdated, "block_group_updated", FS, 0)
    },
    Function {
        required: false,
        optional: true,
        ..call(HookId::BlockGroupInserted, "block_group_inserted", FS, 0)
    },
    Function {
        second: Some("struct btrfs_delayed_ref_head *"),
        required: false,
        ..call(HookId::RefHeadEnd, "ref_head_end", FS, 0)
    },
    // Only the books of qgroups need these.
    Function {
        second: Some("struct btrfs_qgroup *"),
        required: false,
        ..at_once(HookId::QgroupEnd, "qgroup_end", FS)
    },
    Function {
        older_name: Some("clear_record_extent_bits"),
        second: Some("struct extent_changeset *"),
        required: false,
        ..call(HookId::ClearRecordBits, "clear_record_bits", IO_TREE, 3)
    },
    Function { required: false, ..at_once(HookId::QgroupFreeRefroot, "qgroup_free_refroot", FS) }.taking(3),
    Function { required: false, ..call(HookId::QgroupAccountExtents, "qgroup_account_extents", TRANS, 0) },
    Function { required: false, ..call(HookId::QgroupFreePertrans, "qgroup_free_pertrans", ROOT, 0) },
    Function {
        second: Some("struct btrfs_root *"),
        required: false,
        ..at_once(HookId::AllocReservedFileExtent, "alloc_reserved_file_extent", TRANS)
    }
    .taking(3),
    Function { required: false, ..call(HookId::QgroupFreeMeta, "qgroup_free_meta", ROOT, 2) },
    Function { required: false, ..call(HookId::QgroupConvertMeta, "qgroup_convert_meta", ROOT, 1) },
    Function { second: Some("u64 *"), ..call(HookId::BlockRsvRelease, "block_rsv_release", RSV, 1) },
    call(HookId::InodeRsvRelease, "inode_rsv_release", INODE, 1),
    call(HookId::ReleaseMetadata, "release_metadata", INODE, 2),
    call(HookId::ReleaseExtents, "release_extents", INODE, 1),
    Function { optional: true, ..call(HookId::ShrinkExtents, "shrink_extents", INODE, 2) },
    call(HookId::FreeReservedDataSpaceNoquota, "free_reserved_noquota", &[SUBJECT_INODE, SUBJECT_FS], 1),
    call(HookId::FreeReservedDataSpace, "free_reserved_data_space", INODE, 2),
    call(HookId::ReleaseSpace, "release_space", INODE, 2),
    Function {
        second: Some("struct extent_state *"),
        ..call(HookId::ClearDelallocExtent, "clear_delalloc_extent", ANY_INODE, 1)
    },
    Function {
        second: Some("struct btrfs_ordered_extent *"),
        ..call(HookId::RemoveOrderedExtent, "remove_ordered_extent", &[SUBJECT_INODE, SUBJECT_ORDERED], 0)
    },
    Function {
        second: Some("u64 *"),
        second_optional: true,
        ..call(HookId::QgroupFreeData, "qgroup_free_data", INODE, 2)
    },
    Function {
        second: Some("u64 *"),
        second_optional: true,
        ..call(HookId::QgroupReleaseData, "qgroup_release_data", INODE, 2)
    },
    Function {
        second: Some("struct btrfs_delayed_node *"),
        ..call(HookId::DelayedInodeRelease, "delayed_inode_release", FS, 1)
    },
    Function {
        second: Some("struct extent_state *"),
        ..at_once(HookId::SetDelallocExtent, "set_delalloc_extent", ANY_INODE)
    },
    call(HookId::TransReleaseMetadata, "trans_release_metadata", TRANS, 0),
    call(HookId::EndTransaction, "end_transaction", TRANS, 0),
    Function {
        second: Some("struct btrfs_block_rsv *"),
        ..call(HookId::BlockRsvMigrate, "block_rsv_migrate", RSV, 2)
    },
    Function { second: Some("struct btrfs_root *"), ..call(HookId::UseBlockRsv, "use_block_rsv", TRANS, 1) },
    Function {
        second: Some("struct reserve_ticket *"),
        ..call(HookId::StealFromGlobal, "steal_from_global", &[SUBJECT_SPACE], 0)
    },
    call(HookId::UpdateGlobalBlockRsv, "update_global_rsv", FS, 0),
    // Without these, block_rsvs are not compared with bytes_may_use call by call.
    Function { required: false, ..call(HookId::FinishExtentCommit, "finish_extent_commit", TRANS, 0) },
    Function { required: false, ..call(HookId::UpdateDelayedRefs, "update_delayed_refs", TRANS, 0) },
    // Some kernels take the bytes from a block_rsv, others from what the caller has reserved.
    Function {
        second: Some("struct btrfs_block_rsv *"),
        second_optional: true,
        required: false,
        optional: true,
        ..call(HookId::MigrateToDelayedRefs, "migrate_to_delayed_refs", FS, 1)
    },
    Function { required: false, ..call(HookId::RefillDelayedRefs, "refill_delayed_refs", FS, 1) },
    call(HookId::BlockRsvAddBytes, "block_rsv_add_bytes", RSV, 2),
    call(HookId::BlockRsvRefill, "block_rsv_refill", RSV, 2),
    call(HookId::BlockRsvAdd, "block_rsv_add", RSV, 2),
    call(HookId::ReserveMetadata, "reserve_metadata", INODE, 3),
    call(HookId::QgroupReserveData, "qgroup_reserve_data", INODE, 2),
    call(HookId::AllocDataChunkOndemand, "alloc_data_chunk_ondemand", INODE, 1),
    call(HookId::CheckDataFreeSpace, "check_data_free_space", INODE, 3),
    call(HookId::ReserveSpace, "reserve_space", INODE, 2),
    Function { required: false, ..call(HookId::QgroupReserveMeta, "qgroup_reserve_meta", ROOT, 2) },
    Function {
        older_name: Some("set_record_extent_bits"),
        second: Some("struct extent_changeset *"),
        required: false,
        ..call(HookId::SetRecordBits, "set_record_bits", IO_TREE, 3)
    },
    Function { required: false, ..call(HookId::DelayedUpdateInode, "delayed_update_inode", INODE, 0) },
    Function { required: false, ..call(HookId::StartTransaction, "start_transaction", ROOT, 3) },
];

const fn call(hook: HookId, program: &'static str, subject: &'static [u8], numbers: usize) -> Function {
    Function {
        hook,
        older_name: None,
        program,
        returns: true,
        required: true,
        optional: false,
        subject,
        second: None,
        second_optional: false,
        numbers,
        searched: false,
    }
}

const fn at_once(hook: HookId, program: &'static str, subject: &'static [u8]) -> Function {
    Function { returns: false, ..call(hook, program, subject, 0) }
}

impl Function {
    const fn taking(self, numbers: usize) -> Self {
        Self { numbers, ..self }
    }

    /// Program of the object for the entry.
    #[must_use]
    pub fn entry(&self, means: Means) -> String {
        let kind = match means {
            Means::Fentry => "fentry",
            Means::Kprobe => "in",
        };
        format!("{}_{kind}", self.program)
    }

    /// Program of the object for the return; `None` if the entry shows all that is needed.
    #[must_use]
    pub fn exit(&self, means: Means) -> Option<String> {
        let kind = match means {
            Means::Fentry => "fexit",
            Means::Kprobe => "out",
        };
        self.returns.then(|| format!("{}_{kind}", self.program))
    }
}

/// One function of the plan.
#[derive(Clone, Debug)]
pub struct PlannedFunction {
    /// The table's row.
    pub function: &'static Function,
    /// Its symbol on this kernel: its name, or that of the only clone that the compiler made of it.
    pub name: String,
    /// The id of its type in the BTF of btrfs; 0 if it is left out, or has none that fentry could use.
    pub type_id: u32,
    /// Where its arguments are.
    pub signature: Signature,
    /// Why it is left out; `None` if it is to be attached.
    pub left_out: Option<String>,
    /// This kernel has no such function and needs none.
    pub absent: bool,
}

/// A function's symbol, or that of a clone of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Where it begins.
    pub address: u64,
    /// The symbol: the function's name, and behind a dot what the compiler added.
    pub symbol: String,
}

/// Decides every function. `symbols` looks a name up in the kernel's symbol table.
#[must_use]
pub fn plan(types: &KernelTypes, symbols: &dyn Fn(&str) -> Vec<Place>) -> Vec<PlannedFunction> {
    let text = LazyCell::new(|| text_of_btrfs(symbols));
    FUNCTIONS
        .iter()
        .map(|function| {
            let current = function.hook.name();
            let name = match function.older_name {
                Some(older) if symbols(current).is_empty() && !symbols(older).is_empty() => older,
                _ => current,
            };
            let places = symbols(name);
            let found = match places.as_slice() {
                [] => Err(format!(
                    "this kernel has no function {name} of its own: it was inlined, cloned or is new"
                )),
                [place] if place.symbol.contains(".part.") => Err(format!(
                    "the compiler inlined a part of {name} here, and only {} is a function of its own",
                    place.symbol
                )),
                [place] => {
                    let is_ours = || text.as_ref().is_some_and(|text| text.contains(&place.address));
                    let found = typed(function, name, types.functions(name), is_ours);
                    if place.symbol == name { found } else { of_clone(function, found) }
                }
                several => Err(format!(
                    "this kernel has {} functions {name}, and a probe cannot tell which",
                    several.len()
                )),
            };
            let absent = function.optional && places.is_empty();
            let symbol = places.into_iter().next().map_or_else(|| name.to_owned(), |place| place.symbol);
            let ((type_id, signature), left_out) = match found {
                Ok(found) => (found, None),
                Err(why) => ((0, Signature::UNKNOWN), Some(why)),
            };
            PlannedFunction { function, name: symbol, type_id, signature, left_out, absent }
        })
        .collect()
}

/// Where the functions of btrfs lie whose names nobody else has.
fn text_of_btrfs(symbols: &dyn Fn(&str) -> Vec<Place>) -> Option<RangeInclusive<u64>> {
    let names = FUNCTIONS.iter().map(|function| function.hook.name());
    let places = names.filter(|name| name.starts_with("btrfs_")).flat_map(symbols);
    let all: Vec<u64> = places.map(|place| place.address).collect();
    Some(*all.iter().min()?..=*all.iter().max()?)
}

/// The type of a function that has one symbol, and where its arguments are. `protos` are all that BTF has under its name: more than
/// one where other files have a function of that name too, which were inlined if the symbol `is_ours`.
///
/// # Errors
/// A sentence: BTF has none or cannot tell which, or it lacks something that the books need.
fn typed(
    function: &Function,
    name: &str,
    protos: Vec<FunctionProto>,
    is_ours: impl FnOnce() -> bool,
) -> Result<(u32, Signature), String> {
    let several = protos.len() > 1;
    let mut found = protos
        .iter()
        .map(|proto| Ok((proto.id, signature(function, name, &proto.args)?)))
        .filter(|found| !several || found.is_ok());
    let first = found.next();
    match (first, found.next()) {
        (Some(first), None) if !several || is_ours() => first,
        (None, None) if !several => Err(format!("this kernel's BTF has no function {name}")),
        _ => Err(format!("this kernel's BTF has several functions {name} that differ")),
    }
}

/// As [`typed`], of a clone that the compiler made of a function. Where BTF has the function all the same, the clone takes what its type
/// says (`pahole --btf_gen_optimized`), but no symbol has the name by which the kernel looks for a function of fentry.
fn of_clone(
    function: &Function,
    found: Result<(u32, Signature), String>,
) -> Result<(u32, Signature), String> {
    match found {
        Ok((_, signature)) => Ok((0, signature)),
        Err(_) if function.searched => Ok((0, SEARCHED)),
        Err(why) => Err(why),
    }
}

/// Where the arguments of a function with these types are.
///
/// # Errors
/// A sentence: something that the books need is not among them.
fn signature(function: &Function, name: &str, args: &[String]) -> Result<Signature, String> {
    let position = |index: usize| u8::try_from(index).unwrap_or(NO_ARG);
    let mut found = None;
    for kind in function.subject {
        let types = TYPES.iter().find(|(of, _)| of == kind).map_or(&[] as &[&str], |(_, types)| types);
        if let Some(index) = args.iter().position(|arg| types.contains(&arg.as_str())) {
            found = Some((index, *kind));
            break;
        }
    }
    let Some((subject, kind)) = found else {
        return Err(format!("{name} takes {} here, and none is what the books need", args.join(", ")));
    };
    let second = match function.second {
        None => NO_ARG,
        Some(wanted) => {
            let after = args.iter().enumerate().find(|(index, arg)| {
                arg.as_str() == wanted && (*index != subject || kind == SUBJECT_ORDERED)
            });
            match after {
                Some((index, _)) => position(index),
                None if function.second_optional => NO_ARG,
                None => return Err(format!("{name} takes no {wanted} here, which the books need")),
            }
        }
    };
    let mut numbers = [NO_ARG; 4];
    let integers =
        args.iter().enumerate().filter(|(_, arg)| !arg.ends_with('*') && !arg.starts_with("struct "));
    let mut count = 0;
    for (slot, (index, _)) in numbers.iter_mut().zip(integers) {
        *slot = position(index);
        count += 1;
    }
    if count < function.numbers {
        return Err(format!("{name} takes {} here, which is less than the books need", args.join(", ")));
    }
    Ok(Signature { subject: position(subject), kind, second, numbers, reserved: 0 })
}

/// The signatures of a plan, for the kernel side.
#[must_use]
pub fn signatures(plan: &[PlannedFunction]) -> Signatures {
    let mut all = Signatures::UNKNOWN;
    for planned in plan {
        if let Some(slot) = all.of.get_mut(planned.function.hook as usize) {
            *slot = planned.signature;
        }
    }
    all
}

/// Why the exact books cannot be kept on this kernel, if they cannot.
#[must_use]
pub fn obstacle(plan: &[PlannedFunction]) -> Option<String> {
    plan.iter()
        .filter(|planned| planned.function.required && !planned.absent)
        .find_map(|planned| planned.left_out.clone())
}

#[cfg(test)]
mod tests;
