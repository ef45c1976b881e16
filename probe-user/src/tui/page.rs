//! The pages of the screen.

/// A page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Page {
    /// Who holds what.
    #[default]
    Inodes,
    /// Pools of a filesystem.
    Pools,
    /// Broken rules.
    Findings,
    /// Tests, and the command.
    Tests,
    /// Hooks, losses, cost.
    Health,
    /// Reservations that failed for lack of space.
    Failures,
}

impl Page {
    /// All pages in the order of their keys.
    pub const ALL: [Self; 6] =
        [Self::Inodes, Self::Pools, Self::Findings, Self::Tests, Self::Health, Self::Failures];

    /// Its name on its tab.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Inodes => "Inodes",
            Self::Pools => "Pools",
            Self::Findings => "Findings",
            Self::Tests => "Tests",
            Self::Health => "Health",
            Self::Failures => "Failures",
        }
    }
}
