//! Keys: what they do, in which scope, and the one table of them.
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
