//! The object without the programs that are not used.
//!
//! A loader keeps each program of the object with all that it calls, loaded or not. Those of the functions tier are most of
//! it, some megabytes. A section without a name that holds no code is none of a program, so the loader passes it by.

/// Offsets in `Elf64_Ehdr`: `e_shoff`, `e_shentsize`, `e_shnum`, `e_shstrndx`; and in `Elf64_Shdr`: `sh_flags`, `sh_offset`.
const E_SHOFF: usize = 0x28;
const E_SHENTSIZE: usize = 0x3a;
const E_SHNUM: usize = 0x3c;
const E_SHSTRNDX: usize = 0x3e;
const SH_FLAGS: usize = 0x08;
const SH_OFFSET: usize = 0x18;

/// Whether a section has kprobe or kretprobe programs.
pub(super) fn of_kprobes(section: &[u8]) -> bool {
    matches!(section, b"kprobe" | b"kretprobe")
}

/// Whether a section has fentry or fexit programs.
pub(super) fn of_fentry(section: &[u8]) -> bool {
    matches!(section, b"fentry" | b"fexit")
}

/// Whether a section has programs for tracepoints, or such that run on demand.
pub(super) fn of_tracepoints(section: &[u8]) -> bool {
    section.starts_with(b"raw_tp/")
}

/// A copy of the object (a 64-bit ELF file, little-endian) in which the sections of these names are no longer marked as
/// programs. Whatever is not as expected is left as it is.
pub(super) fn without(object: &[u8], unwanted: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let mut copy = object.to_vec();
    for header in headers(object, unwanted).unwrap_or_default() {
        for field in [header..header + 4, header + SH_FLAGS..header + SH_FLAGS + 8] {
            if let Some(bytes) = copy.get_mut(field) {
                bytes.fill(0);
            }
        }
    }
    copy
}

/// Where the headers of the sections of these names begin.
fn headers(object: &[u8], unwanted: impl Fn(&[u8]) -> bool) -> Option<Vec<usize>> {
    let first = word(object, E_SHOFF)?;
    let (size, count) = (half(object, E_SHENTSIZE)?, half(object, E_SHNUM)?);
    let names = word(object, first + half(object, E_SHSTRNDX)? * size + SH_OFFSET)?;
    let named = |header: &usize| {
        let name = object.get(*header..)?.first_chunk::<4>().map(|bytes| u32::from_le_bytes(*bytes))?;
        let name = object.get(names + usize::try_from(name).ok()?..)?;
        let end = name.iter().position(|byte| *byte == 0)?;
        Some(unwanted(&name[..end]))
    };
    Some((0..count).map(|at| first + at * size).filter(|header| named(header) == Some(true)).collect())
}

fn word(object: &[u8], at: usize) -> Option<usize> {
    let bytes = object.get(at..)?.first_chunk::<8>()?;
    usize::try_from(u64::from_le_bytes(*bytes)).ok().filter(|offset| *offset < object.len())
}

fn half(object: &[u8], at: usize) -> Option<usize> {
    object.get(at..)?.first_chunk::<2>().map(|bytes| usize::from(u16::from_le_bytes(*bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file with one section header per name, and the last one for the names.
    fn elf(names: &[&str]) -> Vec<u8> {
        let mut strings = vec![0];
        let mut offsets = Vec::new();
        for name in names {
            offsets.push(strings.len() as u32);
            strings.extend_from_slice(name.as_bytes());
            strings.push(0);
        }
        let (first, size, count) = (0x40 + strings.len(), 0x40_usize, names.len());
        let mut file = vec![0; 0x40];
        file[E_SHOFF..E_SHOFF + 8].copy_from_slice(&(first as u64).to_le_bytes());
        for (at, value) in [(E_SHENTSIZE, size), (E_SHNUM, count), (E_SHSTRNDX, count - 1)] {
            file[at..at + 2].copy_from_slice(&(value as u16).to_le_bytes());
        }
        file.extend_from_slice(&strings);
        for offset in offsets {
            let mut header = vec![0; size];
            header[..4].copy_from_slice(&offset.to_le_bytes());
            // SHF_ALLOC, SHF_EXECINSTR
            header[SH_FLAGS] = 6;
            header[SH_OFFSET..SH_OFFSET + 8].copy_from_slice(&0x40_u64.to_le_bytes());
            file.extend_from_slice(&header);
        }
        file
    }

    #[test]
    fn unwanted_programs_lose_name_and_flags_and_nothing_else_changes() {
        let file = elf(&["raw_tp/a", "kprobe", "fexit", "kprobes", ".text", ".strtab"]);
        let check = |unwanted: fn(&[u8]) -> bool, index: usize| {
            let copy = without(&file, unwanted);
            let changed: Vec<usize> = (0..file.len()).filter(|at| file[*at] != copy[*at]).collect();
            let header = file.len() - (6 - index) * 0x40;
            assert_eq!(changed, [header, header + SH_FLAGS]);
            assert_eq!(headers(&copy, unwanted), Some(Vec::new()));
        };
        check(of_tracepoints, 0);
        check(of_kprobes, 1);
        check(of_fentry, 2);
    }

    #[test]
    fn a_damaged_object_is_left_as_it_is() {
        let file = elf(&["kprobe", ".strtab"]);
        for len in [0, 3, 0x30, 0x3f, 0x41] {
            assert_eq!(without(&file[..len], of_kprobes), file[..len]);
        }
        let mut wild = file;
        wild[E_SHOFF..E_SHOFF + 8].fill(0xff);
        assert_eq!(without(&wild, of_kprobes), wild);
    }
}
