//! The tables of `docs/tiers.md`, from the scenarios.
use probe_ledger::FindingKind;

use super::{
    scenario::{Bug, Scenario, Sight},
    table,
};

/// A row for each kind of finding, a cell for each tier: which bugs it names so.
pub fn kinds() -> String {
    let mut text = String::from("| finding | functions | tracepoints |\n|---|---|---|\n");
    for kind in FindingKind::ALL.map(FindingKind::name) {
        let cell = |tier| kind_cell(kind, tier);
        let (functions, tracepoints) =
            (cell(|scenario| &scenario.functions), cell(|scenario| &scenario.tracepoints));
        text += &format!("| [{kind}](findings/{kind}.md) | {functions} | {tracepoints} |\n");
    }
    text
}

fn kind_cell(kind: &str, tier: fn(&Scenario) -> &Sight) -> String {
    let (mut exact, mut bounded, mut others, mut not) = (vec![], vec![], vec![], vec![]);
    for scenario in table::all() {
        let name = format!("`{}`", scenario.name);
        let elsewhere = [&scenario.functions, &scenario.tracepoints]
            .into_iter()
            .filter_map(bug)
            .any(|bug| bug.kind == kind);
        match tier(scenario) {
            Sight::Exact(bug) if bug.kind == kind => exact.push(name),
            Sight::Bounded { bug, .. } if bug.kind == kind => bounded.push(name),
            Sight::Exact(bug) | Sight::Bounded { bug, .. } if elsewhere => {
                others.push(format!("{name} ({})", bug.kind));
            }
            Sight::NotVisible(_) if elsewhere => not.push(name),
            _ => {}
        }
    }
    [("exact", exact), ("bounded", bounded), ("told as another kind", others), ("not visible", not)]
        .into_iter()
        .filter(|(_, names)| !names.is_empty())
        .map(|(word, names)| format!("{word}: {}", names.join(", ")))
        .collect::<Vec<_>>()
        .join("; ")
}

fn bug(sight: &Sight) -> Option<&Bug> {
    match sight {
        Sight::Exact(bug) | Sight::Bounded { bug, .. } => Some(bug),
        Sight::NotVisible(_) | Sight::Silent(_) => None,
    }
}

/// As it stands in the docs: a row for each bug, a cell for each tier.
pub fn found() -> String {
    let mut text = String::from("| bug | scenario | functions | tracepoints |\n|---|---|---|---|\n");
    for scenario in table::all().filter(|scenario| !is_silent(scenario)) {
        text += &format!(
            "| {} | `{}` | {} | {} |\n",
            scenario.what,
            scenario.name,
            cell(&scenario.functions),
            cell(&scenario.tracepoints)
        );
    }
    text
}

/// The loads that must stay without findings.
pub fn silent() -> String {
    let mut text = String::from("| load | scenario | verdict |\n|---|---|---|\n");
    for scenario in table::all().filter(|scenario| is_silent(scenario)) {
        let Sight::Silent(allowed) = scenario.functions else { continue };
        let verdict =
            allowed.map_or_else(|| "clean".to_owned(), |why| format!("clean or inconclusive: {why}"));
        text += &format!("| {} | `{}` | {verdict} |\n", scenario.what, scenario.name);
    }
    text
}

fn is_silent(scenario: &Scenario) -> bool {
    matches!(scenario.functions, Sight::Silent(_))
}

fn cell(sight: &Sight) -> String {
    match sight {
        Sight::Exact(bug) => format!("exact: [{0}](findings/{0}.md) of `{1}`", bug.kind, bug.account),
        Sight::Bounded { bug, how } => {
            format!("bounded: [{0}](findings/{0}.md) of `{1}`, {how}", bug.kind, bug.account)
        }
        Sight::NotVisible(why) => format!("not visible: {why}"),
        Sight::Silent(_) => "no bug".to_owned(),
    }
}
