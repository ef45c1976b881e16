//! Loads fentry and fexit programs, of which aya loads only those on functions of the kernel proper.
//!
//! Where btrfs is a module, such a program names its function by the BTF object of the module and an id in it (from 5.11 on).
//! These programs use the maps that aya made. Each is kept in our memory until it is loaded.
use std::{
    collections::{HashMap, HashSet},
    ffi::CString,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
};

use aya::{Ebpf, maps::Map};
use aya_obj::{Object, ProgramSection};

use super::{
    bpf::{self, Code, Side, Target},
    error::{chain, first_line},
    functions::{FUNCTIONS, Function},
    sections::{of_kprobes, of_tracepoints, without},
};
use crate::kernel::btf::KernelTypes;

/// The module whose functions are hooked, where it is one.
const MODULE: &str = "btrfs";
/// `r0 = 0` and `exit`.
const NOTHING: [[u8; 8]; 2] = [[0xb7, 0, 0, 0, 0, 0, 0, 0], [0x95, 0, 0, 0, 0, 0, 0, 0]];

/// Whose types name the functions.
#[derive(Debug)]
pub enum TypesOf {
    /// The kernel proper.
    Kernel,
    /// The module with this BTF object.
    Module(OwnedFd),
}

impl TypesOf {
    /// Tries whether this kernel takes a fentry program on a function of btrfs, which does nothing.
    ///
    /// # Errors
    /// A sentence: the BTF object of the module cannot be had, or what the kernel answers.
    pub fn tried(types: &KernelTypes) -> Result<Self, String> {
        let types_of =
            if types.is_split() { Self::Module(bpf::types_of_module(MODULE)?) } else { Self::Kernel };
        let known = |function: &Function| {
            let name = function.hook.name();
            Some((name, types.function(name).ok()?.id))
        };
        let Some((name, function)) = FUNCTIONS.iter().find_map(known) else {
            return Err("the BTF of btrfs has none of its functions".to_owned());
        };
        let instructions =
            aya_obj::copy_instructions(NOTHING.as_flattened()).map_err(|error| chain(&error))?;
        let code = Code { instructions, ..Code::default() };
        bpf::load_program("trial", c"GPL", &code, None, types_of.target(Side::Entry, function))
            .map_err(|refused| refused.to_string())
            .and_then(|program| bpf::attach(program.as_fd()).map_err(|error| chain(&error)))
            .map_err(|why| format!("the kernel refuses fentry on {name}: {}", first_line(&why)))?;
        Ok(types_of)
    }

    fn target(&self, side: Side, function: u32) -> Target<'_> {
        let module = match self {
            Self::Kernel => None,
            Self::Module(types) => Some(types.as_fd()),
        };
        Target { side, module, function }
    }
}

/// A program that waits to be loaded.
struct Program {
    side: Side,
    license: CString,
    code: Code,
}

/// The programs of both kinds.
pub(super) struct FentryPrograms {
    waiting: HashMap<String, Program>,
    loaded: HashMap<String, OwnedFd>,
    /// BTF of the programs.
    types: Option<OwnedFd>,
}

impl FentryPrograms {
    /// Those of the object, which aya has loaded as `ebpf`, maps and all.
    ///
    /// # Errors
    /// A sentence: the object is not ours, or the kernel refuses its types.
    pub(super) fn of(object: &[u8], ebpf: &Ebpf) -> Result<Self, String> {
        let ours = without(object, |section| of_tracepoints(section) || of_kprobes(section));
        let mut object = Object::parse(&ours).map_err(|error| chain(&error))?;
        let types = match aya::features().btf() {
            Some(features) => object.fixup_and_sanitize_btf(features).map_err(|error| chain(&error))?,
            None => None,
        };
        let types = types
            .map(|types| bpf::load_types(&types.to_bytes()))
            .transpose()
            .map_err(|refused| format!("the kernel refuses the types of the programs: {refused}"))?;
        let text = object.functions.keys().map(|(section, _)| *section).collect::<HashSet<_>>();
        let maps = std::mem::take(&mut object.maps);
        let descriptors = maps
            .iter()
            .map(|(name, map)| {
                let descriptor = ebpf.map(name).and_then(descriptor);
                let descriptor = descriptor.ok_or_else(|| format!("no map {name} was made"))?;
                Ok((name.as_str(), descriptor.as_raw_fd(), map))
            })
            .collect::<Result<Vec<_>, String>>()?;
        object.relocate_maps(descriptors.into_iter(), &text).map_err(|error| chain(&error))?;
        object.relocate_calls(&text).map_err(|error| chain(&error))?;
        let mut waiting = HashMap::new();
        for (name, program) in object.programs {
            let side = match program.section {
                ProgramSection::FEntry { .. } => Side::Entry,
                ProgramSection::FExit { .. } => Side::Return,
                _ => continue,
            };
            let key = (program.section_index, program.address);
            if let Some(code) = object.functions.remove(&key) {
                waiting.insert(name, Program { side, license: program.license, code: code.into() });
            }
        }
        Ok(Self { waiting, loaded: HashMap::new(), types })
    }

    /// Loads a program for the function with this id.
    ///
    /// # Errors
    /// The kernel's message and the verifier's log.
    pub(super) fn load(&mut self, name: &str, types: &TypesOf, function: u32) -> Result<(), String> {
        let program = self.waiting.remove(name).ok_or_else(|| format!("no program {name} in the object"))?;
        let own = self.types.as_ref().map(AsFd::as_fd);
        let target = types.target(program.side, function);
        let loaded = bpf::load_program(name, &program.license, &program.code, own, target)
            .map_err(|refused| refused.to_string())?;
        self.loaded.insert(name.to_owned(), loaded);
        Ok(())
    }

    /// Attaches a loaded program; the link detaches it when it is closed.
    ///
    /// # Errors
    /// The kernel's message.
    pub(super) fn attach(&self, name: &str) -> Result<OwnedFd, String> {
        let program = self.program(name).ok_or_else(|| format!("{name} is not loaded"))?;
        bpf::attach(program).map_err(|error| chain(&error))
    }

    /// A loaded program.
    pub(super) fn program(&self, name: &str) -> Option<BorrowedFd<'_>> {
        self.loaded.get(name).map(AsFd::as_fd)
    }

    /// Drops the programs that were not loaded: some megabytes.
    pub(super) fn settle(&mut self) {
        self.waiting = HashMap::new();
    }
}

/// The descriptor of a map, of the kinds that we have.
fn descriptor(map: &Map) -> Option<BorrowedFd<'_>> {
    match map {
        Map::Array(map)
        | Map::PerCpuArray(map)
        | Map::HashMap(map)
        | Map::LruHashMap(map)
        | Map::RingBuf(map) => Some(map.fd().as_fd()),
        _ => None,
    }
}
