//! What `btrfs-probe import` prints: the text and the schema of [`crate::import::model`].
pub mod schema;
pub mod text;
