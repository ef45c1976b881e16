//! Arguments of kernel functions: the prototypes behind BTF's `FUNC`s.
use btf_rs::Type;

use super::{
    KernelTypes,
    tracepoint::{DEPTH, type_name},
};

/// What a function takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionProto {
    /// The id of its type, as the kernel counts: those of a module follow those of vmlinux.
    pub id: u32,
    /// Types of its arguments as written in C.
    pub args: Vec<String>,
}

impl KernelTypes {
    /// The arguments of a function.
    ///
    /// # Errors
    /// A sentence: BTF has no function of that name, or several that differ.
    pub fn function(&self, name: &str) -> Result<FunctionProto, String> {
        let btf = self.named.btf();
        let mut agreed: Option<FunctionProto> = None;
        for (id, ty) in self.named.types_with_ids(name) {
            let Type::Func(function) = ty else { continue };
            let Ok(Type::FuncProto(proto)) = btf.resolve_chained_type(&function) else { continue };
            let args = proto.parameters.iter().map(|arg| type_name(btf, arg, DEPTH)).collect();
            let proto = FunctionProto { id, args };
            match &mut agreed {
                None => agreed = Some(proto),
                // The last one is the module's own, if there is one.
                Some(first) if first.args == proto.args => first.id = id,
                Some(_) => return Err(format!("this kernel's BTF has several functions {name} that differ")),
            }
        }
        agreed.ok_or_else(|| format!("this kernel's BTF has no function {name}"))
    }
}
