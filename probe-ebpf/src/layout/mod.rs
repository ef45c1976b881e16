//! Entries of the maps, as they lie there. What is done with them is in `cells/`.
pub mod frames;
pub mod fs;
pub mod task;
pub mod types;
