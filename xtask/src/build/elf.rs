//! The two questions we have about an ELF file: what machine it is for, and whether it needs a dynamic linker.

/// `EM_BPF`
pub const MACHINE_BPF: u16 = 247;
/// `PT_INTERP`
const SEGMENT_INTERPRETER: u32 = 3;

fn bytes<const N: usize>(file: &[u8], at: usize) -> Option<[u8; N]> {
    file.get(at..at.checked_add(N)?)?.try_into().ok()
}

/// Machine of a 64-bit little-endian ELF file; none for anything else.
pub fn machine(file: &[u8]) -> Option<u16> {
    if !file.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    bytes(file, 18).map(u16::from_le_bytes)
}

/// Whether the file asks for a dynamic linker; none if it is not a 64-bit little-endian ELF file.
pub fn has_interpreter(file: &[u8]) -> Option<bool> {
    machine(file)?;
    let table = usize::try_from(u64::from_le_bytes(bytes(file, 32)?)).ok()?;
    let size = usize::from(u16::from_le_bytes(bytes(file, 54)?));
    let count = usize::from(u16::from_le_bytes(bytes(file, 56)?));
    for index in 0..count {
        let kind = bytes(file, table.checked_add(index * size)?).map(u32::from_le_bytes)?;
        if kind == SEGMENT_INTERPRETER {
            return Some(true);
        }
    }
    Some(false)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::*;

    /// A file header and program headers of the given kinds.
    fn file(machine: u16, kinds: &[u32]) -> Vec<u8> {
        let mut file = vec![0u8; 64];
        file[..6].copy_from_slice(b"\x7fELF\x02\x01");
        file[18..20].copy_from_slice(&machine.to_le_bytes());
        file[32..40].copy_from_slice(&64u64.to_le_bytes());
        file[54..56].copy_from_slice(&56u16.to_le_bytes());
        file[56..58].copy_from_slice(&u16::try_from(kinds.len()).unwrap().to_le_bytes());
        for kind in kinds {
            let mut header = [0u8; 56];
            header[..4].copy_from_slice(&kind.to_le_bytes());
            file.extend(header);
        }
        file
    }

    #[test]
    fn an_interpreter_is_found_wherever_it_stands() {
        assert_eq!(has_interpreter(&file(62, &[1, 6, SEGMENT_INTERPRETER])), Some(true));
        assert_eq!(has_interpreter(&file(62, &[1, 6, 2])), Some(false));
    }

    #[test]
    fn a_cut_or_foreign_file_has_no_answer() {
        let whole = file(MACHINE_BPF, &[1, 2]);
        assert_eq!(machine(&whole), Some(MACHINE_BPF));
        assert_eq!(has_interpreter(&whole[..66]), None);
        assert_eq!(machine(b"#!/bin/sh\n"), None);
    }
}
