//! One filesystem: space_infos and pools with bars, the audit, tickets.
use std::collections::BTreeMap;

use super::{
    super::model::{AccountState, ClosingName, Filesystem, Report, SpaceState},
    Detail, draws, holders,
    paper::{Paper, Tone},
    table::{self, left, right},
    waits,
};
use crate::format::{self, escape::escape};

const BAR: usize = 16;

/// So many lives are shown whatever they are; a test suite mounts thousands.
const MOST: usize = 8;

/// All filesystems, or those that still live or have a finding.
pub(super) fn all(paper: &mut Paper, report: &Report, detail: Detail) {
    let found = |fs: &Filesystem| {
        report.findings.iter().any(|finding| finding.filesystem.as_deref() == Some(fs.uuid.as_str()))
    };
    let few = detail >= Detail::Full || report.filesystems.len() <= MOST;
    let (shown, left): (Vec<&Filesystem>, Vec<&Filesystem>) =
        report.filesystems.iter().partition(|fs| few || !fs.ended || found(fs));
    for fs in shown {
        one(paper, fs, detail, report.duration_ns);
    }
    if left.is_empty() {
        return;
    }
    let closed: u64 = left.iter().map(|fs| fs.inodes_closed).sum();
    let aborted = left.iter().filter(|fs| fs.aborted).count();
    let enospc: u64 = left.iter().map(|fs| fs.enospc).sum();
    paper.heading("Filesystems that came and went");
    paper.paragraph(
        "  ",
        &format!(
            "{} filesystems were mounted and unmounted, {} of them aborted: {} inodes checked when they were destroyed, {}. -v shows each.",
            format::count(left.len() as u64),
            format::count(aborted as u64),
            format::count(closed),
            format::counted(enospc, "ENOSPC event")
        ),
    );
}

fn one(paper: &mut Paper, fs: &Filesystem, detail: Detail, session_ns: u64) {
    paper.heading(&format!("Filesystem {}", fs.uuid));
    let join = |names: &[String]| names.iter().map(|name| escape(name)).collect::<Vec<_>>().join(", ");
    if !fs.devices.is_empty() {
        paper.field("device", &join(&fs.devices));
    }
    if !fs.mounts.is_empty() {
        paper.field("mounted at", &join(&fs.mounts));
    }
    paper.field("watched", &life(fs));
    paper.field(
        "inodes",
        &format!("{} live in the books, {} checked when destroyed", fs.inodes, fs.inodes_closed),
    );
    let (granted, failed) = (format::count(fs.tickets.granted), format::count(fs.tickets.failed));
    paper.field(
        "tickets",
        &format!("{granted} granted, {failed} failed; {}", format::counted(fs.enospc, "ENOSPC event")),
    );
    not_judged(paper, fs, detail);
    if fs.aborted {
        let text = "aborted: rules about the whole filesystem are not applied from there on";
        let text = paper.tone(Tone::Doubt, text);
        paper.line(&format!("   {text}"));
    }
    waits::render(paper, fs, detail);
    space(paper, fs);
    holders::render(paper, fs, session_ns);
    pools(paper, fs, detail);
    books(paper, fs, detail);
    draws::render(paper, fs, detail);
    audit(paper, fs, detail);
    chains(paper, fs, detail);
}

fn life(fs: &Filesystem) -> String {
    let from = if fs.born { "from its mount" } else { "from the attach on (it was mounted before)" };
    let to = if fs.ended { "to its unmount" } else { "to the end of the session" };
    format!("{from} {to}")
}

fn space(paper: &mut Paper, fs: &Filesystem) {
    if fs.space.is_empty() {
        return;
    }
    paper.blank();
    let columns =
        [left("space"), left("used"), right("of"), right("may_use"), right("reserved"), right("pinned")];
    let rows = |number: fn(i64) -> String| -> Vec<Vec<String>> {
        let row = |(name, state): (&String, &SpaceState)| {
            vec![
                name.clone(),
                format!("{} {}", paper.bar(state.used, state.total, BAR), short(state.used)),
                short(state.total),
                number(state.bytes_may_use),
                number(state.bytes_reserved),
                number(state.bytes_pinned),
            ]
        };
        fs.space.iter().map(row).collect()
    };
    let variants = [rows(format::exact), rows(short)];
    table::render_first_fit(paper, &columns, &variants);
}

fn short(bytes: i64) -> String {
    format::bytes(bytes, "")
}

