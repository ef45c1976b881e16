//! Keys: what they do, where they mean it, and the one table of them.
mod action;
mod binding;
mod bindings;
mod scope;

pub use self::{
    action::Action,
    binding::{Binding, Key},
    bindings::{BINDINGS, action},
    scope::Scope,
};
