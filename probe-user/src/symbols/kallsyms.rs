//! `/proc/kallsyms`: one line a symbol, `address type name [module]`.
use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::{Symbol, Symbolize};

/// 200,000 symbols take 10 MB; a longer file is cut off.
const MAX_BYTES: u64 = 256 << 20;
/// `KSYM_NAME_LEN` is 512; a longer name is not one of a kernel.
const MAX_NAME: usize = 1024;
/// Longest function, in bytes. Without this limit, the last one of a region would own all addresses that follow.
const MAX_FUNCTION: u64 = 1 << 20;
/// Ends of the kernel's text, which the symbol table lists as if they were functions.
const ENDS: [&str; 3] = ["_etext", "_einittext", "_end"];

/// Why there is no symbol table.
#[derive(Debug, thiserror::Error)]
pub enum SymbolsError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}; stacks will show addresses only")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the kernel answered.
        source: std::io::Error,
    },
    /// Every address is zero.
    #[error(
        "the kernel hides the addresses of its symbols, so stacks will show addresses only: run with CAP_SYSLOG and \
         set the sysctl kernel.kptr_restrict to 0 or 1"
    )]
    Hidden,
    /// There is no line of the expected form.
    #[error(
        "the symbol list of this kernel is empty (built without CONFIG_KALLSYMS?), so stacks will show addresses only"
    )]
    Empty,
}

/// Where a symbol begins and what it is called.
#[derive(Clone, Copy, Debug)]
struct Entry {
    address: u64,
    /// Start of the name in `names`; `NOT_TEXT` for data, which only ends the function before it.
    name: u32,
    length: u16,
    /// Index into `modules`; 0 for the kernel proper.
    module: u16,
}

const NOT_TEXT: u32 = u32::MAX;

/// The only data whose address is kept: `fs/btrfs/super.c` of kernels before 6.8.
const ROOT_FS_TYPE: &str = "btrfs_root_fs_type";

/// The symbols of a running kernel, sorted by address.
#[derive(Clone, Debug, Default)]
pub struct SymbolTable {
    entries: Vec<Entry>,
    names: String,
    modules: Vec<String>,
    root_fs_type: Option<u64>,
}

impl SymbolTable {
    /// Copies the table of the kernel with this root.
    ///
    /// # Errors
    /// It cannot be read, or hides its addresses.
    pub fn capture(root: &Path) -> Result<Self, SymbolsError> {
        let path = root.join("proc/kallsyms");
        let mut bytes = Vec::new();
        File::open(&path)
            .and_then(|file| file.take(MAX_BYTES).read_to_end(&mut bytes))
            .map_err(|source| SymbolsError::Read { path, source })?;
        Self::parse(&bytes)
    }

    /// Reads the text of a `kallsyms`; lines that are not understood are left out.
    ///
    /// # Errors
    /// It has no symbols, or all addresses are zero.
    pub fn parse(text: &[u8]) -> Result<Self, SymbolsError> {
        let mut table = Self { modules: vec![String::new()], ..Self::default() };
        let mut modules = HashMap::new();
        for line in text.split(|byte| *byte == b'\n') {
            // Stops at 4 GB of names or 65,535 modules: then it is no kernel's table.
            if table.add(line, &mut modules).is_none() {
                break;
            }
        }
        if table.entries.is_empty() {
            return Err(SymbolsError::Empty);
        }
        if table.entries.iter().all(|entry| entry.address == 0) {
            return Err(SymbolsError::Hidden);
        }
        table.sort();
        Ok(table)
    }

