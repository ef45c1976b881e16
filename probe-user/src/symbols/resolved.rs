//! The names that a session needs, small enough to travel with its recording.
use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::{Symbol, Symbolize};

/// Names of the addresses that were asked for. A function is in it once, however many addresses are in the function.
///
/// When read back from a file it is untrusted input: an index out of range only makes an address unknown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResolvedSymbols {
    functions: Vec<Function>,
    frames: BTreeMap<u64, Place>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Function {
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    module: Option<String>,
}

/// Index into `functions`, and the offset in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Place(u32, u64);

impl ResolvedSymbols {
    /// The names of these addresses, as far as `table` knows them.
    pub fn of(table: &impl Symbolize, addresses: impl IntoIterator<Item = u64>) -> Self {
        let mut resolved = Self::default();
        resolved.add(table, addresses);
        resolved
    }

    /// Adds the names of more addresses; those already known keep theirs.
    pub fn add(&mut self, table: &impl Symbolize, addresses: impl IntoIterator<Item = u64>) {
        let numbers = (0u32..).zip(&self.functions).map(|(number, function)| (function.clone(), number));
        let mut numbers: HashMap<Function, u32> = numbers.collect();
        for address in addresses {
            if self.frames.contains_key(&address) {
                continue;
            }
            let Some(symbol) = table.resolve(address) else { continue };
            let function =
                Function { name: symbol.name.to_owned(), module: symbol.module.map(str::to_owned) };
            let number = match numbers.get(&function) {
                Some(number) => *number,
                None => {
                    let Ok(number) = u32::try_from(self.functions.len()) else { return };
                    self.functions.push(function.clone());
                    numbers.insert(function, number);
                    number
                }
            };
            self.frames.insert(address, Place(number, symbol.offset));
        }
    }

    /// How many addresses have a name.
    #[must_use]
    pub fn len(&self) -> usize {
        self.frames.len()
    }

    /// Whether no address has a name.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }
}

impl Symbolize for ResolvedSymbols {
    fn resolve(&self, address: u64) -> Option<Symbol<'_>> {
        let Place(number, offset) = *self.frames.get(&address)?;
        let function = self.functions.get(usize::try_from(number).ok()?)?;
        Some(Symbol { name: &function.name, offset, module: function.module.as_deref() })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that fails must fail")]
    use proptest::prelude::*;

    use super::super::SymbolTable;
    use super::*;

    const TEXT: &[u8] = b"ffffffff81000000 T one\nffffffff81000100 T two\nffffffffc0000000 t one\t[btrfs]\n";

    #[test]
    fn a_recording_says_what_the_table_said() {
        let table = SymbolTable::parse(TEXT).unwrap();
        let addresses =
            [0xffff_ffff_8100_0004, 0xffff_ffff_8100_0008, 0xffff_ffff_8100_0104, 0xffff_ffff_c000_0000, 5];
        let mut resolved = ResolvedSymbols::of(&table, addresses[..2].to_vec());
        resolved.add(&table, addresses);
        assert_eq!((resolved.len(), resolved.functions.len()), (4, 3));
        let text = serde_json::to_string(&resolved).unwrap();
        let back: ResolvedSymbols = serde_json::from_str(&text).unwrap();
        assert_eq!(back, resolved);
        for address in addresses {
            assert_eq!(back.resolve(address), table.resolve(address), "{address:#x}");
        }
    }

    #[test]
    fn an_index_out_of_range_is_an_unknown_address() {
        let text = r#"{"functions":[{"name":"one"}],"frames":{"16":[0,1],"32":[7,1]}}"#;
        let resolved: ResolvedSymbols = serde_json::from_str(text).unwrap();
        assert_eq!(resolved.resolve(16).unwrap().name, "one");
        assert_eq!(resolved.resolve(32), None);
    }

    proptest! {
        #[test]
        fn any_text_is_an_error_or_a_table(text: String) {
            if let Ok(resolved) = serde_json::from_str::<ResolvedSymbols>(&text) {
                prop_assert!(resolved.resolve(0).is_none() || !resolved.is_empty());
            }
        }
    }
}
