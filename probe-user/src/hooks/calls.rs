//! Attaches and detaches the functions tier.
use std::{
    cell::LazyCell,
    os::fd::{AsFd, OwnedFd},
};

use aya::programs::{KProbe, Program, ProgramError, kprobe::KProbeLink};
use probe_common::hook::HookId;
use probe_record::session::{HookRow, HookState};

use super::{
    error::{chain, first_line},
    fentry::{FentryPrograms, TypesOf},
    functions::{Function, PlannedFunction},
    links::{Link, LinkId},
    means::{Means, Offers},
    probe::Probe,
    returns::{Kretprobe, Tracefs},
};

/// An attached link, taken out of its program. Detaches when it is dropped.
pub(super) enum Taken {
    Kprobe { _link: KProbeLink },
    Kretprobe { _probe: Kretprobe },
    Fentry { _link: OwnedFd },
}

/// A function whose programs are loaded.
struct Loaded<'a> {
    planned: &'a PlannedFunction,
    means: Means,
    /// Why not by fentry, and what the kprobe lacks; empty if there is nothing to say.
    reason: String,
}

impl Loaded<'_> {
    fn add_reason(&mut self, more: &str) {
        if !self.reason.is_empty() {
            self.reason.push_str("; ");
        }
        self.reason.push_str(more);
    }
}

/// tracefs, which makes kretprobes with more room, or why they have only the kernel's default room.
type Room = Result<Tracefs, String>;

impl Probe {
    /// Attaches the functions of the plan by the best means that the kernel offers. `object` is the one that was loaded. All
    /// are loaded before the first is attached. Each return is attached before its entry, so a call whose entry was seen has
    /// a return that is seen.
    ///
    /// # Errors
    /// One sentence: a function that the exact books need cannot be attached. Functions attached so far are detached again.
    pub fn attach_functions(
        &mut self,
        object: &[u8],
        plan: &[PlannedFunction],
        offers: &Offers,
    ) -> Result<Vec<HookRow>, String> {
        if offers.fentry.is_ok() {
            self.fentry = FentryPrograms::of(object, &self.ebpf);
        }
        let mut all = Vec::with_capacity(plan.len());
        let mut refused = Vec::new();
        for planned in plan.iter().filter(|planned| planned.left_out.is_none()) {
            match self.load_function(planned, offers) {
                Ok(loaded) => all.push(loaded),
                Err(why) if planned.function.required => return Err(why),
                Err(why) => refused.push((planned.function.hook, why)),
            }
        }
        if let Ok(programs) = &mut self.fentry {
            programs.settle();
        }
        // Found when the first kretprobe needs it.
        let room = LazyCell::new(Tracefs::find as fn() -> Room);
        for loaded in &mut all {
            if let Err(why) = self.attach_function(loaded, offers, &room) {
                self.detach_functions();
                return Err(why);
            }
        }
        Ok(plan.iter().map(|planned| row(planned, &all, &refused, offers.first().0)).collect())
    }

