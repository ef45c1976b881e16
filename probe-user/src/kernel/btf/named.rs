//! Types by their names.
//!
//! The `btf-rs` library can keep all types and strings of a kernel in its own maps. To make and drop those takes several
//! times as long as all our queries. So the library reads the BTF in place, and this index says where a name is.
use std::{
    hash::{Hash as _, Hasher as _},
    io::Write as _,
    os::fd::AsRawFd as _,
};

use btf_rs::{Backend, Btf, Error, Type};
use nix::sys::memfd::{MFdFlags, memfd_create};
use rustc_hash::FxHasher;

/// Types of a kernel, and where the named ones are.
pub(super) struct Named {
    btf: Btf,
    /// Hash of a name and id of a struct, function or typedef with that name, sorted.
    ids: Vec<(u64, u32)>,
}

/// Reads the BTF of vmlinux in place.
///
/// # Errors
/// It is not BTF, or there is no memory for it.
pub(super) fn parse(vmlinux: &[u8]) -> Result<Btf, Error> {
    // The library can map only files, and kernels before 6.16 do not let their own BTF file be mapped.
    let descriptor = memfd_create("btf", MFdFlags::MFD_CLOEXEC).map_err(std::io::Error::from)?;
    let mut file = std::fs::File::from(descriptor);
    file.write_all(vmlinux)?;
    Btf::from_file_with_backend(format!("/proc/self/fd/{}", file.as_raw_fd()), Backend::Mmap)
}

impl Named {
    /// Goes through all types once and passes each to `see`.
    pub(super) fn of(btf: Btf, mut see: impl FnMut(&Btf, &Type)) -> Self {
        let mut ids = Vec::new();
        for section in std::iter::once(btf.base()).chain(btf.split()) {
            let (first, last) = section.type_id_range();
            for id in first..=last {
                let Ok(ty) = section.resolve_type_by_id(id) else { continue };
                if let Type::Struct(_) | Type::Func(_) | Type::Typedef(_) = ty
                    && let Some(Ok(name)) = ty.as_btf_type().map(|ty| btf.resolve_name(ty))
                {
                    ids.push((hash(&name), id));
                }
                see(&btf, &ty);
            }
        }
        ids.sort_unstable();
        Self { btf, ids }
    }

    /// The BTF itself.
    pub(super) fn btf(&self) -> &Btf {
        &self.btf
    }

    /// The structs, functions and typedefs called `name`.
    pub(super) fn types<'a>(&'a self, name: &'a str) -> impl Iterator<Item = Type> + 'a {
        self.types_with_ids(name).map(|(_, ty)| ty)
    }

    /// The same with their ids, which rise.
    pub(super) fn types_with_ids<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (u32, Type)> + 'a {
        let wanted = hash(name);
        let first = self.ids.partition_point(|(hash, _)| *hash < wanted);
        let candidates = self.ids.iter().skip(first).take_while(move |(hash, _)| *hash == wanted);
        candidates.filter_map(|(_, id)| Some((*id, self.btf.resolve_type_by_id(*id).ok()?))).filter(
            move |(_, ty)| {
                ty.as_btf_type()
                    .and_then(|ty| self.btf.resolve_name(ty).ok())
                    .is_some_and(|found| found == name)
            },
        )
    }
}

fn hash(name: &str) -> u64 {
    let mut hasher = FxHasher::default();
    name.hash(&mut hasher);
    hasher.finish()
}
