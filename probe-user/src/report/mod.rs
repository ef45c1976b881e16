//! Turns the ledger's plain data into reports for people and scripts.
//!
//! [`build`] makes one [`model::Report`] from it. Every format is a pure function of that report, so no two formats can
//! disagree. [`output`] is the only file here that writes.
//!
//! Refused: reading symbols, mounts or clocks here (the caller passes them in); deciding what is a finding (the
//! ledger does); obeying anything in a name that came from the kernel ([`crate::format::escape`]).
pub mod baseline;
pub mod build;
pub mod drawn;
pub mod event;
pub mod explanation;
pub mod failed;
pub mod fingerprint;
pub mod flame;
pub mod folded;
pub mod html;
pub mod ignore;
pub mod imported;
pub mod json;
pub mod junit;
pub mod known;
pub mod mail;
pub mod merge;
pub mod model;
pub mod ndjson;
pub mod output;
pub mod owners;
pub mod schema;
pub mod subject;
pub mod svg;
pub mod text;
pub mod trace;

#[cfg(test)]
mod tests;