    /// `None` if there is no room for more.
    fn add<'a>(&mut self, line: &'a [u8], modules: &mut HashMap<&'a str, u16>) -> Option<()> {
        let Some((address, kind, name, module)) = fields(line) else { return Some(()) };
        if !matches!(kind, b't' | b'T' | b'w' | b'W') {
            if name == ROOT_FS_TYPE && address != 0 {
                self.root_fs_type = Some(address);
            }
            self.entries.push(Entry { address, name: NOT_TEXT, length: 0, module: 0 });
            return Some(());
        }
        let module = match modules.get(module) {
            _ if module.is_empty() => 0,
            Some(index) => *index,
            None => {
                let index = u16::try_from(self.modules.len()).ok()?;
                modules.insert(module, index);
                self.modules.push(module.to_owned());
                index
            }
        };
        let start = u32::try_from(self.names.len()).ok().filter(|start| *start != NOT_TEXT)?;
        self.names.push_str(name);
        self.entries.push(Entry { address, name: start, length: u16::try_from(name.len()).ok()?, module });
        Some(())
    }

    /// Stable, so that of several names of one address the kernel's first stays first, as in its own lookup.
    fn sort(&mut self) {
        self.entries.sort_by_key(|entry| (entry.address, entry.name == NOT_TEXT));
        self.entries.shrink_to_fit();
        self.names.shrink_to_fit();
    }

    /// Adds a later capture, for modules loaded since. Unloaded symbols stay, unless new ones took their addresses.
    pub fn absorb(&mut self, later: Self) {
        let Self { entries, names, modules, root_fs_type } = later;
        // A module loaded again has new addresses, or old ones with other names: drop what the new ones cover.
        let mut old = std::mem::take(self);
        let same_address =
            |entry: &Entry| entries.binary_search_by_key(&entry.address, |new| new.address).is_ok();
        old.entries.retain(|entry| !same_address(entry));
        *self = Self { entries, names, modules, root_fs_type };
        for entry in old.entries {
            let (Some(name), Ok(start)) = (old.names.get(range(entry)), u32::try_from(self.names.len()))
            else {
                continue;
            };
            let module = old.modules.get(usize::from(entry.module)).cloned().unwrap_or_default();
            if entry.name == NOT_TEXT || module.is_empty() {
                continue;
            }
            let known = self.modules.iter().position(|known| *known == module);
            let Ok(index) = u16::try_from(known.unwrap_or(self.modules.len())) else { continue };
            if known.is_none() {
                self.modules.push(module);
            }
            self.names.push_str(name);
            self.entries.push(Entry { name: start, module: index, ..entry });
        }
        self.sort();
    }

    /// A function by name, with the clones that the compiler made of it (`.isra.0`, `.constprop.0`, `.part.0`), but
    /// not their `.cold` parts, which are no entry points. With their addresses.
    pub fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (u64, Symbol<'a>)> {
        self.entries.iter().filter_map(move |entry| {
            let symbol = self.symbol(*entry, entry.address)?;
            let suffix = symbol.name.strip_prefix(name)?;
            let clone = suffix.strip_prefix('.').is_some_and(|suffix| {
                let mut parts =
                    suffix.split('.').filter(|part| !part.bytes().all(|byte| byte.is_ascii_digit()));
                parts.all(|part| ["isra", "constprop", "part"].contains(&part))
            });
            (suffix.is_empty() || clone).then_some((entry.address, symbol))
        })
    }

    /// Address and length of the only function of this name, without clones; the length reaches to the next symbol.
    #[must_use]
    pub fn extent(&self, name: &str) -> Option<(u64, u64)> {
        let mut found = self.named(name);
        let (address, symbol) = found.next()?;
        if symbol.name != name || found.next().is_some() {
            return None;
        }
        let after = self.entries.partition_point(|entry| entry.address <= address);
        let length = self.entries.get(after)?.address - address;
        (length < MAX_FUNCTION).then_some((address, length))
    }

    /// Address of `btrfs_root_fs_type`, which the superblocks belong to before 6.8. Shown with `CONFIG_KALLSYMS_ALL` only.
    #[must_use]
    pub const fn root_fs_type(&self) -> Option<u64> {
        self.root_fs_type
    }

    /// How many functions are known.
    #[must_use]
    pub fn functions(&self) -> usize {
        self.entries.iter().filter(|entry| entry.name != NOT_TEXT).count()
    }

    fn symbol(&self, entry: Entry, address: u64) -> Option<Symbol<'_>> {
        if entry.name == NOT_TEXT {
            return None;
        }
        let name = self.names.get(range(entry))?;
        let module = self.modules.get(usize::from(entry.module)).filter(|module| !module.is_empty());
        Some(Symbol { name, offset: address.checked_sub(entry.address)?, module: module.map(String::as_str) })
    }
}