    /// Loads a function's programs by the first means that the kernel takes.
    fn load_function<'a>(
        &mut self,
        planned: &'a PlannedFunction,
        offers: &Offers,
    ) -> Result<Loaded<'a>, String> {
        let (means, why) = offers.first();
        let mut loaded = Loaded { planned, means, reason: why.to_owned() };
        match &offers.fentry {
            Err(_) => self.load_kprobes(planned.function)?,
            Ok(_) if planned.type_id == 0 => {
                self.fall_back(&mut loaded, "the compiler made a clone of it", offers)?;
            }
            Ok(types) => {
                if let Err(why) = self.load_fentry(planned, types) {
                    self.fall_back(&mut loaded, &why, offers)?;
                }
            }
        }
        Ok(loaded)
    }

    /// Uses kprobes for a function for which fentry was refused.
    fn fall_back(&mut self, loaded: &mut Loaded<'_>, why: &str, offers: &Offers) -> Result<(), String> {
        let function = loaded.planned.function;
        let refused = format!("fentry is not possible here: {}", first_line(why));
        log::info!("{}: {refused}", function.hook.name());
        log::debug!("{}: {why}", function.hook.name());
        if let Err(no_kprobes) = &offers.kprobes {
            return Err(format!("{} cannot be hooked: {refused}; {no_kprobes}", function.hook.name()));
        }
        self.load_kprobes(function)?;
        loaded.means = Means::Kprobe;
        loaded.reason = refused;
        Ok(())
    }

    fn load_fentry(&mut self, planned: &PlannedFunction, types: &TypesOf) -> Result<(), String> {
        let function = planned.function;
        let names = [function.exit(Means::Fentry), Some(function.entry(Means::Fentry))];
        for name in names.into_iter().flatten() {
            let programs = self.fentry.as_mut().map_err(|why| why.clone())?;
            programs.load(&name, types, planned.type_id)?;
            self.show_verified(&name);
        }
        Ok(())
    }

    fn load_kprobes(&mut self, function: &Function) -> Result<(), String> {
        for name in [Some(function.entry(Means::Kprobe)), function.exit(Means::Kprobe)].into_iter().flatten()
        {
            self.load_kprobe(&name)?;
        }
        Ok(())
    }

    pub(super) fn load_kprobe(&mut self, name: &str) -> Result<(), String> {
        let program = typed::<&mut KProbe>(&mut self.ebpf, name)?;
        program.load().map_err(|error| format!("{name} was refused: {}", chain(&error)))?;
        self.show_verified(name);
        Ok(())
    }

    /// Attaches a function; by kprobes if the kernel refuses fentry only at this point.
    fn attach_function(
        &mut self,
        loaded: &mut Loaded<'_>,
        offers: &Offers,
        room: &LazyCell<Room>,
    ) -> Result<(), String> {
        let before = self.calls.len();
        let why = match self.attach_programs(loaded, room) {
            Ok(()) => return Ok(()),
            Err(why) => why,
        };
        let cannot = |why: &str| {
            format!("{} cannot be attached: {}", loaded.planned.function.hook.name(), first_line(why))
        };
        if loaded.means == Means::Kprobe {
            return Err(cannot(&why));
        }
        let half = self.calls.split_off(before);
        self.detach_calls(half);
        self.fall_back(loaded, &why, offers)?;
        self.attach_programs(loaded, room).map_err(|why| cannot(&why))
    }

    fn attach_programs(&mut self, loaded: &mut Loaded<'_>, room: &LazyCell<Room>) -> Result<(), String> {
        let function = loaded.planned.function;
        let (hook, name) = (function.hook, loaded.planned.name.as_str());
        let exit = function.exit(loaded.means);
        for (program, is_exit) in
            exit.map(|exit| (exit, true)).into_iter().chain([(function.entry(loaded.means), false)])
        {
            let id = match (loaded.means, is_exit) {
                (Means::Kprobe, false) => self.attach_kprobe(&program, name)?,
                (Means::Kprobe, true) => {
                    let probe = typed::<&mut KProbe>(&mut self.ebpf, &program)?;
                    match with_room(probe, name, room) {
                        Ok(kretprobe) => LinkId::Kretprobe(kretprobe),
                        Err(why) => {
                            let narrow = format!("follows few calls at a time: {why}");
                            log::info!("{name}: {narrow}");
                            loaded.add_reason(&narrow);
                            self.attach_kprobe(&program, name)?
                        }
                    }
                }
                (Means::Fentry, _) => {
                    let programs = self.fentry.as_ref().map_err(Clone::clone)?;
                    LinkId::Fentry(programs.attach(&program)?)
                }
            };
            // Only the program's own count shows the runs that the kernel skipped (of kprobes: 6.7 on).
            self.programs.push((hook, program.clone()));
            self.calls.push(Link { hook, program, id });
        }
        Ok(())
    }

    pub(super) fn attach_kprobe(&mut self, program: &str, function: &str) -> Result<LinkId, String> {
        let attached = typed::<&mut KProbe>(&mut self.ebpf, program)?.attach(function, 0);
        attached.map(LinkId::Kprobe).map_err(|error| chain(&error))
    }

    /// Detaches the functions: all entries before the first return.
    pub(super) fn detach_functions(&mut self) {
        let calls = std::mem::take(&mut self.calls);
        self.detach_calls(calls);
    }

    /// In parallel, since the kernel waits for a grace period after each of them.
    fn detach_calls(&mut self, calls: Vec<Link>) {
        let (mut entries, mut returns) = (Vec::new(), Vec::new());
        for Link { hook, program, id } in calls {
            match self.take(&program, id) {
                Ok(link) if program.ends_with("_out") || program.ends_with("_fexit") => returns.push(link),
                Ok(link) => entries.push(link),
                Err(error) => {
                    log::warn!("{}: cannot detach: {error}; it goes with the process", hook.name());
                }
            }
        }
        drop_side_by_side(entries);
        drop_side_by_side(returns);
    }

    pub(super) fn take(&mut self, program: &str, id: LinkId) -> Result<Taken, String> {
        match id {
            LinkId::Kretprobe(probe) => Ok(Taken::Kretprobe { _probe: probe }),
            LinkId::Fentry(link) => Ok(Taken::Fentry { _link: link }),
            LinkId::Tracepoint(_) => Err("it is of a tracepoint".to_owned()),
            LinkId::Kprobe(id) => typed::<&mut KProbe>(&mut self.ebpf, program)?
                .take_link(id)
                .map(|link| Taken::Kprobe { _link: link })
                .map_err(|error| chain(&error)),
        }
    }
}

/// Attaches a kprobe program to the return of a function, with room for many calls.
fn with_room(program: &KProbe, function: &str, room: &LazyCell<Room>) -> Result<Kretprobe, String> {
    let tracefs = LazyCell::force(room).as_ref().map_err(Clone::clone)?;
    let loaded = program.fd().map_err(|error| chain(&error))?;
    tracefs.attach(function, loaded.as_fd())
}

/// A program of the object, as its own type.
fn typed<'a, P>(ebpf: &'a mut aya::Ebpf, name: &str) -> Result<P, String>
where
    P: TryFrom<&'a mut Program, Error = ProgramError>,
{
    let program = ebpf.program_mut(name).ok_or_else(|| format!("no program {name} in the object"))?;
    program.try_into().map_err(|error: ProgramError| error.to_string())
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

/// The row of an attached function in the hook table of doctor and report.
fn row(planned: &PlannedFunction, all: &[Loaded<'_>], refused: &[(HookId, String)], first: Means) -> HookRow {
    let function = planned.function;
    let loaded = all.iter().find(|loaded| loaded.planned.function.hook == function.hook);
    let (state, means, reason) = match loaded {
        Some(loaded) => (HookState::Attached, loaded.means, loaded.reason.clone()),
        None => {
            let refused = refused.iter().find(|(hook, _)| *hook == function.hook).map(|(_, why)| why);
            let reason = planned.left_out.as_ref().or(refused);
            (HookState::Skipped, first, reason.cloned().unwrap_or_default())
        }
    };
    HookRow {
        id: function.hook.name().to_owned(),
        kind: means.kind(function.returns).to_owned(),
        target: planned.name.clone(),
        state,
        reason,
    }
}
