//! Addresses to names, captured early enough to survive module unload and replay on another machine.
//!
//! [`SymbolTable`] is a copy of `/proc/kallsyms` taken when a session starts; [`ResolvedSymbols`] is what a session
//! needs of it, small enough to go into a recording. An address that is in no function has no name: it is never
//! given that of a far neighbour.
mod kallsyms;
mod resolved;

pub use kallsyms::{SymbolTable, SymbolsError};
pub use resolved::ResolvedSymbols;

/// A function, and how far into it an address lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Symbol<'a> {
    /// Its name, with `.isra`, `.constprop` and `.part` where the compiler made a clone.
    pub name: &'a str,
    /// Bytes from its start.
    pub offset: u64,
    /// The module that it is in; none for the kernel proper.
    pub module: Option<&'a str>,
}

/// Something that knows the names of addresses: a live kernel's table or a recording's.
pub trait Symbolize {
    /// The function that an address is in.
    fn resolve(&self, address: u64) -> Option<Symbol<'_>>;
}
