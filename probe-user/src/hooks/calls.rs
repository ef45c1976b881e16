//! Putting the function tier on and off.
use aya::programs::{KProbe, kprobe::KProbeLinkId};
use probe_common::hook::HookId;

use super::{
    attach::{Probe, chain, first_line},
    functions::PlannedFunction,
};
use crate::capture::session::{HookRow, HookState};

/// An attached kprobe or kretprobe.
pub(super) struct CallLink {
    hook: HookId,
    program: &'static str,
    link: KProbeLinkId,
}

impl Probe {
    /// Attaches the functions of the plan. All are loaded before the first one goes on, and of each the return before the
    /// entry: a call whose entry was seen has a return that is seen.
    ///
    /// # Errors
    /// One sentence: a function that the exact books need cannot be attached. Those that were are taken off again.
    pub fn attach_functions(&mut self, plan: &[PlannedFunction]) -> Result<Vec<HookRow>, String> {
        let wanted = || plan.iter().filter(|planned| planned.left_out.is_none());
        for planned in wanted() {
            for program in [Some(planned.function.entry), planned.function.exit].into_iter().flatten() {
                self.load_call(program).map_err(|why| format!("{program} was refused: {}", why))?;
            }
        }
        for planned in wanted() {
            let hook = planned.function.hook;
            for program in [planned.function.exit, Some(planned.function.entry)].into_iter().flatten() {
                if let Err(why) = self.attach_call(hook, program) {
                    self.detach_functions();
                    return Err(format!("{} cannot be attached: {}", hook.name(), first_line(&why)));
                }
            }
        }
        Ok(plan.iter().map(row).collect())
    }

    fn call_program(&mut self, name: &str) -> Result<&mut KProbe, String> {
        let program =
            self.ebpf.program_mut(name).ok_or_else(|| format!("no program {name} in the object"))?;
        program.try_into().map_err(|error: aya::programs::ProgramError| error.to_string())
    }

    fn load_call(&mut self, name: &str) -> Result<(), String> {
        let program = self.call_program(name)?;
        program.load().map_err(|error| chain(&error))?;
        if log::log_enabled!(log::Level::Info)
            && let Ok(info) = program.info()
        {
            log::info!("{name}: {} instructions verified", info.verified_instruction_count().unwrap_or(0));
        }
        Ok(())
    }

    fn attach_call(&mut self, hook: HookId, program: &'static str) -> Result<(), String> {
        let link = self.call_program(program)?.attach(hook.name(), 0).map_err(|error| chain(&error))?;
        self.calls.push(CallLink { hook, program, link });
        Ok(())
    }

    /// Takes the functions off: all entries before the first return.
    ///
    /// Side by side, since the kernel waits for a grace period after each of them.
    pub(super) fn detach_functions(&mut self) {
        let (mut entries, mut returns) = (Vec::new(), Vec::new());
        for CallLink { hook, program, link } in std::mem::take(&mut self.calls) {
            let taken = self
                .call_program(program)
                .and_then(|program| program.take_link(link).map_err(|error| chain(&error)));
            match taken {
                Ok(link) if program.ends_with("_out") => returns.push(link),
                Ok(link) => entries.push(link),
                Err(error) => {
                    log::warn!("{}: cannot detach: {error}; it goes with the process", hook.name());
                }
            }
        }
        drop_side_by_side(entries);
        drop_side_by_side(returns);
    }
}

/// Closes links on a few threads.
fn drop_side_by_side<T: Send>(links: Vec<T>) {
    const THREADS: usize = 16;
    let mut shares: Vec<Vec<T>> = (0..THREADS).map(|_| Vec::new()).collect();
    for (index, link) in links.into_iter().enumerate() {
        shares[index % THREADS].push(link);
    }
    std::thread::scope(|scope| {
        for share in shares {
            scope.spawn(move || drop(share));
        }
    });
}

/// How a planned function stands in doctor's and the report's table once it is on.
fn row(planned: &PlannedFunction) -> HookRow {
    let function = planned.function;
    HookRow {
        id: function.hook.name().to_owned(),
        kind: if function.exit.is_some() { "kprobe+kretprobe" } else { "kprobe" }.to_owned(),
        target: function.hook.name().to_owned(),
        state: if planned.left_out.is_none() { HookState::Attached } else { HookState::Skipped },
        reason: planned.left_out.clone().unwrap_or_default(),
    }
}
