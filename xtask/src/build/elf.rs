//! Checks on an ELF file.
use anyhow::{Context as _, Result};
use object::{
    Object as _, ObjectSection as _, ObjectSymbol as _, RelocationTarget,
    elf::{FileHeader64, PT_INTERP},
    read::elf::{ElfFile64, FileHeader as _, ProgramHeader as _},
};

/// Whether the file is an eBPF object.
pub fn is_bpf(file: &[u8]) -> bool {
    object::File::parse(file).is_ok_and(|file| file.architecture() == object::Architecture::Bpf)
}

/// Whether the program asks for a dynamic linker.
///
/// # Errors
/// It is not a 64-bit little-endian ELF file.
pub fn has_interpreter(file: &[u8]) -> Result<bool> {
    let header = FileHeader64::<object::LittleEndian>::parse(file)?;
    let endian = header.endian()?;
    Ok(header.program_headers(endian, file)?.iter().any(|segment| segment.p_type(endian) == PT_INTERP))
}

/// Sections with code that calls one of these functions, each with the function.
///
/// # Errors
/// It is not a 64-bit little-endian ELF file.
pub fn callers<'a>(file: &'a [u8], functions: &[&str]) -> Result<Vec<(&'a str, &'a str)>> {
    let file = ElfFile64::<object::LittleEndian>::parse(file)?;
    let mut found = Vec::new();
    for section in file.sections() {
        for (_, relocation) in section.relocations() {
            let RelocationTarget::Symbol(index) = relocation.target() else { continue };
            let name = file.symbol_by_index(index)?.name()?;
            if functions.contains(&name) {
                found.push((section.name().context("a section has no name")?, name));
            }
        }
    }
    found.dedup();
    Ok(found)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use object::{
        Architecture, BinaryFormat, Endianness, SymbolFlags, SymbolKind, SymbolScope,
        write::{Object, Relocation, Symbol, SymbolSection},
    };

    use super::*;

    /// An eBPF object whose program `one` calls `called`.
    fn program_that_calls(called: &str) -> Vec<u8> {
        let mut object = Object::new(BinaryFormat::Elf, Architecture::Bpf, Endianness::Little);
        let section = object.add_section(Vec::new(), b"one".to_vec(), object::SectionKind::Text);
        object.append_section_data(section, &[0x85, 0x10, 0, 0, 0xff, 0xff, 0xff, 0xff], 8);
        let symbol = object.add_symbol(Symbol {
            name: called.as_bytes().to_vec(),
            value: 0,
            size: 0,
            kind: SymbolKind::Text,
            scope: SymbolScope::Linkage,
            weak: false,
            section: SymbolSection::Undefined,
            flags: SymbolFlags::None,
        });
        // R_BPF_64_32
        let flags = object::RelocationFlags::Elf { r_type: 10 };
        object.add_relocation(section, Relocation { offset: 0, symbol, addend: 0, flags }).unwrap();
        object.write().unwrap()
    }

    #[test]
    fn a_call_is_found_with_its_section() {
        let object = program_that_calls("memset");
        assert_eq!(callers(&object, &["memcpy", "memset"]).unwrap(), [("one", "memset")]);
        assert_eq!(callers(&object, &["memcpy"]).unwrap(), []);
        assert!(is_bpf(&object));
        assert!(!has_interpreter(&object).unwrap());
    }

    #[test]
    fn what_cargo_runs_here_is_no_ebpf_object() {
        let this = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        assert!(!is_bpf(&this));
        assert_eq!(has_interpreter(&this).unwrap(), cfg!(not(target_feature = "crt-static")));
    }

    #[test]
    fn a_cut_or_foreign_file_has_no_answer() {
        assert!(has_interpreter(&program_that_calls("memset")[..20]).is_err());
        assert!(!is_bpf(b"#!/bin/sh\n"));
    }
}
