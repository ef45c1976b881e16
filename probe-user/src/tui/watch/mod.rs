//! Follows the stream beside the ledger and keeps what the screen needs and the books do not: who is active, what
//! was held when, which tickets waited, which command runs. What the books do keep is asked of them.
//!
//! Bounded in every part, whatever the stream does. Time is that of the stream, so a replay shows what the live
//! session showed.
mod active;
mod commands;
mod describe;
mod focus;
mod follow;
mod pools;
mod samples;
mod tickets;

pub use self::{
    active::{Active, Activity},
    commands::{Commands, Counts},
    describe::{describe, flush_name},
    focus::Focus,
    follow::{Watch, counts},
    pools::{Pools, rows as pool_rows},
    samples::{SAMPLE_NS, SAMPLES},
    tickets::Tickets,
};
