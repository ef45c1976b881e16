//! Addresses to names, captured early enough to survive module unload and replay on another machine.
//!
//! [`SymbolTable`] is a copy of `/proc/kallsyms` taken when a session starts. [`ResolvedSymbols`] is the part of it that a
//! session needs, small enough to go into a recording. An address outside all functions has no name: it never gets that of
//! a far neighbour.
mod kallsyms;
mod resolved;

pub use kallsyms::{SymbolTable, SymbolsError};
pub use resolved::ResolvedSymbols;

/// A function, and the offset of an address in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Symbol<'a> {
    /// Its name, with `.isra`, `.constprop` and `.part` where the compiler made a clone.
    pub name: &'a str,
    /// Bytes from its start.
    pub offset: u64,
    /// The module that it is in; none for the kernel proper.
    pub module: Option<&'a str>,
}

/// Names addresses: from a live kernel's table, or from a recording.
pub trait Symbolize {
    /// The function that an address is in.
    fn resolve(&self, address: u64) -> Option<Symbol<'_>>;
}
