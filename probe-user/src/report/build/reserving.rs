//! Who reserved metadata, by stack.
use super::{ReportInput, findings};
use crate::{
    history::Stacks,
    report::model::{Reserving, ReservingStack, ReservingStacks, StackSource},
};

pub(super) fn build(input: &ReportInput<'_>) -> Reserving {
    let (held, total) = &input.facts.reserving;
    Reserving { held: stacks(input, held), total: stacks(input, total) }
}

fn stacks(input: &ReportInput<'_>, stacks: &Stacks) -> ReservingStacks {
    let mut other_bytes = stacks.others;
    let mut list: Vec<ReservingStack> = Vec::with_capacity(stacks.list.len());
    for (fs, account, origin) in &stacks.list {
        let (stack, stack_source) = findings::resolve(input.stacks, origin.stack);
        if stack.is_empty() {
            other_bytes = other_bytes.saturating_add(origin.bytes);
            continue;
        }
        list.push(ReservingStack {
            filesystem: input.uuid(*fs),
            account: (*account).into(),
            bytes: origin.bytes,
            count: origin.count,
            stack,
            stack_source,
        });
    }
    debug_assert!(list.iter().all(|of| of.stack_source != StackSource::None), "it has frames");
    ReservingStacks { stacks: list, other_bytes }
}
