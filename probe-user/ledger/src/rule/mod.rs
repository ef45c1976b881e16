//! The rules: each takes a record, changes the books, and reports violations. Books do not use rules.
pub(crate) mod audit;
pub(crate) mod calls;
pub(crate) mod chains;
pub(crate) mod claims;
pub(crate) mod closing;
pub(crate) mod delalloc;
pub(crate) mod draws;
pub(crate) mod failures;
pub(crate) mod holders;
pub(crate) mod pinned;
pub(crate) mod qgroup_levels;
pub(crate) mod shortages;
pub(crate) mod tickets;
pub(crate) mod transaction;
