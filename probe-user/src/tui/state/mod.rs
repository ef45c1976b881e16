//! What the person at the keyboard chose, and how keys change it.
//!
//! No clock, no terminal: a key, a click or a new picture goes in, and what has to happen elsewhere comes out as
//! [`Effect`]s. The same keys on the same pictures always lead to the same state.
mod app;
mod effect;
mod finding_fields;
mod press;
mod prompt;
mod rows;
mod scopes;
#[cfg(test)]
mod tests;

pub use self::{
    app::{App, OpenInode},
    effect::Effect,
    prompt::Prompt,
};
