//! One boot: a batch of injections in a guest, below one session of the tool.
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::{
    act::Act,
    plan::{CENSUS, COUNTED, Injection},
    sites::Sites,
    steps::Step,
    verdict::{self, Reached, Verdict},
};
use crate::{
    vm::{self, Guest, Item, Release, Source},
    workspace::Workspace,
};

/// Of a filesystem, in MiB.
const SIZE: u32 = 400;
/// What `guest.sh` says when its time is over before an injection.
const LATE: &str = "hunt: late";
/// A guest that says nothing for so long hangs: longer than the guest's own patience with a load and an unmount.
const SILENCE: Duration = Duration::from_secs(150);

/// What all boots of a kernel share.
pub struct Lab<'a> {
    pub workspace: &'a Workspace,
    pub release: Release,
    pub tool: PathBuf,
    pub steps: &'a [Step],
    pub sites: &'a Sites,
    /// `target/hunt/KERNEL`
    pub folder: PathBuf,
}

/// An injection, and what came of it.
pub struct Done {
    pub injection: Injection,
    pub reached: Vec<Reached>,
    pub verdict: Verdict,
    /// Where the kernel warned.
    pub warned: Vec<String>,
    /// What `btrfs check` finds wrong afterwards.
    pub check: Vec<String>,
}

impl Lab<'_> {
    /// Runs `batch` for at most `seconds`. Injections that the guest did not come to, or whose books went with the guest, are
    /// left out of what is returned.
    /// None if the time was over when the tool had attached.
    ///
    /// # Errors
    /// The guest cannot be booted at all.
    pub fn boot(&self, batch: &[Injection], seconds: u64) -> Result<Vec<Done>> {
        let out = self.folder.join("out");
        let _ = fs::remove_dir_all(&out);
        fs::create_dir_all(&out).with_context(|| format!("cannot make {}", out.display()))?;
        let plan = self.folder.join("plan");
        fs::write(&plan, self.lines(batch)).context("cannot write the plan for the guest")?;
        let ours = self.workspace.root.join("tests/hunt");
        let kernel = vm::Kernel::ensure(self.workspace, self.release)?;
        let fault = vm::headers::fault_module(self.workspace, &kernel)?;
        let mut items = vm::loads::items(self.workspace, &self.folder)?;
        items.extend([
            Item::program(self.tool.clone(), "/bin/btrfs-probe"),
            Item::program(fault, "/fault.ko"),
            Item::program(ours.join("loads.sh"), "/hunt.sh"),
            Item::program(ours.join("guest.sh"), "/guest.sh"),
            Item::program(plan, "/plan"),
        ]);
        let tier = batch.first().map_or("functions", |injection| injection.tier);
        let guest = Guest {
            kernel: Source::Debian(self.release),
            memory: "3G".to_owned(),
            timeout: Duration::from_secs(seconds) + SILENCE,
            silence: SILENCE,
            counted: false,
            items,
            collect: Vec::new(),
            script: script(tier, seconds),
        };
        let mut said = Vec::new();
        let ended = guest.run(self.workspace, Some(&out), &mut |bytes| said.extend_from_slice(bytes));
        let said = String::from_utf8_lossy(&said).into_owned();
        let _ = fs::write(self.folder.join("said"), &said);
        let ends = verdict::ends(&said);
        if ends.is_empty() && ended.is_ok() && said.lines().any(|line| line.trim() == LATE) {
            return Ok(Vec::new());
        }
        if ends.is_empty() {
            ended.context("the guest came to no injection")?;
            anyhow::bail!("the guest came to no injection:\n{said}");
        }
        let death = ended.as_ref().err().map(|error| format!("{error:#}"));
        Ok(self.judge(batch, &ends, death.as_deref(), &out))
    }

    fn judge(
        &self,
        batch: &[Injection],
        ends: &BTreeMap<u32, Option<String>>,
        death: Option<&str>,
        out: &Path,
    ) -> Vec<Done> {
        let report = fs::read(out.join("report.json")).ok();
        let report: Option<Value> = report.and_then(|text| serde_json::from_slice(&text).ok());
        let mut done = Vec::new();
        for injection in batch {
            let id = injection.id;
            let Some(end) = ends.get(&id) else { continue };
            let read = |kind: &str| fs::read_to_string(out.join(format!("{id}.{kind}"))).unwrap_or_default();
            let reached = verdict::reached(&read("sites"));
            let acted = injection.step.starts_with('@') || reached.iter().any(|reached| reached.acted > 0);
            let verdict = match (end, &report) {
                (None, _) => Verdict::Died(death.unwrap_or("it hung").to_owned()),
                (Some(end), _) if end.starts_with("no ") => Verdict::Inconclusive(end.clone()),
                (Some(end), Some(report)) => {
                    // What it did until it was stuck was not counted.
                    verdict::judge(id, end, acted || end != "done", report)
                }
                // The books went with the guest.
                (Some(_), None) => continue,
            };
            done.push(Done {
                injection: injection.clone(),
                reached,
                verdict,
                warned: verdict::warned(&read("dmesg")),
                check: verdict::check(&read("check")),
            });
        }
        done
    }

    /// `guest.sh` says what the words are.
    fn lines(&self, batch: &[Injection]) -> String {
        let mut text = String::new();
        for injection in batch {
            let (kind, fault) = match injection.step.strip_prefix('@') {
                _ if injection.step == CENSUS => ("census", self.counted(injection.act)),
                Some(name) => (name, String::new()),
                None => ("fault", self.fault(injection)),
            };
            let quota = if injection.quota { "q" } else { "-" };
            let race = if injection.race { "r" } else { "-" };
            let Injection { id, load, .. } = injection;
            let _ = writeln!(text, "{id} {kind} {load} {quota} {race} {SIZE} {fault}");
        }
        text
    }

    fn symbol<'a>(&'a self, name: &'a str) -> &'a str {
        self.sites.symbol(name).unwrap_or(name)
    }

    /// The lines for the fault module, separated by `;`.
    fn fault(&self, injection: &Injection) -> String {
        let Injection { step, act, site, nth, also, .. } = injection;
        let line = |name: &str, act, site, nth| {
            let step = self.steps.iter().find(|known| known.name == name)?;
            Some(step.fault(self.symbol(name), act, site, nth))
        };
        let first = line(step, *act, site.as_deref(), *nth);
        let more = also.iter().filter_map(|also| line(&also.step, also.act, Some(&also.site), also.nth));
        first.into_iter().chain(more).collect::<Vec<_>>().join(";")
    }

    /// The functions of a part of the census.
    fn counted(&self, part: Act) -> String {
        let Act::Fails(part) = part else { return String::new() };
        let functions: Vec<String> = self
            .steps
            .iter()
            .filter(|step| step.is_function())
            .map(|step| step.counted(self.symbol(&step.name)))
            .collect();
        let part = usize::try_from(part).ok().and_then(|part| functions.chunks(COUNTED).nth(part));
        part.map_or_else(String::new, |part| part.join(" "))
    }
}

fn script(tier: &str, seconds: u64) -> String {
    format!(
        "insmod /fault.ko || exit 1\n\
         export UNTIL=$(($(cut -d. -f1 /proc/uptime) + {seconds}))\n\
         btrfs-probe run --quiet --tier {tier} --ring-size 64M --output /out/report.txt \
         --format json=/out/report.json -- sh /guest.sh\n\
         exit 0\n"
    )
}