/// The block_rsvs: what is held of what is claimed. Empty ones are left out unless all is asked for.
fn pools(paper: &mut Paper, fs: &Filesystem, detail: Detail) {
    let holds = |state: &AccountState| {
        [state.size, state.reserved, state.balance].iter().any(|n| n.unwrap_or(0) != 0)
    };
    let pools: Vec<(&String, &AccountState)> = fs
        .accounts
        .iter()
        .filter(|(_, state)| state.size.is_some() && (detail >= Detail::Full || holds(state)))
        .collect();
    if pools.is_empty() {
        return;
    }
    paper.blank();
    let columns = [left("pool"), left("held"), right("reserved"), right("size"), right("books")];
    let rows = |number: fn(i64) -> String| -> Vec<Vec<String>> {
        let row = |(name, state): &(&String, &AccountState)| {
            let (reserved, size) = (state.reserved.unwrap_or(0), state.size.unwrap_or(0));
            vec![
                (*name).clone(),
                paper.bar(reserved, size, BAR),
                number(reserved),
                number(size),
                state.balance.map_or_else(|| "-".to_owned(), number),
            ]
        };
        pools.iter().map(row).collect()
    };
    let variants = [rows(format::exact), rows(short)];
    table::render_first_fit(paper, &columns, &variants);
    if pools.iter().any(|(_, state)| state.balance.is_none()) {
        let note = "books: what the records add up to; - where the books do not follow the pool";
        let note = paper.tone(Tone::Faint, note);
        paper.line(&format!("  {note}"));
    }
}

/// Accounts that only the books know; all accounts, with what became of each, if all is asked for.
fn books(paper: &mut Paper, fs: &Filesystem, detail: Detail) {
    if detail >= Detail::All {
        return every_account(paper, fs);
    }
    let rows: Vec<Vec<String>> = fs
        .accounts
        .iter()
        .filter(|(_, state)| state.size.is_none())
        .filter_map(|(name, state)| {
            Some(vec![name.clone(), format::exact(state.balance?), state.unit.clone()])
        })
        .collect();
    if rows.is_empty() {
        return;
    }
    paper.blank();
    table::render(paper, &[left("account"), right("books"), left("unit")], &rows);
}

fn every_account(paper: &mut Paper, fs: &Filesystem) {
    let row = |(name, state): (&String, &AccountState)| {
        let end = match state.closing {
            ClosingName::Closed => "judged at its end",
            ClosingName::Open => "open: its end was not seen",
            ClosingName::NotJudged => "not judged",
        };
        let books = state.balance.map_or_else(|| "-".to_owned(), format::exact);
        vec![name.clone(), books, state.unit.clone(), end.to_owned()]
    };
    let rows: Vec<Vec<String>> = fs.accounts.iter().map(row).collect();
    if !rows.is_empty() {
        paper.blank();
        table::render(paper, &[left("account"), right("books"), left("unit"), left("at its end")], &rows);
    }
}

/// Accounts that no rule judged at their end, by the reason.
fn not_judged(paper: &mut Paper, fs: &Filesystem, detail: Detail) {
    if detail < Detail::Full {
        return;
    }
    let mut reasons: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, state) in &fs.accounts {
        if let Some(why) = &state.not_judged {
            reasons.entry(why).or_default().push(name);
        }
    }
    for (why, names) in reasons {
        paper.field("not judged", &format!("{} ({why})", names.join(", ")));
    }
}

fn audit(paper: &mut Paper, fs: &Filesystem, detail: Detail) {
    let audit = &fs.audit;
    if audit.compared + audit.moving == 0 {
        return;
    }
    paper.blank();
    let unequal = audit.compared.saturating_sub(audit.equal);
    let tone = if unequal == 0 { Tone::Good } else { Tone::Doubt };
    let verdict = if unequal == 0 { "agree".to_owned() } else { format!("{unequal} disagree") };
    let verdict = paper.tone(tone, &verdict);
    paper.line(&format!(
        "   books against sysfs: {verdict} ({} compared, {} equal, {} moving)",
        format::count(audit.compared),
        format::count(audit.equal),
        format::count(audit.moving)
    ));
    let rows: Vec<Vec<String>> = audit
        .last
        .iter()
        .filter(|last| detail >= Detail::Full || last.sysfs != last.books)
        .map(|last| {
            vec![
                last.account.name().to_owned(),
                format::exact(last.sysfs),
                format::exact(last.books),
                format::exact(last.sysfs.wrapping_sub(last.books)),
            ]
        })
        .collect();
    if !rows.is_empty() {
        table::render(paper, &[left("account"), right("sysfs"), right("books"), right("difference")], &rows);
    }
}

fn chains(paper: &mut Paper, fs: &Filesystem, detail: Detail) {
    let shown: Vec<_> = fs.chains.iter().filter(|chain| detail >= Detail::Full || chain.breaks > 0).collect();
    if !fs.chains.is_empty() {
        let links: u64 = fs.chains.iter().map(|chain| chain.links).sum();
        let breaks: u64 = fs.chains.iter().map(|chain| chain.breaks).sum();
        paper.paragraph(
            "   ",
            &format!(
                "{}, {} checked, {}",
                format::counted(fs.chains.len() as u64, "counter"),
                format::counted(links, "change"),
                format::counted(breaks, "break")
            ),
        );
    }
    if shown.is_empty() {
        return;
    }
    let columns =
        [left("counter"), left("of"), right("changes"), right("breaks"), right("last"), right("peak")];
    let rows: Vec<Vec<String>> = shown
        .into_iter()
        .map(|chain| {
            vec![
                chain.account.name().to_owned(),
                chain.object.clone(),
                format::count(chain.links),
                format::count(chain.breaks),
                format::exact(chain.value),
                format::bytes(chain.peak, ""),
            ]
        })
        .collect();
    table::render(paper, &columns, &rows);
}
