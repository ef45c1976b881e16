//! Follows the stream beside the ledger and keeps what the screen needs and the books do not have: which inodes are active,
//! how much was held when, which tickets waited, which command runs. It asks the books for the rest.
//!
//! Every part has a bound, whatever the stream contains. Time is stream time, so a replay shows what the live session
//! showed.
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
    describe::describe,
    focus::Focus,
    follow::{Watch, counts},
    pools::{Pools, rows as pool_rows},
    samples::{SAMPLE_NS, SAMPLES},
    tickets::Tickets,
};
