//! Members of structs by path, enumerators by name.
//!
//! A BTF file is input like any other: cycles of anonymous members or typedefs are cut off by a budget of steps,
//! and arithmetic on its numbers is checked.
use std::collections::BTreeMap;

use btf_rs::{Btf, BtfType, Type};

use super::named::Named;

/// Members searched for one path; the largest kernel struct with all its anonymous members has some hundreds.
const STEPS: u32 = 20_000;
/// Deepest nesting of anonymous structs and unions, and longest run of typedefs and qualifiers.
const DEPTH: u32 = 32;

/// Where a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Bytes from the start of the outermost struct.
    pub offset: u32,
    /// Bytes of the member; 1 for a bitfield of up to 8 bits.
    pub size: u32,
}

/// Finds `path` (one member name a step, through embedded structs) in every struct called `name`.
///
/// # Errors
/// A sentence: no such struct, no such member, or several structs that disagree.
pub(super) fn member(named: &Named, name: &str, path: &[&str]) -> Result<Place, String> {
    let mut copies = 0u32;
    let mut agreed: Option<Result<Place, String>> = None;
    for ty in named.types(name) {
        let Type::Struct(_) = ty else { continue };
        copies += 1;
        let place = place_in(named.btf(), &ty, name, path);
        match &agreed {
            None => agreed = Some(place),
            Some(first) if *first == place => {}
            Some(_) => {
                return Err(format!(
                    "the {copies} structs {name} of this kernel differ in {}",
                    path.join(".")
                ));
            }
        }
    }
    agreed.unwrap_or_else(|| Err(format!("this kernel has no struct {name}")))
}

fn place_in(btf: &Btf, ty: &Type, name: &str, path: &[&str]) -> Result<Place, String> {
    let mut steps = STEPS;
    let mut bits = 0u32;
    let mut ty = ty.clone();
    let mut size = 0;
    for (depth, wanted) in path.iter().enumerate() {
        let found = find(btf, &ty, wanted, &mut steps, DEPTH).ok_or_else(|| {
            format!("struct {name} has no {}", path.get(..=depth).unwrap_or(path).join("."))
        })?;
        bits = bits.checked_add(found.bit_offset).ok_or_else(|| format!("struct {name} is malformed"))?;
        size = found.size;
        ty = found.ty;
    }
    if !bits.is_multiple_of(8) {
        return Err(format!("struct {name} has {} within a byte", path.join(".")));
    }
    Ok(Place { offset: bits / 8, size })
}

struct Found {
    bit_offset: u32,
    size: u32,
    ty: Type,
}

/// A member of `ty` by name, looking into anonymous structs and unions as C does.
fn find(btf: &Btf, ty: &Type, wanted: &str, steps: &mut u32, depth: u32) -> Option<Found> {
    let (Type::Struct(aggregate) | Type::Union(aggregate)) = ty else { return None };
    let depth = depth.checked_sub(1)?;
    for member in &aggregate.members {
        *steps = steps.checked_sub(1)?;
        let name = btf.resolve_name(member).unwrap_or_default();
        if name != wanted && !name.is_empty() {
            continue;
        }
        let Some(ty) = bare(btf, member) else { continue };
        if name == wanted {
            let size = match member.bitfield_size() {
                Some(bits @ 1..) => bits.div_ceil(8),
                _ => size_of(btf, &ty).unwrap_or(0),
            };
            return Some(Found { bit_offset: member.bit_offset(), size, ty });
        }
        if let Some(inner) = find(btf, &ty, wanted, steps, depth) {
            let bit_offset = inner.bit_offset.checked_add(member.bit_offset())?;
            return Some(Found { bit_offset, ..inner });
        }
    }
    None
}

/// The type that `of` refers to, without typedefs, qualifiers and tags.
pub(super) fn bare(btf: &Btf, of: &dyn BtfType) -> Option<Type> {
    let mut ty = btf.resolve_chained_type(of).ok()?;
    for _ in 0..DEPTH {
        let next = match &ty {
            Type::Typedef(inner) => btf.resolve_chained_type(inner),
            Type::Const(inner) | Type::Volatile(inner) | Type::Restrict(inner) => {
                btf.resolve_chained_type(inner)
            }
            Type::TypeTag(inner) => btf.resolve_chained_type(inner),
            _ => return Some(ty),
        };
        ty = next.ok()?;
    }
    None
}

fn size_of(btf: &Btf, ty: &Type) -> Option<u32> {
    let mut length = 1usize;
    let mut ty = ty.clone();
    for _ in 0..DEPTH {
        let size = match &ty {
            Type::Array(array) => {
                length = length.checked_mul(array.len())?;
                ty = bare(btf, array)?;
                continue;
            }
            Type::Int(int) => int.size(),
            Type::Enum(kind) => kind.size(),
            Type::Enum64(kind) => kind.size(),
            Type::Struct(aggregate) | Type::Union(aggregate) => aggregate.size(),
            // Only 64-bit kernels are supported: the kernel side is 64-bit as is its BPF target.
            Type::Ptr(_) => 8,
            _ => return None,
        };
        return u32::try_from(size.checked_mul(length)?).ok();
    }
    None
}

/// Enumerators by name, from all enums whatever their names: many of btrfs's enums are anonymous.
#[derive(Debug, Default)]
pub(super) struct Enumerators(BTreeMap<String, Result<u64, String>>);

impl Enumerators {
    /// Collects those of a type that `wanted` accepts.
    pub(super) fn see(&mut self, btf: &Btf, ty: &Type, wanted: impl Fn(&str) -> bool) {
        match ty {
            Type::Enum(kind) => {
                for member in &kind.members {
                    self.add(btf, member, u64::from(member.val()), &wanted);
                }
            }
            Type::Enum64(kind) => {
                for member in &kind.members {
                    self.add(btf, member, member.val(), &wanted);
                }
            }
            _ => {}
        }
    }

    fn add(&mut self, btf: &Btf, member: &dyn BtfType, value: u64, wanted: &impl Fn(&str) -> bool) {
        let Ok(name) = btf.resolve_name(member) else { return };
        if !wanted(&name) {
            return;
        }
        let differ = format!("the enumerators {name} of this kernel differ");
        self.0
            .entry(name)
            .and_modify(|known| {
                if *known != Ok(value) {
                    *known = Err(differ);
                }
            })
            .or_insert(Ok(value));
    }

    /// The value of `name`.
    ///
    /// # Errors
    /// A sentence: there is none, or several differ.
    pub(super) fn value(&self, name: &str) -> Result<u64, String> {
        self.0.get(name).cloned().unwrap_or_else(|| Err(format!("this kernel has no enumerator {name}")))
    }

    /// All collected ones that begin with `prefix`.
    pub(super) fn starting_with(&self, prefix: &str) -> impl Iterator<Item = (&str, &Result<u64, String>)> {
        self.0.iter().filter_map(move |(name, value)| name.strip_prefix(prefix).map(|rest| (rest, value)))
    }
}
