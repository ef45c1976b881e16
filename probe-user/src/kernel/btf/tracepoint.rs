//! Arguments of tracepoints: the types behind the `btf_trace_<name>` typedefs.
use btf_rs::{Btf, BtfType, Type};

use super::KernelTypes;

/// Deepest nesting of pointers, qualifiers and names.
pub(super) const DEPTH: u32 = 16;

/// The arguments that a tracepoint passes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TracepointProto {
    /// Types of its arguments as written in C, without the `void *__data` that comes first in the kernel.
    pub args: Vec<String>,
}

impl KernelTypes {
    /// The arguments of a tracepoint; `None` if this kernel has none of that name (or several that differ).
    ///
    /// Reads types only: where btrfs is a module, its BTF must have been loaded.
    #[must_use]
    pub fn tracepoint(&self, name: &str) -> Option<TracepointProto> {
        let btf = self.named.btf();
        let mut agreed = None;
        for ty in self.named.types(&format!("btf_trace_{name}")) {
            let Type::Typedef(typedef) = ty else { continue };
            let Ok(Type::Ptr(pointer)) = btf.resolve_chained_type(&typedef) else { continue };
            let Ok(Type::FuncProto(function)) = btf.resolve_chained_type(&pointer) else { continue };
            let args =
                function.parameters.iter().skip(1).map(|arg| type_name(btf, arg, DEPTH)).collect::<Vec<_>>();
            let proto = TracepointProto { args };
            match &agreed {
                None => agreed = Some(proto),
                Some(first) if *first == proto => {}
                Some(_) => return None,
            }
        }
        agreed
    }
}

/// The type that `of` refers to, as C would write it: `const char *`, `struct btrfs_root *`, `u64`.
pub(super) fn type_name(btf: &Btf, of: &dyn BtfType, depth: u32) -> String {
    const UNKNOWN: &str = "?";
    let Some(depth) = depth.checked_sub(1) else { return UNKNOWN.to_owned() };
    let Ok(ty) = btf.resolve_chained_type(of) else { return UNKNOWN.to_owned() };
    let named = |prefix: &str, ty: &dyn BtfType| {
        let name = btf.resolve_name(ty).unwrap_or_default();
        format!("{prefix}{}", if name.is_empty() { "(anonymous)" } else { &name })
    };
    match &ty {
        Type::Void => "void".to_owned(),
        Type::Int(int) => named("", int),
        Type::Float(float) => named("", float),
        Type::Typedef(typedef) => named("", typedef),
        Type::Struct(aggregate) => named("struct ", aggregate),
        Type::Union(aggregate) => named("union ", aggregate),
        Type::Enum(kind) => named("enum ", kind),
        Type::Enum64(kind) => named("enum ", kind),
        Type::Fwd(forward) => named(if forward.is_union() { "union " } else { "struct " }, forward),
        Type::Ptr(pointer) => {
            let inner = type_name(btf, pointer, depth);
            format!("{inner}{}*", if inner.ends_with('*') { "" } else { " " })
        }
        Type::Const(inner) => format!("const {}", type_name(btf, inner, depth)),
        Type::Volatile(inner) => format!("volatile {}", type_name(btf, inner, depth)),
        Type::Restrict(inner) => type_name(btf, inner, depth),
        Type::TypeTag(inner) => type_name(btf, inner, depth),
        Type::FuncProto(_) => "(function)".to_owned(),
        _ => UNKNOWN.to_owned(),
    }
}
