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
        let mut all = self.functions(name);
        match all.pop() {
            None => Err(format!("this kernel's BTF has no function {name}")),
            Some(function) if all.is_empty() => Ok(function),
            Some(_) => Err(format!("this kernel's BTF has several functions {name} that differ")),
        }
    }

    /// The arguments of each function of that name: static functions of several files may share one, and some of these may be
    /// inlined everywhere. Of those that take the same there is one.
    #[must_use]
    pub fn functions(&self, name: &str) -> Vec<FunctionProto> {
        let btf = self.named.btf();
        let mut all: Vec<FunctionProto> = Vec::new();
        for (id, ty) in self.named.types_with_ids(name) {
            let Type::Func(function) = ty else { continue };
            let Ok(Type::FuncProto(proto)) = btf.resolve_chained_type(&function) else { continue };
            let args: Vec<_> = proto.parameters.iter().map(|arg| type_name(btf, arg, DEPTH)).collect();
            match all.iter_mut().find(|other| other.args == args) {
                // The last one is the module's own, if there is one.
                Some(same) => same.id = id,
                None => all.push(FunctionProto { id, args }),
            }
        }
        all
    }
}
