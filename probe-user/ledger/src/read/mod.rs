//! Reading the ledger. The screen asks for one piece at a time; a report takes a summary made of the same pieces.
pub(crate) mod closings;
pub(crate) mod doubts;
pub(crate) mod kernel_lines;
mod not_judged;
pub(crate) mod pools;
pub(crate) mod queries;
mod summarise;
mod verdict;

pub(crate) mod summary;
