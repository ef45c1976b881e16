//! The call sites of functions in a module's object: where each call returns to, as `SYMBOL+0xOFFSET`.
//!
//! The assembler leaves a relocation where a call goes to another file's function, and resolves calls within a file.
//! Jumps to a function (a caller's last act) are left out: they have no return address of their own.
use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use object::{
    Object as _, ObjectSection as _, ObjectSymbol as _, RelocationTarget, SymbolKind, read::elf::ElfFile64,
};

/// `call rel32`
const CALL: u8 = 0xe8;
/// Bytes of its operand.
const OPERAND: u64 = 4;

/// What an object says of its functions.
pub struct Sites {
    /// By name: where the calls of it return to.
    calls: BTreeMap<String, BTreeSet<String>>,
    /// Functions that it has itself.
    functions: BTreeSet<String>,
}

impl Sites {
    /// Reads an x86-64 module.
    ///
    /// # Errors
    /// It is not a 64-bit little-endian ELF file.
    pub fn read(object: &[u8]) -> Result<Self> {
        let file = ElfFile64::<object::LittleEndian>::parse(object)?;
        let mut at: BTreeMap<(usize, u64), (u64, String)> = BTreeMap::new();
        for symbol in file.symbols().filter(|symbol| symbol.kind() == SymbolKind::Text) {
            if let Some(section) = symbol.section_index() {
                at.insert((section.0, symbol.address()), (symbol.size(), symbol.name()?.to_owned()));
            }
        }
        let mut sites = Self { calls: BTreeMap::new(), functions: BTreeSet::new() };
        sites.functions.extend(at.values().map(|(_, name)| name.clone()));
        for section in file.sections().filter(|section| section.kind() == object::SectionKind::Text) {
            let (index, code) = (section.index().0, section.data()?);
            let mut relocated = BTreeSet::new();
            for (place, relocation) in section.relocations() {
                relocated.insert(place);
                let RelocationTarget::Symbol(symbol) = relocation.target() else { continue };
                let symbol = file.symbol_by_index(symbol)?;
                if !is_call(code, place) {
                    continue;
                }
                let called = match (symbol.kind(), symbol.section_index()) {
                    (SymbolKind::Section, Some(section)) => {
                        let address = relocation.addend().wrapping_add(OPERAND.cast_signed());
                        at.get(&(section.0, address.cast_unsigned())).map(|(_, name)| name.as_str())
                    }
                    _ => Some(symbol.name()?),
                };
                if let Some(called) = called {
                    sites.add(called, &at, index, place + OPERAND);
                }
            }
            for place in 1..(code.len() as u64).saturating_sub(OPERAND - 1) {
                if relocated.contains(&place) || !is_call(code, place) {
                    continue;
                }
                let from = usize::try_from(place)?;
                let Some(bytes) = code.get(from..from + 4).and_then(|bytes| bytes.try_into().ok()) else {
                    continue;
                };
                let back = place + OPERAND;
                let target = back.wrapping_add_signed(i64::from(i32::from_le_bytes(bytes)));
                // Bytes that only look like a call do not lead to the first byte of a function.
                if let Some((_, called)) = at.get(&(index, target)) {
                    let called = called.clone();
                    sites.add(&called, &at, index, back);
                }
            }
        }
        Ok(sites)
    }

    fn add(&mut self, called: &str, at: &BTreeMap<(usize, u64), (u64, String)>, section: usize, back: u64) {
        let before = at.range((section, 0)..=(section, back)).next_back();
        let Some((&(_, start), (size, caller))) = before else { return };
        if back <= start + size {
            let site = format!("{caller}+{:#x}", back - start);
            self.calls.entry(called.to_owned()).or_default().insert(site);
        }
    }

    /// Where calls of a function return to.
    pub fn of(&self, symbol: &str) -> Option<&BTreeSet<String>> {
        self.calls.get(symbol)
    }

    /// What the compiler called a function: its name, or its name with the mark of a changed copy. None if it is not there
    /// and nothing calls it.
    pub fn symbol(&self, function: &str) -> Option<&str> {
        let all = || self.functions.iter().chain(self.calls.keys()).map(String::as_str);
        let copy = |name: &&str| {
            let rest = name.strip_prefix(function).unwrap_or_default();
            [".isra.", ".constprop.", ".part."].iter().any(|mark| rest.starts_with(mark))
                && !rest.contains(".cold")
        };
        all().find(|name| *name == function).or_else(|| all().find(copy))
    }
}

fn is_call(code: &[u8], operand: u64) -> bool {
    let before = operand.checked_sub(1).and_then(|at| usize::try_from(at).ok());
    before.and_then(|at| code.get(at)) == Some(&CALL)
}

#[cfg(test)]
mod tests {
    use object::{
        Architecture, BinaryFormat, Endianness, SymbolFlags, SymbolScope,
        write::{Object, Relocation, Symbol, SymbolSection},
    };

    use super::*;

    /// `near` lies at 0 (1 byte), `caller` behind it calls `near` without a relocation and `far` with one.
    fn module() -> Vec<u8> {
        let mut object = Object::new(BinaryFormat::Elf, Architecture::X86_64, Endianness::Little);
        let text = object.section_id(object::write::StandardSection::Text);
        let mut code = vec![0xc3];
        code.extend([CALL, 0xfa, 0xff, 0xff, 0xff]);
        code.extend([CALL, 0, 0, 0, 0]);
        object.append_section_data(text, &code, 1);
        let mut symbol = |name: &str, value, size, section| {
            object.add_symbol(Symbol {
                name: name.as_bytes().to_vec(),
                value,
                size,
                kind: SymbolKind::Text,
                scope: SymbolScope::Linkage,
                weak: false,
                section,
                flags: SymbolFlags::None,
            })
        };
        symbol("near.isra.0", 0, 1, SymbolSection::Section(text));
        symbol("caller", 1, 10, SymbolSection::Section(text));
        let far = symbol("far", 0, 0, SymbolSection::Undefined);
        let flags = object::RelocationFlags::Elf { r_type: object::elf::R_X86_64_PLT32 };
        object.add_relocation(text, Relocation { offset: 7, symbol: far, addend: -4, flags }).unwrap();
        object.write().unwrap()
    }

    #[test]
    fn calls_are_found_with_and_without_a_relocation() {
        let sites = Sites::read(&module()).unwrap();
        let of = |name: &str| sites.of(name).map(|found| found.iter().cloned().collect::<Vec<_>>());
        assert_eq!(of("near.isra.0"), Some(vec!["caller+0x5".to_owned()]));
        assert_eq!(of("far"), Some(vec!["caller+0xa".to_owned()]));
        assert_eq!(of("caller"), None);
    }

    #[test]
    fn a_function_has_the_name_that_the_compiler_gave_it() {
        let sites = Sites::read(&module()).unwrap();
        assert_eq!(sites.symbol("near"), Some("near.isra.0"));
        assert_eq!(sites.symbol("far"), Some("far"));
        assert_eq!(sites.symbol("nea"), None);
    }
}
