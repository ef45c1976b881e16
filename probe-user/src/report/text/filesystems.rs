//! One filesystem: space_infos and pools with bars, the audit, tickets.
use super::{
    super::{
        escape::escape,
        format,
        model::{AccountState, Filesystem},
    },
    Detail,
    paper::{Paper, Tone},
    table::{self, left, right},
};

const BAR: usize = 16;

pub(super) fn render(paper: &mut Paper, fs: &Filesystem, detail: Detail) {
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
        &format!("{} live with an account, {} checked at their end", fs.inodes, fs.inodes_closed),
    );
    if fs.aborted {
        let text = "aborted: rules over the whole filesystem hold no more from there on";
        let text = paper.tone(Tone::Doubt, text);
        paper.line(&format!("   {text}"));
    }
    space(paper, fs);
    pools(paper, fs);
    books(paper, fs);
    audit(paper, fs, detail);
    chains(paper, fs, detail);
}

fn life(fs: &Filesystem) -> String {
    let from = if fs.born { "from its mount" } else { "from attach on, in the middle of its life" };
    let to = if fs.ended { "to its unmount" } else { "to the end of the session" };
    let tickets = format!("tickets {} granted, {} failed", fs.tickets.granted, fs.tickets.failed);
    format!("{from} {to}; {tickets}; {} ENOSPC events", fs.enospc)
}

fn space(paper: &mut Paper, fs: &Filesystem) {
    if fs.space.is_empty() {
        return;
    }
    paper.blank();
    let columns =
        [left("space"), left("used"), right("of"), right("bytes_may_use"), right("bytes_reserved"), right("bytes_pinned")];
    let rows: Vec<Vec<String>> = fs
        .space
        .iter()
        .map(|(name, state)| {
            vec![
                name.clone(),
                format!("{} {}", paper.bar(state.used, state.total, BAR), format::bytes(state.used, "")),
                format::bytes(state.total, ""),
                format::exact(state.bytes_may_use),
                format::exact(state.bytes_reserved),
                format::exact(state.bytes_pinned),
            ]
        })
        .collect();
    table::render(paper, &columns, &rows);
}

/// The block_rsvs: what is held of what is claimed.
fn pools(paper: &mut Paper, fs: &Filesystem) {
    let pools: Vec<(&String, &AccountState)> = fs.accounts.iter().filter(|(_, state)| state.size.is_some()).collect();
    if pools.is_empty() {
        return;
    }
    paper.blank();
    let columns = [left("pool"), left("held"), right("reserved"), right("size"), right("books")];
    let rows: Vec<Vec<String>> = pools
        .into_iter()
        .map(|(name, state)| {
            let (reserved, size) = (state.reserved.unwrap_or(0), state.size.unwrap_or(0));
            vec![
                name.clone(),
                paper.bar(reserved, size, BAR),
                format::exact(reserved),
                format::exact(size),
                state.balance.map_or_else(|| "-".to_owned(), format::exact),
            ]
        })
        .collect();
    table::render(paper, &columns, &rows);
}

/// Accounts that only the books know.
fn books(paper: &mut Paper, fs: &Filesystem) {
    let rows: Vec<Vec<String>> = fs
        .accounts
        .iter()
        .filter(|(_, state)| state.size.is_none())
        .filter_map(|(name, state)| Some(vec![name.clone(), format::exact(state.balance?), state.unit.clone()]))
        .collect();
    if rows.is_empty() {
        return;
    }
    paper.blank();
    table::render(paper, &[left("account"), right("books"), left("unit")], &rows);
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
        .filter(|last| detail == Detail::Full || last.sysfs != last.books)
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
    let shown: Vec<_> = fs.chains.iter().filter(|chain| detail == Detail::Full || chain.breaks > 0).collect();
    if !fs.chains.is_empty() {
        let links: u64 = fs.chains.iter().map(|chain| chain.links).sum();
        let breaks: u64 = fs.chains.iter().map(|chain| chain.breaks).sum();
        paper.paragraph(
            "   ",
            &format!(
                "{} counters chained over {} changes, {} breaks",
                fs.chains.len(),
                format::count(links),
                format::count(breaks)
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
