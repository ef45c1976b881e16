//! Which hooks this kernel has, and why the others are left out. Decided from BTF, so testable without rights.
use probe_common::hook::HookId;

use super::catalogue::{CATALOGUE, Entry};
use crate::kernel::btf::{KernelTypes, ResolvedOffsets};

/// One hook of the plan.
#[derive(Clone, Debug)]
pub struct PlannedHook {
    /// The catalogue's row.
    pub entry: &'static Entry,
    /// Tracepoint to attach to on this kernel.
    pub target: &'static str,
    /// Why it is left out; `None` if it is to be attached.
    pub left_out: Option<String>,
}

/// Decides for every hook of the catalogue.
#[must_use]
pub fn plan(types: &KernelTypes, resolved: &ResolvedOffsets) -> Vec<PlannedHook> {
    CATALOGUE.iter().map(|entry| decide(types, resolved, entry)).collect()
}

fn decide(types: &KernelTypes, resolved: &ResolvedOffsets, entry: &'static Entry) -> PlannedHook {
    let newest = entry.tracepoints.first().copied().unwrap_or_default();
    let Some(target) = entry.tracepoints.iter().copied().find(|name| types.tracepoint(name).is_some()) else {
        let names = entry.tracepoints.join(" or ");
        let left_out = Some(format!("this kernel has no tracepoint {names} (by its BTF)"));
        return PlannedHook { entry, target: newest, left_out };
    };
    let missing = resolved.missing.iter().find(|field| entry.needs.contains(&field.name));
    let left_out = missing.map(|field| format!("{} cannot be resolved: {}", field.name, field.reason));
    PlannedHook { entry, target, left_out }
}

/// Hooks of the plan that the books need and that are left out.
#[must_use]
pub fn missing_required(plan: &[PlannedHook]) -> Vec<(HookId, String)> {
    plan.iter()
        .filter(|hook| hook.entry.required)
        .filter_map(|hook| Some((hook.entry.hook, hook.left_out.clone()?)))
        .collect()
}

#[cfg(test)]
mod tests;
