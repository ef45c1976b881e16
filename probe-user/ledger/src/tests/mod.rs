//! Tests of the ledger: each rule, each trap of a correct kernel, a simulated kernel in any interleaving, and the same
//! stream with one altered transfer.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may fail loudly")]
mod alter;
mod altered;
mod altered_records;
mod audits;
mod balance;
mod budgets;
mod call_altered;
mod call_rules;
mod call_stream;
mod calls;
mod closings;
mod delayed_nodes;
mod draws;
mod errors;
mod events;
mod extents;
mod holders;
mod log_lines;
mod pinned;
mod pools;
mod properties;
mod qgroup_levels;
mod qgroup_owners;
mod qgroups;
mod recorded;
mod script_2012;
mod shortages;
mod stream;
mod system_calls;
mod task_data;
mod task_ends;
mod tickets;
mod traps;
mod waits;
mod writeback;
