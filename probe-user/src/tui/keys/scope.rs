//! The parts of the screen in which a key is valid.

/// Where a key means something. Several scopes may hold at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Everywhere but in the line where a filter is typed.
    Everywhere,
    /// Lists that can be sorted.
    Table,
    /// Lists and texts that can be opened or left.
    List,
    /// Lists with a filter.
    Filtered,
    /// One inode.
    Inode,
    /// The page Pools.
    Pools,
    /// The page Failures.
    Failures,
    /// While a recording is played.
    Replay,
    /// The line where a filter is typed.
    Prompt,
}

impl Scope {
    /// Head of its part of the help.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Everywhere => "Everywhere",
            Self::Table => "Tables",
            Self::List => "Lists and texts",
            Self::Filtered => "Inodes and Findings",
            Self::Inode => "One inode",
            Self::Pools => "Pools",
            Self::Failures => "Failures",
            Self::Replay => "Replay",
            Self::Prompt => "While a filter is typed",
        }
    }
}
