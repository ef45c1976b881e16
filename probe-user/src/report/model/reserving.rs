//! Who reserved metadata, by reserving stack, whether or not there is a finding.
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AccountName, Frame, StackSource};

/// Who reserved metadata.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reserving {
    /// What the block_rsvs of live inodes hold at the end, by the stacks that reserved since the inode was last empty: of each inode
    /// in proportion to what each stack reserved.
    pub held: ReservingStacks,
    /// All that was reserved in the session. Bytes that were handed on from one account to another are in both.
    pub total: ReservingStacks,
}

/// Stacks that reserved.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReservingStacks {
    /// Those with most bytes, most first.
    pub stacks: Vec<ReservingStack>,
    /// Bytes of other stacks, and of reservations of which no stack was taken.
    pub other_bytes: u64,
}

/// A stack that reserved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReservingStack {
    /// Uuid of the filesystem; null if it is not known.
    pub filesystem: Option<String>,
    /// What it reserved for.
    pub account: AccountName,
    /// Bytes.
    pub bytes: u64,
    /// Reservations.
    pub count: u64,
    /// Innermost frame first.
    pub stack: Vec<Frame>,
    /// What `stack` is.
    pub stack_source: StackSource,
}

impl ReservingStacks {
    /// All bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.stacks.iter().fold(self.other_bytes, |sum, stack| sum.saturating_add(stack.bytes))
    }
}
