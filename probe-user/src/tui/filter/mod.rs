//! The filter language: words with comparisons, all of which must hold.
//!
//! `meta_rsv>1M subvol=256 path~log` selects inodes of subvolume 256 that hold more than 1 MiB and whose path contains
//! `log`. A word alone is searched for in everything that has a name. Words are the ids of the accounts, with or without
//! the part before the dot; a `"` begins a text with spaces.
mod parse;
mod term;
#[cfg(test)]
mod tests;
mod word;

pub use self::{
    parse::{FilterError, parse, parse_typed},
    term::{Fields, Filter, Op, Term},
    word::Word,
};
