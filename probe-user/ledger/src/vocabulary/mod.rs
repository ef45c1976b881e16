//! The vocabulary of the ledger: accounts, findings, keys. It does not use books or rules.
pub(crate) mod account;
pub(crate) mod draws;
pub(crate) mod failed_reservations;
pub(crate) mod finding;
pub(crate) mod holders;
pub(crate) mod keys;
pub(crate) mod lengths;
pub(crate) mod path;
pub(crate) mod setup;
pub(crate) mod shortage;
pub(crate) mod spans;
pub(crate) mod waits;
pub(crate) mod words;
