//! Attaches the hook of one tracepoint: by its program, with a fallback program where programs are preempted, or by a kprobe in place
//! of both. `fallback.rs` of the kernel side says why.
use super::{
    catalogue::{Entry, HOLD},
    error::{chain, first_line},
    links::{Link, LinkId},
    plan::PlannedHook,
    probe::Probe,
};

/// By what the hook of a tracepoint is attached.
pub(super) enum By {
    /// Its program, and its fallback program where programs are preempted. Why not the kprobe, if that was wanted.
    Programs(String),
    /// The kprobe program.
    Kprobe(&'static str),
}

/// `__traceiter_NAME`, `include/linux/tracepoint.h`: calls the programs of a tracepoint.
fn iterator_of(tracepoint: &str) -> String {
    format!("__traceiter_{tracepoint}")
}

/// What a hook without its kprobe says.
fn no_kprobe(entry: &Entry, why: &str) -> String {
    let why = first_line(why);
    log::info!("{}: {why}", entry.hook.name());
    format!("other tasks' events can be skipped while its program is preempted: {why}")
}

impl Probe {
    /// Loads the programs of a hook: the kprobe if it is wanted and the kernel takes it.
    pub(super) fn load_hook(&mut self, entry: &Entry) -> Result<By, String> {
        let mut reason = String::new();
        if let Some(kprobe) = self.kprobe_of(entry) {
            match self.load_hold().and_then(|()| self.load_kprobe(kprobe)) {
                Ok(()) => return Ok(By::Kprobe(kprobe)),
                Err(why) => reason = no_kprobe(entry, &why),
            }
        }
        self.load_programs(entry)?;
        Ok(By::Programs(reason))
    }

    fn kprobe_of(&self, entry: &Entry) -> Option<&'static str> {
        entry.preempted.filter(|_| self.iterators)?.kprobe
    }

    fn load_hold(&mut self) -> Result<(), String> {
        if self.program(HOLD)?.fd().is_ok() { Ok(()) } else { self.load_program(HOLD) }
    }

    fn load_programs(&mut self, entry: &Entry) -> Result<(), String> {
        self.load_program(entry.program)?;
        let preempted = entry.preempted.filter(|_| self.fallbacks);
        preempted.map_or(Ok(()), |preempted| self.load_program(preempted.fallback))
    }

    pub(super) fn attach_hook(&mut self, hook: &PlannedHook, by: By) -> Result<By, String> {
        let By::Kprobe(kprobe) = by else {
            self.attach_programs_of(hook)?;
            return Ok(by);
        };
        let before = self.links.len();
        match self.attach_iterator(hook, kprobe) {
            Ok(()) => Ok(by),
            Err(why) => {
                let half = self.links.split_off(before);
                half.into_iter().rev().for_each(|link| self.detach_link(link));
                let reason = no_kprobe(hook.entry, &why);
                self.load_programs(hook.entry)?;
                self.attach_programs_of(hook)?;
                Ok(By::Programs(reason))
            }
        }
    }

    /// A tracepoint calls its only program itself. With two it calls its iterator, where the kprobe is.
    fn attach_iterator(&mut self, hook: &PlannedHook, kprobe: &'static str) -> Result<(), String> {
        self.attach_program(hook, HOLD)?;
        self.attach_program(hook, HOLD)?;
        let id = self.attach_kprobe(kprobe, &iterator_of(hook.target))?;
        self.links.push(Link { hook: hook.entry.hook, program: kprobe.to_owned(), id });
        self.programs.push((hook.entry.hook, kprobe.to_owned()));
        Ok(())
    }

    fn attach_programs_of(&mut self, hook: &PlannedHook) -> Result<(), String> {
        let name = hook.entry.program;
        self.attach_program(hook, name)?;
        self.programs.push((hook.entry.hook, name.to_owned()));
        if let Some(preempted) = hook.entry.preempted.filter(|_| self.fallbacks) {
            // Behind the first: tracepoints run their programs in the order of attachment.
            self.attach_program(hook, preempted.fallback)?;
            self.with_fallback.push(hook.entry.hook);
        }
        Ok(())
    }

    fn attach_program(&mut self, hook: &PlannedHook, name: &str) -> Result<(), String> {
        let id = self.program(name)?.attach(hook.target).map_err(|error| chain(&error))?;
        self.links.push(Link { hook: hook.entry.hook, program: name.to_owned(), id: LinkId::Tracepoint(id) });
        Ok(())
    }

    pub(super) fn detach_link(&mut self, Link { hook, program, id }: Link) {
        let result = match id {
            LinkId::Tracepoint(id) => {
                self.program(&program).and_then(|program| program.detach(id).map_err(|error| chain(&error)))
            }
            other => self.take(&program, other).map(drop),
        };
        if let Err(error) = result {
            log::warn!("{}: cannot detach: {error}; it goes with the process", hook.name());
        }
    }
}