impl Symbolize for SymbolTable {
    fn resolve(&self, address: u64) -> Option<Symbol<'_>> {
        let after = self.entries.partition_point(|entry| entry.address <= address);
        let start = self.entries.get(after.checked_sub(1)?)?.address;
        let first = self.entries.partition_point(|entry| entry.address < start);
        let aliases = self.entries.get(first..after)?;
        let symbol = self.symbol(*aliases.first()?, address)?;
        let end =
            aliases.iter().any(|entry| self.symbol(*entry, address).is_some_and(|s| ENDS.contains(&s.name)));
        (start != 0 && symbol.offset < MAX_FUNCTION && !end).then_some(symbol)
    }
}

fn range(entry: Entry) -> std::ops::Range<usize> {
    let start = entry.name as usize;
    start..start.saturating_add(usize::from(entry.length))
}

fn fields(line: &[u8]) -> Option<(u64, u8, &str, &str)> {
    let text = std::str::from_utf8(line).ok()?;
    let mut fields = text.split([' ', '\t']).filter(|field| !field.is_empty());
    let address = u64::from_str_radix(fields.next()?, 16).ok()?;
    let &[kind] = fields.next()?.as_bytes() else { return None };
    let name = fields.next().filter(|name| name.len() <= MAX_NAME)?;
    let module =
        fields.next().and_then(|module| module.strip_prefix('[')?.strip_suffix(']')).unwrap_or_default();
    Some((address, kind, name, module))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that fails must fail")]
    use proptest::prelude::*;

    use super::*;

    const TEXT: &[u8] = b"0000000000000000 A fixed_percpu_data\n\
        ffffffff81000000 T _stext\n\
        ffffffff81000000 T _text\n\
        ffffffff81000100 t use_block_rsv.constprop.0\n\
        ffffffff81000200 t use_block_rsv.constprop.0.cold\n\
        ffffffff81000300 T btrfs_alloc_tree_block\n\
        ffffffff82209988 T last_thunk_end\n\
        ffffffff82209988 T _etext\n\
        ffffffff82300000 d some_data\n\
        ffffffffc0800000 t btrfs_get_extent\t[btrfs]\n\
        ffffffffc0800400 T btrfs_use_block_rsv\t[btrfs]\n\
        ffffffffc0700000 t xor_blocks\t[xor]\n\
        ffffffffc0800800 b btrfs_data\t[btrfs]\n\
        ffffffffc0203000 t ftrace_trampoline\t[__builtin__ftrace]\n";

    fn name_at(table: &SymbolTable, address: u64) -> Option<(&str, u64, Option<&str>)> {
        table.resolve(address).map(|symbol| (symbol.name, symbol.offset, symbol.module))
    }

    #[test]
    fn names_offsets_and_modules() {
        let table = SymbolTable::parse(TEXT).unwrap();
        for (address, expected) in [
            (0xffff_ffff_8100_0000, Some(("_stext", 0, None))),
            (0xffff_ffff_8100_01ff, Some(("use_block_rsv.constprop.0", 0xff, None))),
            (0xffff_ffff_c080_03ff, Some(("btrfs_get_extent", 0x3ff, Some("btrfs")))),
            (0xffff_ffff_c080_0401, Some(("btrfs_use_block_rsv", 1, Some("btrfs")))),
            (0xffff_ffff_c070_0000, Some(("xor_blocks", 0, Some("xor")))),
            // Beyond the text, in data, below everything, far behind a function.
            (0xffff_ffff_8220_9988, None),
            (0xffff_ffff_8230_0001, None),
            (0xffff_ffff_c080_0801, None),
            (0x1000, None),
            (0, None),
            (0xffff_ffff_c030_3000, None),
            (u64::MAX, None),
        ] {
            assert_eq!(name_at(&table, address), expected, "{address:#x}");
        }
        assert_eq!(table.functions(), 11);
    }

    #[test]
    fn clones_are_found_by_the_name_of_the_function() {
        let table = SymbolTable::parse(TEXT).unwrap();
        let found =
            table.named("use_block_rsv").map(|(address, symbol)| (address, symbol.name)).collect::<Vec<_>>();
        assert_eq!(found, [(0xffff_ffff_8100_0100, "use_block_rsv.constprop.0")]);
        assert_eq!(table.named("btrfs_get").count(), 0);
        assert_eq!(table.named("btrfs_get_extent").count(), 1);
    }

    #[test]
    fn the_type_of_superblocks_is_found_by_its_name() {
        assert_eq!(SymbolTable::parse(TEXT).unwrap().root_fs_type(), None);
        let before =
            b"ffffffffc0800900 d btrfs_root_fs_type\t[btrfs]\nffffffffc0800a00 d btrfs_fs_type\t[btrfs]\n";
        let mut table = SymbolTable::parse(TEXT).unwrap();
        table.absorb(SymbolTable::parse(before).unwrap());
        assert_eq!(table.root_fs_type(), Some(0xffff_ffff_c080_0900));
    }

    #[test]
    fn hidden_addresses_are_told_from_an_empty_table() {
        let hidden = b"0000000000000000 T _stext\n0000000000000000 t x\t[btrfs]\n";
        assert!(matches!(SymbolTable::parse(hidden), Err(SymbolsError::Hidden)));
        assert!(matches!(SymbolTable::parse(b""), Err(SymbolsError::Empty)));
        assert!(matches!(SymbolTable::parse(b"no symbols\n\n"), Err(SymbolsError::Empty)));
        let error = SymbolTable::capture(Path::new("/nonexistent")).unwrap_err().to_string();
        assert!(error.starts_with("cannot read /nonexistent/proc/kallsyms"), "{error}");
    }

    #[test]
    fn a_later_capture_adds_and_replaces() {
        let mut table = SymbolTable::parse(TEXT).unwrap();
        // btrfs was unloaded, raid6 took a part of its place, and btrfs came back elsewhere.
        let later = b"ffffffff81000000 T _stext\n\
            ffffffffc0800400 T raid6_call\t[raid6_pq]\n\
            ffffffffc0900000 t btrfs_get_extent\t[btrfs]\n";
        table.absorb(SymbolTable::parse(later).unwrap());
        for (address, expected) in [
            (0xffff_ffff_c080_0010, Some(("btrfs_get_extent", 0x10, Some("btrfs")))),
            (0xffff_ffff_c080_0410, Some(("raid6_call", 0x10, Some("raid6_pq")))),
            (0xffff_ffff_c090_0001, Some(("btrfs_get_extent", 1, Some("btrfs")))),
            (0xffff_ffff_c070_0001, Some(("xor_blocks", 1, Some("xor")))),
        ] {
            assert_eq!(name_at(&table, address), expected, "{address:#x}");
        }
    }

    #[test]
    fn the_running_kernel() {
        let Ok(table) = SymbolTable::capture(Path::new("/")) else { return };
        assert!(table.functions() > 1000);
        let (address, symbol) = table.named("schedule").next().unwrap();
        assert_eq!((symbol.name, symbol.offset), ("schedule", 0));
        assert_eq!(table.resolve(address + 1).unwrap().name, "schedule");
    }

    proptest! {
        #[test]
        fn damaged_lines(damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..60), address: u64) {
            let mut bytes = TEXT.to_vec();
            for (index, byte) in damage {
                let index = index.index(bytes.len());
                bytes[index] = byte;
            }
            if let Ok(mut table) = SymbolTable::parse(&bytes) {
                table.absorb(SymbolTable::parse(TEXT).unwrap());
                let _ = table.resolve(address);
                // The undamaged capture came last, so its names hold.
                prop_assert_eq!(name_at(&table, 0xffff_ffff_c070_0000), Some(("xor_blocks", 0, Some("xor"))));
            }
        }

        #[test]
        fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..400), address: u64) {
            if let Ok(table) = SymbolTable::parse(&bytes) {
                let _ = table.resolve(address);
            }
        }

        #[test]
        fn the_nearest_function_below_is_found(starts in proptest::collection::btree_set(1..1_000_000u64, 1..50), address in 0..1_100_000u64) {
            let text: String = starts.iter().rev().map(|start| format!("{start:x} t f{start}\n")).collect();
            let table = SymbolTable::parse(text.as_bytes()).unwrap();
            let expected = starts.range(..=address).next_back().map(|start| (format!("f{start}"), address - start));
            let found = table.resolve(address).map(|symbol| (symbol.name.to_owned(), symbol.offset));
            prop_assert_eq!(found, expected.filter(|(_, offset)| *offset < MAX_FUNCTION));
        }
    }
}
