//! What `btrfs-probe explain` prints: the text and the schema of [`crate::explain::model`].
pub mod schema;
pub mod text;
