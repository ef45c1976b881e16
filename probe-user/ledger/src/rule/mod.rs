//! The rules: each takes a record, changes the books, and says what is broken. No rule is known to a book.
pub(crate) mod audit;
pub(crate) mod calls;
pub(crate) mod chains;
pub(crate) mod claims;
pub(crate) mod closing;
pub(crate) mod delalloc;
pub(crate) mod failures;
