//! The kernel's own description of its types (BTF): struct offsets, numbers, tracepoint arguments.
//!
//! BTF of vmlinux, and where btrfs is a module the split BTF of the module joined to it, since all btrfs types live
//! in the module then. Every offset is resolved or absent with a reason; a struct that exists several times (the
//! BTF of a module is not always deduplicated) counts only if all its copies agree.
mod fields;
mod function;
mod lookup;
mod named;
mod resolve;
#[cfg(test)]
mod tests;
mod tracepoint;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use btf_rs::{Btf, Type};

pub use function::FunctionProto;
pub use resolve::{MissingField, ResolvedOffsets};
pub use tracepoint::TracepointProto;

use lookup::Enumerators;
use named::Named;

/// The BTF of a kernel is far smaller; a larger file is not BTF.
const MAX_BTF_BYTES: u64 = 512 << 20;

/// Why the types of a kernel cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum TypesError {
    /// The file cannot be read.
    #[error(
        "cannot read {path}: {source}; a kernel built with CONFIG_DEBUG_INFO_BTF=y (and _MODULES) publishes it"
    )]
    Read {
        /// The file.
        path: PathBuf,
        /// What the kernel answered.
        source: std::io::Error,
    },
    /// The file is no BTF that we understand.
    #[error("cannot understand the BTF of {what}: {source}")]
    Parse {
        /// `vmlinux` or `btrfs`.
        what: &'static str,
        /// What is wrong with it.
        source: btf_rs::Error,
    },
}

/// The types of one kernel: vmlinux, joined with the btrfs module where there is one.
///
/// Holds all types of the kernel in memory (several MB): resolve what is needed and drop it.
pub struct KernelTypes {
    named: Named,
    enumerators: Enumerators,
    /// `enum btrfs_flush_state`
    flush_states: BTreeMap<i32, String>,
}

impl std::fmt::Debug for KernelTypes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KernelTypes").field("split", &self.is_split()).finish_non_exhaustive()
    }
}

impl KernelTypes {
    /// Reads the BTF of vmlinux and, where btrfs is a module, of the module.
    ///
    /// # Errors
    /// A file that cannot be read or is not BTF.
    pub fn load(vmlinux: &Path, module: Option<&Path>) -> Result<Self, TypesError> {
        let base = read(vmlinux)?;
        let split = module.map(read).transpose()?;
        Self::from_bytes(&base, split.as_deref())
    }

    /// Reads the BTF that the kernel with this root publishes: `sys/kernel/btf/vmlinux`, and `sys/kernel/btf/btrfs`
    /// if it is there.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn of_kernel(root: &Path) -> Result<Self, TypesError> {
        let folder = root.join("sys/kernel/btf");
        let module = folder.join("btrfs");
        Self::load(&folder.join("vmlinux"), module.exists().then_some(module.as_path()))
    }

    /// The same from memory.
    ///
    /// # Errors
    /// Bytes that are not BTF.
    pub fn from_bytes(vmlinux: &[u8], module: Option<&[u8]>) -> Result<Self, TypesError> {
        let base = named::parse(vmlinux).map_err(|source| TypesError::Parse { what: "vmlinux", source })?;
        let btf = match module {
            None => base,
            Some(bytes) => Btf::from_split_bytes(bytes, &base)
                .map_err(|source| TypesError::Parse { what: "btrfs", source })?,
        };
        let mut enumerators = Enumerators::default();
        let mut flush_states = BTreeMap::new();
        let named = Named::of(btf, |btf, ty| {
            enumerators.see(btf, ty, fields::enumerator_wanted);
            if let Type::Enum(of) = ty
                && btf.resolve_name(of).is_ok_and(|name| name == "btrfs_flush_state")
            {
                flush_states.extend(of.members.iter().filter_map(|member| {
                    Some((i32::try_from(member.val()).ok()?, btf.resolve_name(member).ok()?))
                }));
            }
        });
        Ok(Self { named, enumerators, flush_states })
    }

    /// The states of a flush (`enum btrfs_flush_state`), whose numbers differ between kernels; empty if they are not known.
    #[must_use]
    pub const fn flush_states(&self) -> &BTreeMap<i32, String> {
        &self.flush_states
    }

    /// Offset in bytes of a member of a struct, through embedded structs one name a step.
    ///
    /// # Errors
    /// A sentence: no such struct, no such member, or several structs of that name that disagree.
    pub fn offset(&self, of: &str, path: &[&str]) -> Result<u32, String> {
        lookup::member(&self.named, of, path).map(|place| place.offset)
    }

    /// Whether the btrfs types come from the split BTF of a module.
    #[must_use]
    pub fn is_split(&self) -> bool {
        self.named.btf().split().is_some()
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TypesError> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_BTF_BYTES).read_to_end(&mut bytes))
        .map_err(|source| TypesError::Read { path: path.to_owned(), source })?;
    Ok(bytes)
}
