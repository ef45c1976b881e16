//! The books. Pure: no IO, no clock, no `unsafe`; the same stream gives the same findings.
//!
//! Records go in through [`Ledger::apply`], in stream order; findings, a [`summary::Summary`] and the inodes
//! that an audit should look at come out.
pub mod finding;
pub mod summary;
