//! Memory layout of the map entries. `cells/` has their functions.
pub mod frames;
pub mod fs;
pub mod task;
pub mod types;
