//! The table of `docs/tiers.md`, from the scenarios.
use super::scenario::{Scenario, Sight};
use super::table;

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
